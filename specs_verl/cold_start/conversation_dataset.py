"""``ConversationDataset``: conversations to imitate, loaded as the trainer loads preference pairs.

    data.train_files=runs/route/sft.parquet loss=sft

Its arguments and attributes are those of PreferenceDataset, so that either can be named in data.custom_cls. Not here:
items for verl's own trainers, whose multi-turn data set reads the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from specs_verl.cold_start.conversations import ConversationTable
from specs_verl.cold_start.encode import Encoder
from specs_verl.cold_start.preference_dataset import check_settings, pixel_limits, row_files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin


class ConversationDataset:
    """Conversations of parquet files as token ids.

    Args:
        parquet_files: one file or several.
        tokenizer: of the model to be trained.
        config: the `data` section of the cold start's config.
        processor: None for a text-only model.
        max_samples: only the first so many rows; -1 for all.

    Attributes:
        table, pairs, dropped, encoder: the rows, those that fit as token ids, how many did not, and what encoded them.

    Raises:
        UserError: a file or row that cannot be trained on, named.
    """

    def __init__(
        self,
        parquet_files: str | Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        config: Mapping[str, Any],
        processor: ProcessorMixin | None = None,
        max_samples: int = -1,
    ) -> None:
        check_settings(config)
        self.encoder = Encoder.from_processor(
            processor,
            tokenizer,
            max_length=int(config["max_length"]),
            too_long=config["too_long"],
            end_of_turn=config["end_of_turn"],
        )
        files = [parquet_files] if isinstance(parquet_files, str) else [str(file) for file in parquet_files]
        self.table = ConversationTable.open(files, max_samples, row_files(config), pixel_limits(config))
        self.pairs, self.dropped = self.encoder.encode(self.table)
