"""MathVerse testmini (Zhang et al. 2024, arXiv 2403.14624): 788 problems in five versions, from text to picture alone.

Files: AI4Math/MathVerse, testmini.parquet (3,940 rows), columns sample_index, problem_index, problem_version, question,
image, answer, question_type, metadata.
Official rule ("w/o" score): accuracy per version, and over all rows; judged there by GPT-4, here by the verifiers. The
headline here is the version Vision Only, which the Metis-SPECS paper reports as "MathVerse (vision)" [inferred].
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from specs_verl.measure.benchmarks.benchmark import (
    OVERALL,
    Benchmark,
    Question,
    Scores,
    accuracy_by,
    marked,
    mean_right,
)
from specs_verl.measure.benchmarks.source import Row, picture, table, text_of

VISION_ONLY = "Vision Only"
NEEDED = ("sample_index", "problem_index", "problem_version", "question", "image", "answer", "question_type")

_OPTION = re.compile(r"(?m)^\s*\(?([A-H])[:.)]\s*(.+?)\s*$")
_ASKED = "According to the question shown in the image, answer it."


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the official split."""
    return table(folder, "testmini", NEEDED)


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    version = text_of(row, "problem_version", place)
    found = row.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    # Of the version Vision Only the whole question is in the picture.
    text = str(row["question"] or "").strip() or _ASKED
    is_choice = row["question_type"] == "multi-choice"
    options = dict(_OPTION.findall(text)) if is_choice else {}
    return Question(
        id=f"{row['problem_index']}-{row['sample_index']}",
        text=marked(text, 1),
        images=(picture(row["image"], row["image"], folder, place),),
        answer=text_of(row, "answer", place),
        verifier="choice" if is_choice else "math",
        params={"options": options} if len(options) > 1 else {},
        groups={
            "problem_version": version,
            "subject": str(metadata.get("subject")),
            "question_type": str(row["question_type"]),
        },
    )


def scores(frame: pd.DataFrame) -> Scores:
    """Vision Only as the headline where it is there, accuracy per version, and over all rows."""
    found = accuracy_by("problem_version", "subject", "question_type")(frame)
    found["all versions"] = found[OVERALL]
    vision = frame[frame["problem_version"] == VISION_ONLY]
    return found | ({OVERALL: mean_right(vision)} if len(vision) else {})


MATHVERSE = Benchmark(
    name="mathverse",
    title="MathVerse",
    split="testmini",
    size=3940,
    source="AI4Math/MathVerse",
    rule="accuracy of the version Vision Only; by version and over all rows beside it; no score of single steps",
    rows=rows,
    question=question,
    scores=scores,
    vlmevalkit={
        f"MathVerse_MINI{version}": "{problem_index}-{sample_index}"
        for version in ("_Vision_Only", "_Vision_Dominant", "_Vision_Intensive", "_Text_Lite", "_Text_Dominant", "")
    },
)
