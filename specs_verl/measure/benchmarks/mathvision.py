"""MATH-Vision (Wang et al. 2024, arXiv 2402.14804): 3,040 competition problems, 16 subjects, five levels.

Files: MathLLMs/MathVision, data/test-*.parquet, columns id, question (with <image1>), options, decoded_image,
answer, level, subject.
Official rule (evaluation/evaluate.py): accuracy over the test split, and by subject and level; an answer is right as
the option's letter or text, or as an equal expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from specs_verl.measure.benchmarks.benchmark import LETTERS, Benchmark, Question, accuracy_by, marked, with_options
from specs_verl.measure.benchmarks.source import Row, list_of, picture, table, text_of

_MARK = re.compile(r"<image\d+>")


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the official split."""
    return table(folder, "test-", ("id", "question", "options", "answer", "level", "subject"))


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    options = list_of(row["options"], place)
    text = _MARK.sub("", text_of(row, "question", place)).strip()
    # Options that are mere letters are drawn in the picture.
    drawn = options == list(LETTERS[: len(options)])
    if options:
        text = with_options(text, options)
    return Question(
        id=text_of(row, "id", place),
        text=marked(text, 1),
        images=(picture(row.get("decoded_image"), row.get("image"), folder, place),),
        answer=text_of(row, "answer", place),
        verifier="choice" if options else "math",
        params={"options": options} if options and not drawn else {},
        groups={"subject": str(row["subject"]), "level": str(row["level"])},
    )


MATHVISION = Benchmark(
    name="mathvision",
    title="MATH-Vision",
    split="test",
    size=3040,
    source="MathLLMs/MathVision",
    rule="accuracy over all questions",
    rows=rows,
    question=question,
    scores=accuracy_by("subject", "level"),
    vlmevalkit={"MathVision": "{index}", "MathVision_MINI": "{index}"},
)
