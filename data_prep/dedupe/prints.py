"""A row reduced to what duplicates are found by: a few hundred bytes, so that 100,000 rows fit easily.

for index, found in row_prints("train.parquet"): ...
for index, found in benchmark_prints("mathvista.parquet"): ...     # also files in their published layout
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from tqdm import tqdm

from data_prep import schema
from data_prep.dedupe.pictures import PicturePrint, picture_print
from data_prep.dedupe.texts import Grams, grams, words
from data_prep.errors import UserError
from data_prep.images import ImageError, image_bytes
from data_prep.reading.cells import Unfit, listed
from data_prep.reading.pictures import load
from data_prep.reading.source import find

QUESTIONS = ("question", "problem", "query", "query_wo", "instruction")
IMAGES = ("images", "image", "decoded_image", "image_1")


@dataclass(frozen=True)
class RowPrint:
    """What is kept of a row."""

    id: str
    question: str
    """Its beginning, for people."""

    answer: str
    """Words of the reference answer; empty where there is none."""

    text: bytes
    """Digest of all grams: equal for questions of the same words."""

    n_words: int
    grams: Grams
    pictures: tuple[PicturePrint, ...]


def row_prints(path: Path) -> Iterator[tuple[int, RowPrint]]:
    """The rows of a file in verl's schema. DataError when it is none."""
    rows = tqdm(schema.rows(path), desc=f"reading {path}", unit=" rows", disable=None, file=sys.stderr, mininterval=1)
    for index, row in rows:
        info = row.get("extra_info")
        identifier = str(info.get("id") or index) if isinstance(info, dict) else str(index)
        model = row.get("reward_model")
        answer = str(model.get("ground_truth") or "") if isinstance(model, dict) else ""
        yield index, _print(identifier, question_of(row), answer, _contents(row, path))


def benchmark_prints(path: Path) -> Iterator[tuple[int, RowPrint]]:
    """The rows of a benchmark: in verl's schema, or with a column of questions and one of images, as published.

    Raises:
        UserError: no column of questions is known.
    """
    for part in find(path, ()).values():
        for place, row in part.rows():
            if isinstance(row, Unfit):
                continue
            if place.row == 0 and not ({"prompt", *QUESTIONS} & set(row)):
                raise UserError(f"{place.file}: no column prompt, {', '.join(QUESTIONS)}: where are its questions?")
            yield place.row, _print(str(place), question_of(row), "", _published(row, part.folder))


def question_of(row: Mapping[str, object]) -> str:
    """The user's turn, or the column that holds the question."""
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        turns = [m for m in prompt if isinstance(m, Mapping) and m.get("role") == "user"]
        return "\n".join(str(turn.get("content") or "") for turn in turns)
    return str(prompt if prompt else next((row[key] for key in QUESTIONS if row.get(key)), ""))


def _print(identifier: str, question: str, answer: str, contents: list[bytes]) -> RowPrint:
    found = words(question)
    spans = grams(found)
    digest = blake2b(spans.tobytes(), digest_size=8).digest()
    pictures = tuple(map(picture_print, contents))
    return RowPrint(identifier, question[:300], " ".join(words(answer)), digest, len(found), spans, pictures)


def _contents(row: Mapping[str, object], path: Path) -> list[bytes]:
    images = row.get("images")
    contents = []
    for reference in images if isinstance(images, list) else []:
        try:
            contents.append(image_bytes(reference, path))
        except ImageError:
            contents.append(b"")  # the doctor's matter
    return contents


def _published(row: Mapping[str, object], folder: Path) -> list[bytes]:
    contents = []
    try:
        cells = listed(row, *IMAGES)
    except Unfit:
        return []
    for cell in cells:
        try:
            contents.append(load(cell, folder))
        except Unfit:
            continue
    return contents
