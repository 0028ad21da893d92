"""Preference pairs as they lie in parquet files: columns checked, each row able to say where it came from.

    table = PairTable.open(["runs/pairs/train.parquet"])
    pair = table[7]            # Pair(prompt, images, chosen, rejected, ...)
    table.where(7)             # "runs/pairs/train.parquet, row 7", for error messages

Small files are held in memory, large ones in a row-by-row copy on disk (rowfile.py), so that memory does not grow with
the number of images. Not here: tokenisation (encode.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from specs_verl.cold_start.rowfile import RowFile
from specs_verl.errors import UserError

REQUIRED = ("prompt", "chosen", "rejected")
OPTIONAL = ("images", "extra_info")
PLACEHOLDER = "<image>"
IN_MEMORY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Pair:
    """One preference pair."""

    prompt: list[dict]  # chat messages, `<image>` in the content where an image goes
    images: list[dict]  # {bytes, path} as verl stores them, encoded
    chosen: str
    rejected: str


class PairTable:
    """Random access to the rows of one or more parquet files."""

    def __init__(self, files: list[Path], sources: list["pa.Table | RowFile"], lengths: list[int]) -> None:
        self._files = files
        self._sources = sources
        self._starts = [0]
        for length in lengths:
            self._starts.append(self._starts[-1] + length)

    @classmethod
    def open(cls, files: Sequence[str], max_rows: int = -1, row_files: Path | None = None) -> "PairTable":
        """Open the files, checked.

        Args:
            max_rows: use only the first so many rows; -1 for all.
            row_files: folder for the row-by-row copies of large files; None holds everything in memory.
        """
        paths = [Path(file).expanduser() for file in files]
        counts = check_files(paths)
        left = sum(counts) if max_rows < 0 else max_rows
        sources, lengths = [], []
        for path, count in zip(paths, counts, strict=True):
            columns = [name for name in (*REQUIRED, *OPTIONAL) if name in pq.read_schema(path).names]
            large = _uncompressed_bytes(path, columns) > IN_MEMORY_BYTES
            if large and row_files is not None:
                sources.append(RowFile.of_parquet(path, columns, row_files))
            else:
                sources.append(pq.read_table(path, columns=columns))
            lengths.append(min(count, left))
            left -= lengths[-1]
        return cls(paths, sources, lengths)

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
        source = self._sources[number]
        values = source.slice(row, 1).to_pylist()[0] if isinstance(source, pa.Table) else source[row]
        prompt = values["prompt"]
        if isinstance(prompt, str):
            try:
                prompt = json.loads(prompt)
            except ValueError as error:
                raise UserError(f"{self.where(index)}: the prompt is text, but not JSON messages ({error}).") from error
        return Pair(prompt or [], values.get("images") or [], values["chosen"], values["rejected"])

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


def check_files(paths: Sequence[Path]) -> list[int]:
    """Check that all files exist, are parquet and have the columns of a pair; returns their numbers of rows."""
    if not paths:
        raise UserError("No files of preference pairs: set data.train_files to one or more parquet files.")
    counts = []
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file. Set data.train_files to the pairs that `specs distill` wrote.")
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not a readable parquet file ({error}).") from error
        names = metadata.schema.to_arrow_schema().names
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise UserError(
                f"{path}: column {', '.join(missing)} is missing (found {', '.join(names)}). "
                "A preference pair needs prompt, chosen, rejected and, for images, images."
            )
        counts.append(metadata.num_rows)
    if not sum(counts):
        raise UserError(f"{', '.join(map(str, paths))}: no rows. Build the pairs first (`specs distill`).")
    return counts


def _uncompressed_bytes(path: Path, columns: list[str]) -> int:
    metadata = pq.read_metadata(path)
    chunks = (
        metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)
    )
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)


def check_pair(pair: Pair, where: str) -> None:
    """Raise UserError for a row that cannot be trained on, naming it."""
    if not pair.prompt:
        raise UserError(f"{where}: the prompt is empty. Fix or drop the row.")
    for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where}: the {side} response is empty. Fix or drop the row.")
    if pair.chosen == pair.rejected:
        raise UserError(f"{where}: chosen and rejected are the same text. Fix or drop the row.")
    placeholders = sum(count_images(message["content"]) for message in pair.prompt)
    if placeholders != len(pair.images):
        raise UserError(
            f"{where}: {placeholders} {PLACEHOLDER} placeholders but {len(pair.images)} images. Fix or drop the row."
        )


def count_images(content: str | list[dict]) -> int:
    """Images that a message asks for, written as `<image>` or as image parts."""
    if isinstance(content, str):
        return content.count(PLACEHOLDER)
    return sum(part.get("type") == "image" for part in content)
