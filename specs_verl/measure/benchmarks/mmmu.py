"""MMMU validation (Yue et al. 2024, arXiv 2311.16502) and MMMU-Pro (arXiv 2409.02813): college questions, 30 subjects.

Files of MMMU: MMMU/MMMU, SUBJECT/validation-*.parquet, columns id, question (with <image 1>), options (a list written
as text), image_1 to image_7, answer, question_type, subfield. 900 questions.
Files of MMMU-Pro: MMMU/MMMU_Pro, "standard (10 options)/test-*.parquet" and "vision/test-*.parquet", 1,730 each; of
vision the question is in the picture.
Official rules: MMMU: accuracy over all questions (mmmu/main_eval_only.py), by subject; open questions have one or
several golds. MMMU-Pro: the mean of the accuracies of standard (10 options) and vision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import (
    OVERALL,
    Benchmark,
    Question,
    Scores,
    accuracy_by,
    marked,
    mean_right,
    with_options,
)
from specs_verl.measure.benchmarks.source import BrokenRowError, Row, list_of, picture, table, text_of

MOST_IMAGES = 7
STANDARD, VISION = "standard (10 options)", "vision"
_MARK = re.compile(r"<image (\d)>")


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the validation split, all subjects that are there."""
    return table(folder, "validation", ("id", "question", "options", "answer", "question_type"))


def question(row: Row, folder: Path, place: str) -> Question:
    """A question of MMMU."""
    found = _question(row, folder, place)
    subject = found.id.removeprefix("validation_").rpartition("_")[0]
    return replace(found, groups={"subject": subject, "question_type": str(row["question_type"])})


def pro_rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of both settings."""
    for setting in (STANDARD, VISION):
        if not (folder / setting).is_dir():
            raise UserError(f"{folder}: no folder `{setting}`. MMMU-Pro's score is the mean of both settings.")
        for place, row in table(folder / setting, "test", ("id", "options", "answer", "subject")):
            yield place, {**row, "setting": setting}


def pro_question(row: Row, folder: Path, place: str) -> Question:
    """A question of MMMU-Pro."""
    setting = str(row["setting"])
    found = _question(row, folder / setting, place)
    return replace(found, id=f"{setting}/{found.id}", groups={"setting": setting, "subject": str(row["subject"])})


def _question(row: Row, folder: Path, place: str) -> Question:
    options = list_of(row["options"], place)
    text = str(row.get("question") or "").strip() or "Answer the question in the image."
    text, images = _images(row, with_options(text, options) if options else text, folder, place)
    answer: object = text_of(row, "answer", place)
    if not options and str(answer).startswith("["):
        answer = list_of(answer, place)
    return Question(
        id=text_of(row, "id", place),
        text=text,
        images=images,
        answer=answer,
        verifier="choice" if options else "math",
        params={} if not options or _MARK.search("".join(options)) else {"options": options},
    )


def _images(row: Row, text: str, folder: Path, place: str) -> tuple[str, tuple[Row, ...]]:
    """The text with its marks in our form, and the pictures in the order of the marks; a picture shown twice is there
    twice."""
    if row.get("image") is not None:
        return marked(text, 1), (picture(row["image"], None, folder, place),)
    numbers = [int(number) for number in _MARK.findall(text)]
    if not numbers:
        raise BrokenRowError(f"{place}: the question names no picture.")
    if max(numbers) > MOST_IMAGES:
        raise BrokenRowError(f"{place}: the question names picture {max(numbers)} of {MOST_IMAGES}.")
    images = tuple(picture(row.get(f"image_{number}"), None, folder, place) for number in numbers)
    return _MARK.sub("<image>", text), images


def pro_scores(frame: pd.DataFrame) -> Scores:
    """The mean of both settings, then each of them and the subjects."""
    found = accuracy_by("setting", "subject")(frame)
    settings = [mean_right(group) for _, group in frame.groupby("setting")]
    return found | {OVERALL: sum(settings) / len(settings)}


MMMU = Benchmark(
    name="mmmu",
    title="MMMU",
    split="validation",
    size=900,
    source="MMMU/MMMU",
    rule="accuracy over all questions",
    rows=rows,
    question=question,
    scores=accuracy_by("subject", "question_type"),
    vlmevalkit={"MMMU_DEV_VAL": "{id}"},
)

MMMU_PRO = Benchmark(
    name="mmmu_pro",
    title="MMMU-Pro",
    split="test",
    size=3460,
    source="MMMU/MMMU_Pro",
    rule="mean of the accuracies of standard (10 options) and vision",
    rows=pro_rows,
    question=pro_question,
    scores=pro_scores,
    vlmevalkit={"MMMU_Pro_10c": f"{STANDARD}/{{id}}", "MMMU_Pro_V": f"{VISION}/{{id}}"},
)
