"""Graded rollouts -> the numbers of one model, as one JSON file that the gate and the report read.

    figures = set_figures(frame)              # frame: one line per response, columns GRADED_COLUMNS
    write_metrics(path, ModelMetrics("final", 0, {"test": SetMetrics("id", figures, ...)}))
    read_metrics(path)                        # raises UserError when the file is not one of ours

Not here: reading and grading responses (rollouts.py, specs_verl.grading).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.files import write_text
from specs_verl.errors import UserError
from specs_verl.measure.answers import majority_at_k
from specs_verl.measure.bootstrap import mean_intervals
from specs_verl.measure.exploration import BranchingBounds, Exploration, exploration
from specs_verl.measure.passk import pass_at_k, reported_ks

SCHEMA = 2
ROLES = ("id", "ood", "control")
GRADED_COLUMNS = (
    "row",  # number of the prompt in its data set
    "row_id",
    "sample",
    "data_source",
    "task",
    "verifier",
    "asked_format",
    "right",  # whether the answer counts for pass@k
    "acc",  # credit for the answer in [0, 1]
    "format",  # whether the response has the form its prompt asked for
    "score",  # the training reward
    "extracted",  # the answer as it was read
    "status",  # right, wrong, no_answer, unparsable_gold, timeout or error
    "n_tokens",
    "finish_reason",
)


@dataclass(frozen=True)
class Figures:
    """What is measured on a group of responses; shares in [0, 1], lengths in tokens.

    `intervals` holds the 95 % bootstrap interval over prompts of accuracy, format, both, mean_tokens, truncated, and of
    pass@k and majority@k under these names.
    """

    prompts: int
    responses: int
    accuracy: float
    format: float
    score: float
    pass_at_k: dict[int, float]
    mean_tokens: float
    truncated: float
    no_answer: float
    timeouts: int
    unparsable_golds: int
    errors: int = 0
    """Responses on which the verifier itself failed."""
    both: float = 0.0
    """Share of responses in the asked format *and* right."""
    majority_at_k: dict[int, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SetMetrics:
    """One model on one data set: overall, with 95 % bootstrap intervals over prompts, and broken down."""

    role: str  # id: as in training; ood: another output format is asked; control: e.g. shuffled images
    overall: Figures
    accuracy_interval: tuple[float, float]
    format_interval: tuple[float, float]
    by_task: dict[str, Figures]
    by_format: dict[str, Figures]
    by_data_source: dict[str, Figures]
    by_verifier: dict[str, Figures] = field(default_factory=dict)
    exploration: Exploration | None = None
    skipped_prompts: int = 0  # longer than the engine's limit, never sampled
    graded: str = ""  # directory of the graded rollouts, relative to the metrics file
    prompts_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelMetrics:
    """All that was measured on one checkpoint; `seed` names the training seed, for the spread over seeds."""

    model: str
    seed: int
    sets: dict[str, SetMetrics] = field(default_factory=dict)
    path: Path | None = None

    def of_role(self, role: str) -> dict[str, SetMetrics]:
        """The data sets with that role, in the order of evaluation."""
        return {name: metrics for name, metrics in self.sets.items() if metrics.role == role}

    def in_distribution(self) -> SetMetrics:
        """The in-distribution set that tables show: the first one."""
        sets = self.of_role("id")
        if not sets:
            raise UserError(
                f"{self.path or self.model}: no in-distribution set was evaluated. Evaluate one with role `id`."
            )
        return next(iter(sets.values()))


def _without_parameters(frame: pd.DataFrame) -> pd.DataFrame:
    """Formats by their names alone: what follows a colon are parameters, such as the names of tags."""
    return frame.assign(asked_format=frame["asked_format"].str.partition(":")[0])


def set_metrics(
    frame: pd.DataFrame,
    role: str,
    skipped_prompts: int = 0,
    graded: str = "",
    prompts_files: tuple[str, ...] = (),
    branching: BranchingBounds | None = None,
) -> SetMetrics:
    """All figures of one data set; ``frame`` has GRADED_COLUMNS and one line per response."""
    overall = figures(frame)
    return SetMetrics(
        role=role,
        overall=overall,
        accuracy_interval=overall.intervals["accuracy"],
        format_interval=overall.intervals["format"],
        by_task=_broken_down(frame, "task", overall),
        by_format=_broken_down(_without_parameters(frame), "asked_format", overall),
        by_data_source=_broken_down(frame, "data_source", overall),
        by_verifier=_broken_down(frame, "verifier", overall),
        exploration=exploration(frame, branching),
        skipped_prompts=skipped_prompts,
        graded=graded,
        prompts_files=prompts_files,
    )


def figures(frame: pd.DataFrame) -> Figures:
    """Figures of a group of responses; every prompt counts the same, also should their numbers of responses differ."""
    if frame.empty:
        raise ValueError("No responses: nothing can be measured.")
    work = frame.assign(
        accuracy=frame["acc"],
        format=frame["format"].astype(float),
        both=(frame["format"].astype(bool) & frame["right"].astype(bool)).astype(float),
        mean_tokens=frame["n_tokens"].astype(float),
        truncated=(frame["finish_reason"] == "length").astype(float),
    )
    groups = work.groupby("row")  # in the order of rows, as majority_at_k has it
    per_prompt = groups[["accuracy", "format", "both", "score", "mean_tokens", "truncated"]].mean()
    n = groups.size().to_numpy()
    right = groups["right"].sum().to_numpy().astype(np.int64)
    ks = reported_ks(int(n.min()))
    columns = {name: per_prompt[name].to_numpy() for name in per_prompt if name != "score"}
    columns |= {f"pass@{k}": np.asarray(pass_at_k(n, right, k)) for k in ks}
    columns |= {f"majority@{k}": majority_at_k(frame, k).to_numpy() for k in ks}
    intervals = mean_intervals(columns)
    return Figures(
        prompts=len(per_prompt),
        responses=len(frame),
        accuracy=intervals["accuracy"].value,
        format=intervals["format"].value,
        score=float(per_prompt["score"].mean()),
        both=intervals["both"].value,
        pass_at_k={k: intervals[f"pass@{k}"].value for k in ks},
        majority_at_k={k: intervals[f"majority@{k}"].value for k in ks},
        mean_tokens=float(frame["n_tokens"].mean()),
        truncated=float(work["truncated"].mean()),
        no_answer=float((frame["status"] == "no_answer").mean()),
        timeouts=int((frame["status"] == "timeout").sum()),
        errors=int((frame["status"] == "error").sum()),
        unparsable_golds=int(frame.loc[frame["status"] == "unparsable_gold", "row"].nunique()),
        intervals={name: (interval.low, interval.high) for name, interval in intervals.items()},
    )


def _broken_down(frame: pd.DataFrame, column: str, overall: Figures) -> dict[str, Figures]:
    groups = frame.groupby(column, sort=True)
    if groups.ngroups == 1:
        return {str(name): overall for name in groups.groups}
    return {str(name): figures(group) for name, group in groups}


def write_metrics(path: Path, metrics: ModelMetrics) -> None:
    """Write one model's metrics, whole or not at all."""
    content = {"schema": SCHEMA, **asdict(metrics)}
    del content["path"]
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_metrics(path: Path) -> ModelMetrics:
    """Read what `write_metrics` wrote; a directory stands for the `metrics.json` in it."""
    if path.is_dir():
        path = path / "metrics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the metrics ({error.strerror or error}). Run `specs evaluate` first."
        ) from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error}). Pass a metrics.json of `specs evaluate`.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError(f"{path}: not a metrics file of this version (schema {SCHEMA}). Run `specs evaluate` again.")
    try:
        sets = {name: _set_from(values) for name, values in content["sets"].items()}
        return ModelMetrics(str(content["model"]), int(content["seed"]), sets, path)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged ({type(error).__name__}: {error}). Run `specs evaluate` again.") from error


