"""Rows of training data as they lie in parquet files: random access, images, and where each row came from.

    table = PairTable.open(["runs/pairs/train.parquet"])       # or ConversationTable, see `kind_of`
    table.example(7)           # Example(prompt, images, responses)
    table.where(7)             # "runs/pairs/train.parquet, row 7", for error messages

Small files are held in memory, large ones in a row-by-row copy on disk (rowfile.py), so that memory does not grow with
the number of images. Not here: what the columns mean (pairs.py, conversations.py) and tokenisation (encode.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from PIL.ImageFile import ImageFile

from data_prep.images import ImageError, image_bytes
from data_prep.markers import IMAGE
from data_prep.tokens.resize import NO_LIMITS, PixelLimits
from specs_verl.cold_start.rowfile import RowFile
from specs_verl.errors import UserError

IN_MEMORY_BYTES = 256 * 2**20
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for a file that is truncated, damaged, no image, or far too large."""

Kind = Literal["pairs", "conversations"]
COLUMNS: dict[Kind, tuple[str, ...]] = {"pairs": ("prompt", "chosen", "rejected"), "conversations": ("messages",)}
"""What each kind of data cannot do without."""

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Example:
    """One row, ready to be tokenised."""

    prompt: list[dict]  # chat messages, `<image>` in the content where an image goes
    images: list[dict]  # {bytes, path} as verl stores them, encoded
    responses: tuple[tuple[dict, ...], ...]
    """What may follow the prompt: each is a list of messages that begins and ends with an assistant's turn."""

    names: tuple[str, ...]  # of the responses, for messages to the user


class ParquetTable:
    """Random access to the rows of one or more parquet files."""

    required: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ("images", "extra_info")

    def __init__(
        self,
        files: list[Path],
        sources: list[pa.Table | RowFile],
        lengths: list[int],
        limits: PixelLimits = NO_LIMITS,
    ) -> None:
        self._files = files
        self._limits = limits
        self._sources = sources
        self._starts = [0]
        for length in lengths:
            self._starts.append(self._starts[-1] + length)

    @classmethod
    def open(
        cls,
        files: Sequence[str],
        max_rows: int = -1,
        row_files: Path | None = None,
        limits: PixelLimits = NO_LIMITS,
    ) -> Self:
        """Open the files, checked.

        Args:
            max_rows: use only the first so many rows; -1 for all.
            row_files: folder for the row-by-row copies of large files; None holds everything in memory.
            limits: of the size of images that say nothing of their own.
        """
        paths = [Path(file).expanduser() for file in files]
        counts = check_files(paths, cls.required)
        left = sum(counts) if max_rows < 0 else max_rows
        sources: list[pa.Table | RowFile] = []
        lengths = []
        for path, count in zip(paths, counts, strict=True):
            columns = [name for name in (*cls.required, *cls.optional) if name in pq.read_schema(path).names]
            large = _uncompressed_bytes(path, columns) > IN_MEMORY_BYTES
            if large and row_files is not None:
                sources.append(RowFile.of_parquet(path, columns, row_files))
            else:
                sources.append(pq.read_table(path, columns=columns))
            lengths.append(min(count, left))
            left -= lengths[-1]
        return cls(paths, sources, lengths, limits)

    def __len__(self) -> int:
        return self._starts[-1]

    def example(self, index: int) -> Example:
        """One row, checked.

        Raises:
            UserError: the row cannot be trained on; its file and number are named.
        """
        raise NotImplementedError

    def where(self, index: int) -> str:
        """File and row number, for messages."""
        number, row = self._locate(index)
        return f"{self._files[number]}, row {row}"

    def column(self, name: str) -> list[object]:
        """All values of a column that training does not read otherwise, one per row.

        Raises:
            UserError: a file does not have it.
        """
        values: list[object] = []
        for number, path in enumerate(self._files):
            if name not in pq.read_schema(path).names:
                raise UserError(f"{path}: there is no column {name}. Set data.stage_column to one that is, or to null.")
            count = self._starts[number + 1] - self._starts[number]
            values.extend(pq.read_table(path, columns=[name]).column(name).slice(0, count).to_pylist())
        return values

    def images(self, index: int) -> list[dict]:
        """The images of a row, {bytes, path} as verl stores them, with the keys of their size; nothing is decoded."""
        return self._values(index).get("images") or []

    def image_file(self, index: int, image: dict) -> bytes:
        """The content of one image's file, found by the rules of sampling and RL (data_prep.images)."""
        number, _ = self._locate(index)
        try:
            return image_bytes(image, self._files[number])
        except ImageError as error:
            raise self._unreadable(index, error) from error

    def open_image(self, index: int, content: bytes) -> ImageFile:
        """Open one image of a row, from the content of its file."""
        try:
            return Image.open(BytesIO(content))
        except UNREADABLE as error:
            raise self._unreadable(index, error) from error

    def _unreadable(self, index: int, error: Exception) -> UserError:
        return UserError(f"{self.where(index)}: an image cannot be read ({error}). Fix or drop the row.")

    def _values(self, index: int) -> dict:
        """The columns of one row; images have the keys of their size."""
        number, row = self._locate(index)
        source = self._sources[number]
        values = source.slice(row, 1).to_pylist()[0] if isinstance(source, pa.Table) else source[row]
        if values.get("images"):
            try:
                values["images"] = [self._entry(image) for image in values["images"]]
            except (TypeError, ValueError) as error:
                raise self._unreadable(index, error) from error
        return values

    def _entry(self, image: object) -> dict:
        """An image as {bytes, path} with the keys of its size; it may be written as a path alone."""
        entry = {"path": image} if isinstance(image, str) else image
        if not isinstance(entry, Mapping):
            raise TypeError(f"an image must have bytes or a path, got {type(image).__name__}")
        return {**entry, **self._limits.keys(entry)}

    def _locate(self, index: int) -> tuple[int, int]:
        for number, start in enumerate(self._starts[1:]):
            if index < start:
                return number, index - self._starts[number]
        raise IndexError(index)


