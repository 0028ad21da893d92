"""verl's RLHFDataset with limits on the size of images, and without the rows that a rollout cannot use.

    data.custom_cls.path=pkg://specs_verl.plugin.prompt_dataset data.custom_cls.name=PromptDataset
    data.max_pixels=1605632 data.too_long=drop

verl alone fails on an image prompt over data.max_prompt_length in the middle of a step, marks its whole group failed,
and cuts the start off a text prompt. Tokens are counted from image sizes (data_prep.tokens): nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from verl.utils.dataset.rl_dataset import RLHFDataset

from data_prep.tokens.count import PromptCounter
from data_prep.tokens.overlong import IMAGES, PROMPT, ROWS, find
from data_prep.tokens.resize import PixelLimits
from specs_verl.errors import UserError

DROP, ERROR = "drop", "error"


class PromptDataset(RLHFDataset):
    """Reads `min_pixels`, `max_pixels` and `too_long` of verl's `data` section."""

    def _build_messages(self, example: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """verl's messages, each image with the limits on its size."""
        limits = PixelLimits(self.config.get("min_pixels"), self.config.get("max_pixels"))
        messages = super()._build_messages(example, key)
        for message in messages:
            parts = message["content"] if isinstance(message["content"], list) else []
            for part in parts:
                if part.get("type") == "image":
                    for name in [name for name, value in part.items() if value is None]:
                        del part[name]  # an empty cell of another row's key; qwen_vl_utils would take it as given
                    part.update(limits.keys(part))
        return messages

    def maybe_filter_out_long_prompts(self, dataframe: datasets.Dataset) -> datasets.Dataset:
        """The rows that fit, and how many do not; UserError for those with too_long=error."""
        if self.config.get("filter_overlong_prompts"):  # asked for on the command line
            return super().maybe_filter_out_long_prompts(dataframe)
        limits = PixelLimits(self.config.get("min_pixels"), self.config.get("max_pixels"))
        checkpoint = getattr(self.processor or self.tokenizer, "name_or_path", None) or self.tokenizer.name_or_path
        counter = PromptCounter(checkpoint, limits)
        left_out = list(
            find(_tables(dataframe), counter, self.max_prompt_length, Path(str(self.original_data_files[0])))
        )
        if not left_out:
            return dataframe
        if self.config.get("too_long", DROP) == ERROR:
            first = left_out[0]
            raise UserError(
                f"{self.original_data_files}: {len(left_out)} of {len(dataframe)} rows cannot be used, the first is "
                f"row {first.row} ({first.reason}). Say data.too_long=drop to leave them out."
            )
        gone = {one.row for one in left_out}
        print(f"specs-verl: {len(gone)} of {len(dataframe)} prompts are left out (data.too_long=drop)", flush=True)
        return dataframe.select([row for row in range(len(dataframe)) if row not in gone])


def _tables(dataframe: datasets.Dataset) -> Iterator[pa.Table]:
    columns = [name for name in (PROMPT, IMAGES) if name in dataframe.column_names]
    yield from dataframe.select_columns(columns).with_format("arrow").iter(batch_size=ROWS)
