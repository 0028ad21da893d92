"""We-Math testmini (Qiao et al. 2024, arXiv 2407.01284): two- and three-step problems with their single steps.

Files: We-Math/We-Math, testmini.json or testmini-*.parquet, columns ID, key (2steps_1, ..., 2steps_multi, 3steps_1,
...), question, option, answer, image_path. 1,740 questions of 525 problems.
Official rule (four-dimensional metrics): per problem, from its steps and its whole,
    insufficient knowledge     a step wrong, whole wrong           inadequate generalization   steps right, whole wrong
    complete mastery           steps right, whole right            rote memorization           a step wrong, whole right
score (strict) = 1 - (0.5 IG + RM + IK) / problems; loose: mastery already where one step is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import OVERALL, Benchmark, Question, Scores, marked, mean_right
from specs_verl.measure.benchmarks.source import Row, picture, table, text_of

_KEY = re.compile(r"([23])steps_(1|2|3|multi)")
_OPTION = re.compile(r"(?:^|[;；\n]\s*)([A-H])[.、:)]\s*(.+?)(?=[;；\n]\s*[A-H][.、:)]|$)", re.DOTALL)
LONGEST_OPTIONS = 4000


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the official split."""
    return table(folder, "testmini", ("ID", "key", "question", "option", "answer", "image_path"))


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    key = text_of(row, "key", place)
    if _KEY.fullmatch(key) is None:
        raise UserError(f"{place}: the key {key!r} is none of 2steps_1 to 3steps_multi.")
    written = str(row["option"] or "").strip()[:LONGEST_OPTIONS]
    options = dict(_OPTION.findall(written))
    text = text_of(row, "question", place) + (f"\nChoices:\n{written}" if written else "")
    return Question(
        id=f"{row['ID']}-{key}",
        text=marked(text, 1),
        images=(picture(row["image_path"], row["image_path"], folder, place),),
        answer=text_of(row, "answer", place),
        verifier="choice",
        params={"options": options} if len(options) > 1 else {},
        groups={"problem": f"{key[:6]}/{row['ID']}", "key": key},
    )


def scores(frame: pd.DataFrame) -> Scores:
    """Strict and loose score with their four shares, and accuracy by number of steps."""
    whole = frame[frame["key"].str.endswith("multi")].set_index(["sample", "problem"])["right"]
    steps = frame[~frame["key"].str.endswith("multi")].groupby(["sample", "problem"])["right"].agg(["all", "any"])
    table_ = steps.join(whole.rename("whole"), how="inner").astype(bool)
    if table_.empty:
        raise UserError("We-Math: no problem has its steps and its whole among the graded responses.")
    problems = len(table_)
    insufficient = (~table_["all"] & ~table_["whole"]).sum() / problems
    inadequate = (table_["all"] & ~table_["whole"]).sum() / problems
    found: Scores = {"insufficient knowledge": insufficient, "inadequate generalization": inadequate}
    for name, known in (("strict", table_["all"]), ("loose", table_["any"])):
        rote = (~known & table_["whole"]).sum() / problems
        found[f"rote memorization ({name})"] = rote
        found[f"complete mastery ({name})"] = (known & table_["whole"]).sum() / problems
        found[f"score ({name})"] = 1 - 0.5 * inadequate - rote - insufficient
    for label, part in (
        ("one-step", frame[~frame["key"].str.endswith("multi")]),
        ("two-step", frame[frame["key"] == "2steps_multi"]),
        ("three-step", frame[frame["key"] == "3steps_multi"]),
    ):
        if len(part):
            found[f"accuracy, {label}"] = mean_right(part)
    return {OVERALL: found["score (strict)"], **{name: float(value) for name, value in found.items()}}


WEMATH = Benchmark(
    name="wemath",
    title="We-Math",
    split="testmini",
    size=1740,
    source="We-Math/We-Math",
    rule="strict score of the four-dimensional metrics",
    rows=rows,
    question=question,
    scores=scores,
    vlmevalkit={"WeMath": "{ID}-{key}"},
)