def kind_of(paths: Sequence[Path]) -> Kind:
    """Preference pairs or conversations, by the columns of the first file."""
    check_files(paths[:1], ())
    names = pq.read_schema(paths[0]).names
    return "conversations" if "messages" in names and "rejected" not in names else "pairs"


def check_files(paths: Sequence[Path], required: Sequence[str]) -> list[int]:
    """Check that all files exist, are parquet and have these columns; returns their numbers of rows."""
    if not paths:
        raise UserError("No files to train on: set data.train_files to one or more parquet files.")
    counts = []
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"{path}: no such file. Set data.train_files to what `specs distill`, `route` or `cot` wrote."
            )
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not a readable parquet file ({error}).") from error
        names = metadata.schema.to_arrow_schema().names
        missing = [name for name in required if name not in names]
        if missing:
            raise UserError(
                f"{path}: column {', '.join(missing)} is missing (found {', '.join(names)}). A preference pair needs "
                "prompt, chosen and rejected, a conversation to imitate needs messages, and both, for images, images."
            )
        counts.append(metadata.num_rows)
    if not sum(counts):
        raise UserError(f"{', '.join(map(str, paths))}: no rows. Make the data first (`specs distill`).")
    return counts


def messages_of(found: object, where: str) -> list[dict]:
    """The messages of a row, written as a list or as JSON.

    Raises:
        UserError: a message without a role, or without a content (a system message may be empty).
    """
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise UserError(f"{where}: the messages are text, but not JSON ({error}).") from error
    messages = list(found) if isinstance(found, Sequence) else []
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES or not _has_content(message):
            raise UserError(
                f"{where}: message {number} lacks a content or has a role other than {', '.join(ROLES)}. "
                "Fix or drop the row."
            )
    return messages


def _has_content(message: dict) -> bool:
    """Whether the content of a message is text, or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return bool(content) and all(isinstance(part, dict) for part in content)
    return isinstance(content, str) and (bool(content) or message["role"] == "system")


def check_images(placeholders: int, images: Sequence[dict], where: str) -> None:
    """Raise UserError unless there are as many images as places for them."""
    if placeholders != len(images):
        raise UserError(f"{where}: {placeholders} {IMAGE} placeholders but {len(images)} images. Fix or drop the row.")


def count_images(content: str | list[dict]) -> int:
    """Images that a message asks for, written as `<image>` or as image parts."""
    if isinstance(content, str):
        return content.count(IMAGE)
    return sum(part.get("type") == "image" for part in content)


def _uncompressed_bytes(path: Path, columns: list[str]) -> int:
    metadata = pq.read_metadata(path)
    chunks = (
        metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)
    )
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns)
