"""``PreferenceDataset``: preference pairs as tensors, for trainers that load their data through verl's configuration.

    data.custom_cls.path=pkg://specs_verl.cold_start.preference_dataset data.custom_cls.name=PreferenceDataset
    data.train_files=runs/pairs/pairs.parquet

Both of verl's loaders build it: ``create_sft_dataset`` (which passes `parquet_files`) and ``create_rl_dataset``
(`data_files`). An item has two halves over the same prompt and images:

    input_ids, position_ids, loss_mask                               prompt and chosen response
    rejected_input_ids, rejected_position_ids, rejected_loss_mask    prompt and rejected response
    multi_modal_inputs                                               pixel_values, image_grid_thw; {} without images
    index                                                            row of the pair in the files

The first half has the names of verl's own SFT data set, so that `python -m verl.trainer.sft_trainer` trains on the
chosen responses as it is: the supervised cold start that the method is compared with. Our own trainer loads the class
in the same way and packs `table` and `pairs` instead of items: the same tokens and pixels in both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from data_prep.tokens.resize import PixelLimits
from specs_verl.cold_start.encode import Encoded, Encoder
from specs_verl.cold_start.images import load_pixels
from specs_verl.cold_start.pairs import PairTable
from specs_verl.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

SIDES = {"": "chosen", "rejected_": "rejected"}
"""Prefix of an item's keys, and the response they belong to."""


class PreferenceDataset(Dataset):
    """Map-style data set over parquet files of pairs.

    Args:
        parquet_files, data_files: one file or several; verl's loaders call them by either name.
        tokenizer: of the model to be trained.
        config: verl's `data` section. Read are `max_length` (tokens of prompt, chosen and rejected together),
            `too_long` (`error`, the default, or `drop`), `end_of_turn`, `cache_dir`, `max_pixels` and
            `min_pixels` (of images that say nothing of their own); `pad_mode` must be no_padding and `truncation` must
            be error: a pair that lost its end, or part of an image, is no pair.
        processor: None for a text-only model.
        max_samples: only the first so many rows; -1 for all.

    Attributes:
        table, pairs, dropped, encoder: the rows, those that fit as token ids, how many did not, and what encoded them.

    Raises:
        UserError: a file or row that cannot be trained on, named; settings that cannot be honoured.
    """

    def __init__(
        self,
        parquet_files: str | Sequence[str] | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        config: Mapping[str, Any] | None = None,
        processor: ProcessorMixin | None = None,
        max_samples: int = -1,
        *,
        data_files: str | Sequence[str] | None = None,
    ) -> None:
        files = parquet_files if parquet_files is not None else data_files
        settings = config if config is not None else {}
        check_settings(settings)
        self._processor = processor
        self.encoder = Encoder.from_processor(
            processor,
            tokenizer,
            max_length=int(settings.get("max_length") or 16384),
            too_long=settings.get("too_long") or "error",
            end_of_turn=settings.get("end_of_turn") or "auto",
        )
        names = [files] if isinstance(files, str) else [str(file) for file in files or ()]
        self.table = PairTable.open(names, max_samples, row_files(settings), pixel_limits(settings))
        self.pairs, self.dropped = self.encoder.encode(self.table)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: int) -> dict[str, object]:
        """One pair; token tensors have shape (length,), position tensors (4, length) with images, int64."""
        pair = self.pairs[item]
        images = self._images(pair)
        values: dict[str, object] = {"index": pair.index}
        for prefix, side in SIDES.items():
            response = getattr(pair, side)
            ids = torch.from_numpy(np.concatenate([pair.prompt, response])).long()
            mask = torch.zeros_like(ids)
            mask[len(pair.prompt) :] = 1
            values[f"{prefix}input_ids"] = ids
            values[f"{prefix}position_ids"] = self._positions(ids, images.get("image_grid_thw"))
            values[f"{prefix}loss_mask"] = mask
        if self._processor is not None:
            # Also when there are none: verl's collator takes the keys of a batch from its first row.
            values["multi_modal_inputs"] = images
        return values

    def _images(self, pair: Encoded) -> dict[str, torch.Tensor]:
        rules = self.encoder.image_rules
        if rules is None or not pair.grids:
            return {}
        parts = [load_pixels(self.table, rules, pair.index, number) for number in range(len(pair.grids))]
        return {name: torch.cat([part[name] for part in parts]) for name in ("pixel_values", "image_grid_thw")}

    def _positions(self, ids: torch.Tensor, grids: torch.Tensor | None) -> torch.Tensor:
        """(4, length) for processors of the Qwen2-VL family: text, time, height, width; else (length,)."""
        text = torch.arange(len(ids))
        image_processor = getattr(self._processor, "image_processor", None)
        if "Qwen2VLImageProcessor" not in type(image_processor).__name__:
            return text
        from verl.models.transformers.qwen2_vl import get_rope_index

        vision = get_rope_index(
            self._processor, input_ids=ids, image_grid_thw=grids, attention_mask=torch.ones_like(ids)
        )
        return torch.cat([text.unsqueeze(0), vision])


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what would damage pairs silently."""
    if settings.get("pad_mode", "no_padding") != "no_padding":
        raise UserError(
            f"data.pad_mode={settings['pad_mode']}: the two halves of a pair differ in length and are not padded. "
            "Set data.pad_mode=no_padding."
        )
    if settings.get("truncation", "error") != "error":
        raise UserError(
            f"data.truncation={settings['truncation']}: a pair is never cut. Set data.truncation=error and raise "
            "data.max_length, or leave long pairs out with +data.too_long=drop."
        )


def pixel_limits(settings: Mapping[str, Any]) -> PixelLimits:
    """How large images become, as in sampling and RL."""
    return PixelLimits(settings.get("min_pixels"), settings.get("max_pixels"))


def row_files(settings: Mapping[str, Any]) -> Path:
    """Where row-by-row copies of large files are kept, see rowfile.py."""
    root = settings.get("cache_dir") or os.environ.get("SPECS_CACHE") or "~/.cache/specs-verl"
    return Path(str(root)).expanduser() / "rows"