def _set_from(values: Mapping[str, Any]) -> SetMetrics:
    fields: dict[str, Any] = dict(values)
    fields["overall"] = _figures_from(fields["overall"])
    for key in ("by_task", "by_format", "by_data_source", "by_verifier"):
        fields[key] = {name: _figures_from(group) for name, group in fields[key].items()}
    fields["exploration"] = _exploration_from(fields["exploration"])
    for key in ("accuracy_interval", "format_interval", "prompts_files"):
        fields[key] = tuple(fields[key])
    return SetMetrics(**fields)


def _figures_from(values: Mapping[str, Any]) -> Figures:
    by_k = {
        name: {int(k): float(value) for k, value in values[name].items()} for name in ("pass_at_k", "majority_at_k")
    }
    intervals = {name: (float(low), float(high)) for name, (low, high) in values["intervals"].items()}
    fields: dict[str, Any] = {**values, **by_k, "intervals": intervals}
    made = Figures(**fields)
    if not math.isfinite(made.accuracy):
        raise ValueError("accuracy is not a number")
    return made


def _exploration_from(values: Mapping[str, Any] | None) -> Exploration | None:
    if values is None:
        return None
    branching = values["branching"]
    return Exploration(**{**values, "branching": None if branching is None else BranchingBounds(**branching)})
