"""Pairs of one set of files, ready to be packed: the table they lie in, their token ids, and a packer for them.

train = PairSet(dataset.table, tuple(dataset.pairs), dataset.dropped)       # a PreferenceDataset, or one like it
rows = train.rows(batch, processes=2, rank=0, max_tokens=8192, packer=packer)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from specs_verl.cold_start import order
from specs_verl.cold_start.encode import Encoded
from specs_verl.cold_start.packing import PackedRows, Packer
from specs_verl.cold_start.table import ParquetTable


@dataclass(frozen=True)
class PairSet:
    """Encoded pairs and where they came from."""

    table: ParquetTable
    pairs: tuple[Encoded, ...]
    dropped: int  # rows left out as too long

    def __len__(self) -> int:
        return len(self.pairs)

    def where(self, pairs: Sequence[int], at_most: int = 8) -> str:
        """Files and rows of some pairs, for messages."""
        named = "; ".join(self.table.where(self.pairs[pair].index) for pair in pairs[:at_most])
        return named + (f" and {len(pairs) - at_most} more" if len(pairs) > at_most else "")

    def sft_tokens(self, batch: Sequence[int]) -> int:
        """Tokens of a batch that supervised training is about: those of chosen responses, or of all answers."""
        return sum(self.pairs[pair].lengths[0] for pair in batch)

    def rows(self, batch: Sequence[int], packer: Packer, processes: int, rank: int, max_tokens: int) -> PackedRows:
        """The share of one process in a batch, as packed rows."""
        units = order.units_of(batch, self.pairs, packer.shared_prefix)
        plan = order.split_units(units, processes, max_tokens)
        return PackedRows(packer, plan[rank], self.pairs)
