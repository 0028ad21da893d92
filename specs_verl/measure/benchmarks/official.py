"""The official score of a benchmark from graded responses, and everything that must stand beside it.

    score = official_score(Path("data/mathvista.parquet"), graded, run)
    score.line        # "MathVista testmini: 63.7 (60.9 to 66.6), 1,000 questions, 1 sample each; prompt specs 1a2b..."

A number of a benchmark depends on the prompt, on who reads the answer and on the longest response: they are part of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import OVERALL
from specs_verl.measure.benchmarks.prepare import Prepared, about
from specs_verl.measure.benchmarks.registry import chosen
from specs_verl.measure.bootstrap import mean_interval


@dataclass(frozen=True)
class OfficialScore:
    """Scores in [0, 1] with what they depend on."""

    benchmark: str
    title: str
    split: str
    scores: dict[str, float]
    interval: tuple[float, float] | None
    """95 % over questions, where the headline is the mean over questions; None for scores that are no mean."""

    questions: int
    expected: int
    samples: int
    rule: str
    prompt: str
    extractor: str
    max_tokens: int | None
    truncated: float
    versions: dict[str, str]
    line: str = ""
    """One sentence with everything in it."""

    def sentence(self) -> str:
        """What `line` holds."""
        edges = "" if self.interval is None else " ({:.1f} to {:.1f})".format(*(100 * edge for edge in self.interval))
        missing = "" if self.questions == self.expected else f" of {self.expected:,}"
        parts = (
            f"{self.title} {self.split}: {100 * self.scores[OVERALL]:.1f}{edges}",
            f"{self.questions:,}{missing} questions, {self.samples} response{'s' if self.samples > 1 else ''} each",
            self.rule,
            f"prompt {self.prompt}",
            f"answers read by {self.extractor}",
            f"at most {self.max_tokens} tokens, {100 * self.truncated:.1f} % cut off",
            ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        )
        return "; ".join(parts)


def official_score(
    prepared: Path, graded: pd.DataFrame, manifest: Mapping[str, object], extractor: str
) -> OfficialScore:
    """The score of graded responses to a prepared file; UserError where the file is no benchmark (see about).

    Args:
        graded: one line per response with columns row, sample, right, finish_reason.
        manifest: of the sampling run: parameters and versions.
        extractor: who read the answers, for the line.
    """
    made = about(prepared)
    if made is None:
        raise UserError(f"{prepared}: not a benchmark that `specs benchmark` has prepared.")
    benchmark = chosen(made.benchmark)
    frame = graded.merge(_groups(prepared), left_on="row", right_index=True, validate="many_to_one")
    scores = benchmark.scores(frame)
    per_question = frame.groupby("row")["right"].mean()
    interval = None
    if abs(float(per_question.mean()) - scores[OVERALL]) < 1e-12:
        bounds = mean_interval(per_question.to_numpy())
        interval = (bounds.low, bounds.high)
    parameters, versions = _section(manifest, "parameters"), _section(manifest, "versions")
    score = OfficialScore(
        benchmark=made.benchmark,
        title=benchmark.title,
        split=benchmark.split,
        scores=scores,
        interval=interval,
        questions=len(per_question),
        expected=made.expected,
        samples=int(frame.groupby("row").size().max()),
        rule=benchmark.rule,
        prompt=made.prompt,
        extractor=_extractor(made, extractor),
        max_tokens=parameters.get("max_tokens"),
        truncated=float((frame["finish_reason"] == "length").mean()),
        versions={name: str(number) for name, number in versions.items() if number},
    )
    return replace(score, line=score.sentence())


def _section(manifest: Mapping[str, object], name: str) -> Mapping[str, Any]:
    """A section of a manifest; empty where it is missing or something else."""
    found = manifest.get(name)
    return found if isinstance(found, dict) else {}


def _extractor(made: Prepared, extractor: str) -> str:
    return f"{extractor}, free answers by a judge" if made.judge else extractor


def _groups(prepared: Path) -> pd.DataFrame:
    """The groups of every question, one line per row."""
    extra = pq.read_table(prepared, columns=["extra_info"]).column(0).to_pylist()
    return pd.DataFrame([json.loads(info["groups"]) for info in extra])
