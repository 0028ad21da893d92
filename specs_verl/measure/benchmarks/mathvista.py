"""MathVista testmini (Lu et al. 2024, arXiv 2310.02255): 1,000 questions of 28 data sets, choices and free numbers.

Files: AI4Math/MathVista, data/testmini-*.parquet, columns pid, question, decoded_image, choices, unit, precision,
answer, question_type, answer_type, metadata.
Official rule (evaluation/calculate_score.py): an extracted answer is right when it equals the gold after
normalisation: the option for choices, int() for integers, rounding to `precision` for floats; accuracy over all 1,000.
Extraction there is by GPT-4; here by the verifiers, which read the answer in any form.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from specs_verl.measure.benchmarks.benchmark import LETTERS, Benchmark, Question, accuracy_by, marked, with_options
from specs_verl.measure.benchmarks.source import BrokenRowError, Row, list_of, picture, table, text_of

NEEDED = ("pid", "question", "choices", "unit", "precision", "answer", "question_type", "answer_type", "metadata")


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the official split."""
    return table(folder, "testmini", NEEDED)


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    metadata = row["metadata"] if isinstance(row["metadata"], dict) else {}
    text = text_of(row, "question", place)
    if row["unit"]:
        text += f" (Unit: {row['unit']})"
    answer, options = text_of(row, "answer", place), list_of(row["choices"], place)
    verifier, params = _grading(row, options, place)
    if verifier == "choice":
        text, answer = with_options(text, options), _letter(answer, options, place)
    elif row["answer_type"] == "float" and row["precision"] is not None:
        text += f" Give the answer with {int(cast(float, row['precision']))} decimal places."
    return Question(
        id=text_of(row, "pid", place),
        text=marked(text, 1),
        images=(picture(row.get("decoded_image"), row.get("image"), folder, place),),
        answer=answer,
        verifier=verifier,
        params=params,
        groups={name: str(metadata.get(name)) for name in ("task", "category", "source")}
        | {"question_type": str(row["question_type"]), "answer_type": str(row["answer_type"])},
    )


def _grading(row: Row, options: list[str], place: str) -> tuple[str, dict[str, object]]:
    if row["question_type"] == "multi_choice":
        if not options:
            raise BrokenRowError(f"{place}: a choice without `choices`.")
        return "choice", {"options": options}
    kind = row["answer_type"]
    if kind == "integer":
        return "number", {"answer_type": "integer"}
    if kind == "float":
        return "number", {} if row["precision"] is None else {"precision": int(cast(float, row["precision"]))}
    return "math", {}


def _letter(answer: str, options: list[str], place: str) -> str:
    if answer not in options:
        raise BrokenRowError(f"{place}: the answer {answer[:40]!r} is none of the choices.")
    return LETTERS[options.index(answer)]


MATHVISTA = Benchmark(
    name="mathvista",
    title="MathVista",
    split="testmini",
    size=1000,
    source="AI4Math/MathVista",
    rule="accuracy over all questions (calculate_score.py); answers extracted by rule, not by GPT-4",
    rows=rows,
    question=question,
    scores=accuracy_by("task", "category", "question_type", "answer_type"),
    vlmevalkit={"MathVista_MINI": "{index}"},
)
