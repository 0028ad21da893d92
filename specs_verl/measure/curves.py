"""Training logs -> curves for the report: verl's GRPO metrics and the cold start's.

    grpo_curves([Path("zero/metrics.jsonl")], rollouts=Path("zero/rollouts"))   # {"score": Curve, "accuracy": ..., ...}
    cold_start_curves([Path("cold_start/metrics.jsonl")])                       # {"chosen": Curve, "margin": ..., ...}

verl's `file` logger writes one object {"step": 3, "data": {"critic/score/mean": 0.4}} per line and empties its file
when a run is resumed, so a run may have several files: they are merged, the later file wins where steps overlap.
What a log lacks is left out of the answer; a line cut short by a kill and values that are no numbers are skipped.

Stock verl logs neither accuracy nor format compliance of training batches. With `trainer.rollout_data_dir` it dumps
every response with its score, and both are recovered from there (`rollout_shares`).

Not here: drawing (charts.py).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from specs_verl.errors import UserError

# For each curve the keys that may hold it, best first. `*` stands for one data source in verl's validation keys.
GRPO_KEYS: dict[str, tuple[str, ...]] = {
    "score": ("critic/score/mean", "critic/rewards/mean"),
    "accuracy": ("critic/acc/mean", "reward_extra/acc/mean", "reward/acc/mean", "reward_extra_info/acc/mean"),
    "format": ("critic/format/mean", "reward_extra/format/mean", "reward/format/mean", "reward_extra_info/format/mean"),
    "length": ("response_length/mean", "response_length_non_aborted/mean"),
    "policy_loss": ("actor/pg_loss", "actor/loss"),
    "grad_norm": ("actor/grad_norm",),
}
VALIDATION_KEYS: dict[str, str] = {
    "accuracy": r"val-(?:core|aux)/.+/acc/mean@\d+",
    "format": r"val-(?:core|aux)/.+/format/mean@\d+",
}
COLD_START_KEYS: dict[str, tuple[str, ...]] = {
    "chosen": ("rewards/chosen", "train/rewards/chosen"),
    "rejected": ("rewards/rejected", "train/rewards/rejected"),
    "margin": ("rewards/margin", "rewards/margins", "train/rewards/margin"),
    "accuracy": ("rewards/accuracy", "rewards/accuracies", "train/rewards/accuracy"),
    "loss": ("loss", "train/loss"),
}


@dataclass(frozen=True)
class Curve:
    """One quantity over training steps; steps rise, values are finite, and there is at least one point."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, points: Mapping[int, float]) -> Curve:
        steps = tuple(sorted(points))
        return cls(steps, tuple(points[step] for step in steps))


def read_steps(paths: Iterable[Path]) -> dict[int, dict[str, float]]:
    """Finite numbers by step and key, from verl's {"step", "data"} lines or flat lines with a "step" key."""
    steps: dict[int, dict[str, float]] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UserError(f"{path}: cannot read the training log ({error.strerror or error}).") from error
        records = [record for line in lines if (record := _record(line)) is not None]
        if lines and not records:
            raise UserError(f"{path}: not one line is a JSON object with a `step`; this is no training log.")
        for step, values in records:
            steps.setdefault(step, {}).update(values)
    return steps


def _record(line: str) -> tuple[int, dict[str, float]] | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:  # the last line of a killed run
        return None
    if not isinstance(entry, dict) or not _is_number(entry.get("step")):
        return None
    data = entry["data"] if isinstance(entry.get("data"), dict) else entry
    return int(entry["step"]), {key: float(value) for key, value in data.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def grpo_curves(paths: Sequence[Path], rollouts: Path | None = None) -> dict[str, Curve]:
    """Curves by the names of GRPO_KEYS of one GRPO run, as far as its logs hold them.

    Accuracy and format are taken from the training metrics, else from the rollout dumps, else from validation steps.
    """
    steps = read_steps(paths)
    curves = _by_keys(steps, GRPO_KEYS)
    if rollouts is not None:
        curves = {**rollout_shares(rollouts), **curves}
    for name, pattern in VALIDATION_KEYS.items():
        if name not in curves:
            points = _validation_points(steps, re.compile(pattern))
            if points:
                curves[name] = Curve.of(points)
    return curves


def cold_start_curves(paths: Sequence[Path]) -> dict[str, Curve]:
    """Curves `chosen`, `rejected`, `margin`, `accuracy` (of the implicit rewards) and `loss` of one cold start."""
    return _by_keys(read_steps(paths), COLD_START_KEYS)


def _by_keys(steps: dict[int, dict[str, float]], wanted: dict[str, tuple[str, ...]]) -> dict[str, Curve]:
    curves = {}
    for name, keys in wanted.items():
        key = next((key for key in keys if any(key in values for values in steps.values())), None)
        if key is not None:
            curves[name] = Curve.of({step: values[key] for step, values in steps.items() if key in values})
    return curves


def _validation_points(steps: dict[int, dict[str, float]], pattern: re.Pattern[str]) -> dict[int, float]:
    """Mean over data sources, where several are validated."""
    points = {}
    for step, values in steps.items():
        found = [value for key, value in values.items() if pattern.fullmatch(key)]
        if found:
            points[step] = sum(found) / len(found)
    return points


def rollout_shares(
    directory: Path,
    format_check: Callable[[str], bool] | None = None,
    accuracy_weight: float = 1.0,
    format_weight: float = 0.5,
) -> dict[str, Curve]:
    """Share of well-formed and of right responses per step, from verl's `trainer.rollout_data_dir` dumps.

    The format is checked anew on the text. The accuracy is what the score holds beyond the format's share; where that
    is no number in [0, 1] the reward was made of other parts, and accuracy is left out rather than guessed.
    """
    if format_check is None:
        from reward_fns.formats import think_answer

        format_check = think_answer
    well_formed: dict[int, float] = {}
    right: dict[int, float] = {}
    explained = True
    files = sorted(directory.glob("*.jsonl")) if directory.is_dir() else []
    for path in files:
        if not path.stem.isdigit():
            continue
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        rows = [row for row in rows if isinstance(row.get("output"), str) and _is_number(row.get("score"))]
        if not rows:
            continue
        formats = [1.0 if format_check(row["output"]) else 0.0 for row in rows]
        accuracies = [
            (row["score"] - format_weight * ok) / accuracy_weight for row, ok in zip(rows, formats, strict=True)
        ]
        explained = explained and all(-1e-6 <= value <= 1 + 1e-6 for value in accuracies)
        well_formed[int(path.stem)] = sum(formats) / len(rows)
        right[int(path.stem)] = sum(accuracies) / len(rows)
    curves = {}
    if well_formed:
        curves["format"] = Curve.of(well_formed)
        if explained:
            curves["accuracy"] = Curve.of(right)
    return curves


def running_mean(curve: Curve, window: int) -> Curve:
    """Centred mean over ``window`` points (odd); at both ends over those of them that exist."""
    half = window // 2
    parts = [curve.values[max(0, index - half) : index + half + 1] for index in range(len(curve.values))]
    return Curve(curve.steps, tuple(sum(part) / len(part) for part in parts))


def thinned(curve: Curve, limit: int = 160) -> Curve:
    """At most ``limit`` points, each the mean of its neighbours: a page need not carry every step of a long run."""
    if len(curve.steps) <= limit:
        return curve
    bounds = [round(index * len(curve.steps) / limit) for index in range(limit + 1)]
    pairs = list(pairwise(bounds))
    return Curve(
        tuple(curve.steps[(first + last - 1) // 2] for first, last in pairs),
        tuple(sum(curve.values[first:last]) / (last - first) for first, last in pairs),
    )
