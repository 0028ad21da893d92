"""A published data set as verl parquet: read, check, grade the gold against itself, write.

    report = convert(SETS["virl39k"], "ViRL39K", "data/virl39k")
    report.written, report.left_out           # {"train": 38512}, {"no image": 7, ...}

    OUT/train.parquet ...     rows in the schema of schema.py; supervised sets have `messages` besides
    OUT/left_out.jsonl        every row that was left out, its place and why

Each file appears whole or not at all; a conversion that was killed is started again.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from data_prep import schema
from data_prep.answers import Graded, gold_problem, graded
from data_prep.errors import UserError
from data_prep.files import locked, replacing, sweep
from data_prep.markers import IMAGE, foreign_mark, with_images
from data_prep.prompts import PROMPTS, Prompt
from data_prep.reading.cells import Unfit
from data_prep.reading.headers import size_of
from data_prep.reading.pictures import load
from data_prep.reading.source import Part, find
from data_prep.sets.item import DataSet, Item
from data_prep.tokens.resize import QWEN2_5_VL, ImageRules
from data_prep.writer import RowWriter

LEFT_OUT = "left_out.jsonl"


@dataclass
class Converted:
    """What became of a data set."""

    written: dict[str, int] = field(default_factory=dict)
    """Rows per split."""

    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that were left out, by kind of reason."""

    def text(self) -> str:
        """For the terminal."""
        lines = [f"{split}: {count} rows" for split, count in self.written.items()]
        lines += [f"left out: {count} x {kind}" for kind, count in self.left_out.most_common()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Settings:
    """What all rows of a conversion share."""

    prompt: Prompt
    folder: Path
    """What the paths of images are relative to."""

    rules: ImageRules = QWEN2_5_VL
    pixels: bool = True
    """Boxes of responses are in pixels of the image as the model sees it (Qwen2.5-VL); else in shares of 1000."""


def convert(
    dataset: DataSet,
    source: str | Path,
    out: str | Path,
    prompt: Prompt | None = None,
    images: str | Path | None = None,
    limit: int | None = None,
    pixels: bool = True,
) -> Converted:
    """Convert all splits that the source has.

    Args:
        source: folder, file, or name on the Hugging Face hub.
        prompt: by default that of the method that trains on the set.
        images: folder that paths of images are relative to; by default the source's.
        limit: so many rows per split at most.
        pixels: see Settings.

    Raises:
        UserError: the source is not in the layout of this set, or no row of it can be used.
    """
    out = Path(out)
    parts = find(source, dataset.columns, images)
    report = Converted()
    with locked(out):
        sweep(out)
        with replacing(out / LEFT_OUT) as draft, draft.open("w", encoding="utf-8") as log:
            for split, part in parts.items():
                settings = Settings(prompt or PROMPTS[dataset.prompt], part.folder, pixels=pixels)
                with RowWriter(out / f"{split}.parquet", schema.SCHEMA) as writer:
                    for row in _rows(dataset, part, split, settings, report, log, limit):
                        if writer.rows == 0 and "messages" in row:
                            writer.schema = schema.SFT_SCHEMA
                        writer.write(row)
                report.written[split] = writer.rows
    if not any(report.written.values()):
        raise UserError(f"{source}: no row of it can be used; {out / LEFT_OUT} says why for each.")
    return report


def _rows(
    dataset: DataSet,
    part: Part,
    split: str,
    settings: Settings,
    report: Converted,
    log: TextIO,
    limit: int | None,
) -> Iterator[dict[str, object]]:
    """Sound rows; the others are counted and logged."""
    seen: set[int] = set()
    written = 0
    for index, (place, source_row) in enumerate(
        tqdm(part.rows(), desc=f"{dataset.name} {split}", unit=" rows", disable=None, file=sys.stderr, mininterval=1)
    ):
        if written == limit:
            return
        try:
            if isinstance(source_row, Unfit):
                raise source_row
            item = dataset.item(source_row)
            row = row_of(dataset, item, split, index, settings)
        except Unfit as error:
            report.left_out[error.kind] += 1
            entry = {"place": str(place), "kind": error.kind, "reason": str(error)}
            log.write(json.dumps(entry, ensure_ascii=True) + "\n")
            continue
        info = row["extra_info"]
        assert isinstance(info, dict)
        if hash(info["id"]) in seen:
            info["id"] = f"{info['id']}#{index}"
        seen.add(hash(info["id"]))
        written += 1
        yield row


def row_of(dataset: DataSet, item: Item, split: str, index: int, settings: Settings) -> dict[str, object]:
    """The row in verl's schema; Unfit with the reason when it cannot be one."""
    for text in (item.question, item.response):
        if mark := foreign_mark(text):
            raise Unfit("control mark in the text", f"the text holds {mark}, which tokenizers or trainers act on")
    if IMAGE in item.response:
        raise Unfit("control mark in the text", f"the response holds {IMAGE}")
    pictures = [load(cell, settings.folder) for cell in item.images]
    question = with_images(item.question, len(pictures))
    how = _grading(item, question, pictures, settings)
    columns = schema.grading_columns(how.gold, how.verifier, how.params)
    messages = settings.prompt.messages(question)
    row: dict[str, object] = {
        "data_source": dataset.name,
        "prompt": messages,
        "images": [{"bytes": picture, "path": None} for picture in pictures],
        "ability": item.ability or dataset.ability,
        "reward_model": columns["reward_model"],
        "extra_info": {
            "index": index,
            "split": split,
            "id": item.id or f"{dataset.name}-{split}-{index}",
            "source": item.source or dataset.name,
            "category": item.category,
            "licence": dataset.licence,
            "pass_rate": item.pass_rate,
            **columns["extra_info"],
        },
    }
    if item.response:
        row["messages"] = [*messages, {"role": "assistant", "content": item.response}]
    if wrong := schema.check_row(row):
        raise Unfit(_kind_of(wrong[0]), "; ".join(wrong))
    return row


def _grading(item: Item, question: str, pictures: list[bytes], settings: Settings) -> Graded:
    how = graded(item.answer, question, item.verifier, item.options)
    params = {**how.params, **item.params}
    if how.verifier == "boxes" and "gold_scale" in params and settings.pixels and pictures:
        size = size_of(pictures[0])
        try:
            params["size"] = list(settings.rules.resized(size)) if size else None
        except ValueError as error:
            raise Unfit("aspect ratio", str(error)) from error
    how = replace(how, params=params)
    if problem := gold_problem(how):
        raise Unfit("gold is not right against itself", problem)
    return how


def _kind_of(problem: str) -> str:
    return "placeholders and images differ" if "placeholders" in problem else "row does not fit the schema"
