"""Preference pairs as they lie in parquet files: columns checked, each row able to say where it came from.

    table = PairTable.open(["runs/pairs/train.parquet"])
    pair = table[7]            # Pair(prompt, images, chosen, rejected, ...)
    table.where(7)             # "runs/pairs/train.parquet, row 7", for error messages

Not here: tokenisation (encode.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from specs_verl.errors import UserError

REQUIRED = ("prompt", "chosen", "rejected")
OPTIONAL = ("images", "extra_info")
PLACEHOLDER = "<image>"


@dataclass(frozen=True)
class Pair:
    """One preference pair."""

    prompt: list[dict]  # chat messages, `<image>` in the content where an image goes
    images: list[dict]  # {bytes, path} as verl stores them, encoded
    chosen: str
    rejected: str
    name: str  # extra_info.id where there is one, else the row number


class PairTable:
    """Random access to the rows of one or more parquet files."""

    def __init__(self, files: list[Path], tables: list[pa.Table]) -> None:
        self._files = files
        self._tables = tables
        self._starts = [0]
        for table in tables:
            self._starts.append(self._starts[-1] + table.num_rows)

    @classmethod
    def open(cls, files: str | Sequence[str], max_rows: int = -1) -> "PairTable":
        """Open the files and check that they exist, are parquet, have rows and the columns of a preference pair."""
        paths = [Path(file).expanduser() for file in ([files] if isinstance(files, str) else files)]
        if not paths:
            raise UserError("data.train_files is empty: give one or more parquet files of preference pairs.")
        tables = []
        for path in paths:
            table = _read(path)
            if max_rows >= 0:
                table = table.slice(0, max_rows - sum(t.num_rows for t in tables))
            tables.append(table)
        if not any(table.num_rows for table in tables):
            raise UserError(f"{', '.join(map(str, paths))}: no rows. Build the pairs first (`specs distill`).")
        return cls(paths, tables)

    def __len__(self) -> int:
        return self._starts[-1]

    def _locate(self, index: int) -> tuple[int, int]:
        for number, start in enumerate(self._starts[1:]):
            if index < start:
                return number, index - self._starts[number]
        raise IndexError(index)

    def where(self, index: int) -> str:
        """File and row number, for messages."""
        number, row = self._locate(index)
        return f"{self._files[number]}, row {row}"

    def __getitem__(self, index: int) -> Pair:
        number, row = self._locate(index)
        values = {name: self._tables[number][name][row].as_py() for name in self._tables[number].column_names}
        prompt = values["prompt"]
        if isinstance(prompt, str):
            prompt = json.loads(prompt)
        extra = values.get("extra_info") or {}
        return Pair(
            prompt=prompt,
            images=values.get("images") or [],
            chosen=values["chosen"],
            rejected=values["rejected"],
            name=str(extra.get("id") or index),
        )

    def open_image(self, index: int, image: dict) -> Image.Image:
        """Open one image of a row: its bytes, or else its path (relative ones are relative to the parquet file)."""
        number, _ = self._locate(index)
        try:
            if image.get("bytes"):
                return Image.open(BytesIO(image["bytes"]))
            if image.get("path"):
                return Image.open(self._files[number].parent / image["path"])
        except OSError as error:
            raise UserError(f"{self.where(index)}: an image cannot be read ({error}). Fix or drop the row.") from error
        raise UserError(f"{self.where(index)}: an image has neither bytes nor path. Fix or drop the row.")


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise UserError(f"{path}: no such parquet file. Set data.train_files to the pairs that `specs distill` wrote.")
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable parquet file ({error}).") from error
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise UserError(
            f"{path}: column {', '.join(missing)} is missing (found {', '.join(names)}). "
            "A preference pair needs prompt, chosen, rejected and, for images, images."
        )
    return pq.read_table(path, columns=[name for name in (*REQUIRED, *OPTIONAL) if name in names], memory_map=True)


def check_pair(pair: Pair, where: str) -> None:
    """Raise UserError for a row that cannot be trained on, naming it."""
    if not pair.prompt:
        raise UserError(f"{where}: the prompt is empty. Fix or drop the row.")
    for side in ("chosen", "rejected"):
        text = getattr(pair, side)
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where}: the {side} response is empty. Fix or drop the row.")
    if pair.chosen == pair.rejected:
        raise UserError(f"{where}: chosen and rejected are the same text. Fix or drop the row.")
    placeholders = sum(m["content"].count(PLACEHOLDER) for m in pair.prompt if isinstance(m["content"], str))
    if placeholders != len(pair.images):
        raise UserError(
            f"{where}: {placeholders} {PLACEHOLDER} placeholders but {len(pair.images)} images. Fix or drop the row."
        )
