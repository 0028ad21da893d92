"""DynaMath (Zou et al. 2024, arXiv 2411.00836): 501 seed questions, ten drawn variants of each.

Files: DynaMath/DynaMath_Sample, data/sample_variant1-*.parquet to sample_variant10-*.parquet, columns id, question,
decoded_image, ground_truth, answer_type (multiple choice, float, text), subject, knowledge_level.
Official rule: a float is right within 0.001. Average accuracy over all variants; worst-case accuracy: the share of seed
questions whose ten variants are all right; reasoning robustness: worst case over average.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from specs_verl.measure.benchmarks.benchmark import Benchmark, Question, Scores, accuracy_by, marked
from specs_verl.measure.benchmarks.source import Row, picture, table, text_of

VARIANTS = 10
WORST = "worst case"
NEEDED = ("id", "question", "ground_truth", "answer_type", "subject", "knowledge_level")

_GRADING: dict[str, tuple[str, dict[str, object]]] = {
    "multiple choice": ("choice", {}),
    "float": ("number", {"abs_tol": 0.001}),
}


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """All variants, variant after variant."""
    for variant in range(1, VARIANTS + 1):
        for place, row in table(folder, f"sample_variant{variant}-", NEEDED):
            yield place, {**row, "variant": variant}


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    verifier, params = _GRADING.get(str(row["answer_type"]), ("text", {}))
    seed_question, variant = text_of(row, "id", place), row["variant"]
    text = text_of(row, "question", place)
    if verifier == "number":
        text += " Give the answer with three decimal places."
    return Question(
        id=f"{seed_question}-v{variant}",
        text=marked(text, 1),
        images=(picture(row.get("decoded_image"), row.get("image"), folder, place),),
        answer=text_of(row, "ground_truth", place),
        verifier=verifier,
        params=dict(params),
        groups={
            "seed_question": seed_question,
            "variant": str(variant),
            "subject": str(row["subject"]),
            "knowledge_level": str(row["knowledge_level"]),
        },
    )


def scores(frame: pd.DataFrame) -> Scores:
    """Average, worst case and robustness; with several samples per question the worst case of each sample number."""
    found = accuracy_by("subject", "knowledge_level")(frame)
    worst = float(frame.groupby(["sample", "seed_question"])["right"].all().mean())
    found[WORST] = worst
    found["reasoning robustness"] = worst / found["ALL"] if found["ALL"] > 0 else 0.0
    return found


DYNAMATH = Benchmark(
    name="dynamath",
    title="DynaMath",
    split="sample_variant1 to 10",
    size=5010,
    source="DynaMath/DynaMath_Sample",
    rule="average accuracy over ten variants; worst case: all ten right; floats within 0.001",
    rows=rows,
    question=question,
    scores=scores,
    vlmevalkit={"DynaMath": "{qid}-v{varid}"},
)
