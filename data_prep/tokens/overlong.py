"""Prompts that a trainer cannot use: too many tokens, or images that the model cannot be shown; no image is decoded.

    left_out = list(find(tables_of(Path("train.parquet")), counter, 4096, Path("train.parquet")))
    left_out[0]                          # LeftOut(row=5, reason="9,120 prompt tokens")

Tables are Arrow tables with the columns of verl's schema; a row is told by its number over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError
from data_prep.images import ImageError, image_bytes
from data_prep.markers import IMAGE
from data_prep.reading.headers import size_of
from data_prep.tokens.count import Asked, PromptCounter
from data_prep.tokens.resize import ImageRules, Size

ROWS = 128
"""Rows of a table: few enough for images of any size."""

PROMPT, IMAGES = "prompt", "images"


@dataclass(frozen=True)
class LeftOut:
    """A row that cannot be used."""

    row: int
    reason: str


class _Unusable(ValueError):
    """Says why an image or a prompt cannot be used."""


def tables_of(path: Path) -> Iterator[pa.Table]:
    """Prompts and images of a file, in pieces."""
    try:
        file = pq.ParquetFile(path)
        columns = [name for name in (PROMPT, IMAGES) if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=ROWS, columns=columns):
            yield pa.Table.from_batches([batch])
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from error


def find(tables: Iterable[pa.Table], counter: PromptCounter, limit: int, file: Path) -> Iterator[LeftOut]:
    """Rows over `limit` tokens, and those whose images or marks are not usable, in order.

    Args:
        file: where the rows stand, for images given as paths.
    """
    start = 0
    for table in tables:
        usable: list[tuple[int, Asked]] = []
        found: list[LeftOut] = []
        for number, row in enumerate(table.select(_columns(table)).to_pylist(), start):
            try:
                usable.append((number, _asked(row, file, counter.rules)))
            except _Unusable as error:
                found.append(LeftOut(number, str(error)))
        start += table.num_rows
        bounds = counter.at_most([asked for _number, asked in usable])
        unsure = [one for one, bound in zip(usable, bounds, strict=True) if bound > limit]
        exact = counter.count([asked for _number, asked in unsure])
        found += [
            LeftOut(number, f"{tokens:,} prompt tokens")
            for (number, _row), tokens in zip(unsure, exact, strict=True)
            if tokens > limit
        ]
        yield from sorted(found, key=lambda one: one.row)


def _columns(table: pa.Table) -> list[str]:
    return [name for name in (PROMPT, IMAGES) if name in table.column_names]


def _asked(row: Mapping[str, object], file: Path, rules: ImageRules) -> Asked:
    """Messages of a row, and the tokens of each of its images."""
    messages, images = row.get(PROMPT), row.get(IMAGES) or []
    if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
        raise _Unusable("the prompt is no list of messages")
    if not isinstance(images, list):
        raise _Unusable("images is no list")
    marks = sum(len(re.findall(IMAGE, str(message["content"]))) for message in messages) if images else 0
    if marks != len(images):
        raise _Unusable(f"{marks} {IMAGE} placeholders but {len(images)} images")
    sizes = [_size(number, image, file) for number, image in enumerate(images)]
    try:
        return messages, rules.tokens_of_row(sizes, images)
    except ValueError as error:
        raise _Unusable(str(error)) from error


def _is_message(message: object) -> bool:
    return isinstance(message, dict) and isinstance(message.get("content"), str) and bool(message.get("role"))


def _size(number: int, image: object, file: Path) -> Size:
    try:
        size = size_of(image_bytes(image, file))
    except ImageError as error:
        raise _Unusable(f"image {number}: {error}") from error
    if size is None:
        raise _Unusable(f"image {number} is no image that Pillow knows")
    return size
