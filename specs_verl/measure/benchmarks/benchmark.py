"""What a benchmark is: how its published files are read, how an answer is graded, and its official score.

    for place, row in BENCHMARKS["mathvista"].rows(folder): BENCHMARKS["mathvista"].question(row, folder, place)
    BENCHMARKS["mathvista"].scores(frame)             # {"ALL": 0.63, "task=geometry problem solving": 0.7, ...}

`frame` has one line per graded response: columns row, sample, right (bool), and one column per name in Question.groups.
Not here: the prompt around a question (prepare.py) and grading (reward_fns).
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

OVERALL = "ALL"
LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Question:
    """One question of a benchmark."""

    id: str
    text: str
    """With one `<image>` per picture, options included."""

    images: tuple[dict[str, object], ...]
    answer: object
    verifier: str
    params: dict[str, object] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """What the official score is broken down or computed by."""


Scores = dict[str, float]
"""Shares in [0, 1] by name; OVERALL is the benchmark's headline number."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark in its published layout."""

    name: str
    title: str
    split: str
    size: int
    """Questions of the official split."""

    source: str
    """Where the files are published."""

    rule: str
    """The official scoring rule, and where ours differs."""

    rows: Callable[[Path], Iterator[tuple[str, dict[str, object]]]]
    """Rows of the official split below a folder, each with its place for messages."""

    question: Callable[[dict[str, object], Path, str], Question]
    """The question of a row; BrokenRowError where the row cannot be used."""

    scores: Callable[[pd.DataFrame], Scores]
    vlmevalkit: Mapping[str, str] = field(default_factory=dict)
    """Names of the data set in VLMEvalKit, whose evaluators can score our responses, each with our id of a question
    from the columns of its table."""


def mean_right(frame: pd.DataFrame) -> float:
    """Mean over questions of the share of right responses."""
    return float(frame.groupby("row")["right"].mean().mean())


def accuracy_by(*columns: str) -> Callable[[pd.DataFrame], Scores]:
    """Accuracy over all questions, and per value of each column."""

    def scores(frame: pd.DataFrame) -> Scores:
        found = {OVERALL: mean_right(frame)}
        for column in columns:
            for value, group in frame.groupby(column, sort=True):
                found[f"{column}={value}"] = mean_right(group)
        return found

    return scores


def with_options(text: str, options: Sequence[str]) -> str:
    """The question with its options under it, as (A), (B), ..."""
    lines = [f"({LETTERS[number]}) {option}" for number, option in enumerate(options)]
    return "\n".join([text.rstrip(), "Choices:", *lines])


def marked(text: str, images: int) -> str:
    """The text with one `<image>` per picture in front, unless it has its own."""
    return text if "<image>" in text else "<image>" * images + text
