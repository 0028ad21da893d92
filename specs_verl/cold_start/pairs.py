"""Preference pairs: columns prompt, chosen, rejected and, for images, images.

    table = PairTable.open(["runs/pairs/train.parquet"])
    pair = table[7]            # Pair(prompt, images, chosen, rejected)

Not here: reading files (table.py) and tokenisation (encode.py).
"""

from dataclasses import dataclass

from specs_verl.cold_start.table import COLUMNS, Example, ParquetTable, check_images, count_images, messages_of
from specs_verl.errors import UserError


@dataclass(frozen=True)
class Pair:
    """One preference pair."""

    prompt: list[dict]  # chat messages, `<image>` in the content where an image goes
    images: list[dict]  # {bytes, path} as verl stores them, encoded
    chosen: str
    rejected: str


class PairTable(ParquetTable):
    """Random access to the pairs of one or more parquet files."""

    required = COLUMNS["pairs"]

    def __getitem__(self, index: int) -> Pair:
        values = self._values(index)
        prompt = messages_of(values["prompt"], self.where(index))
        return Pair(prompt, values.get("images") or [], values["chosen"], values["rejected"])

    def example(self, index: int) -> Example:
        pair = self[index]
        check_pair(pair, self.where(index))
        chosen, rejected = (({"role": "assistant", "content": text},) for text in (pair.chosen, pair.rejected))
        return Example(pair.prompt, pair.images, (chosen, rejected), ("chosen response", "rejected response"))


def check_pair(pair: Pair, where: str) -> None:
    """Raise UserError for a row that cannot be trained on, naming it."""
    if not pair.prompt:
        raise UserError(f"{where}: the prompt is empty. Fix or drop the row.")
    for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where}: the {side} response is empty. Fix or drop the row.")
    if pair.chosen == pair.rejected:
        raise UserError(f"{where}: chosen and rejected are the same text. Fix or drop the row.")
    check_images(sum(count_images(message["content"]) for message in pair.prompt), pair.images, where)
