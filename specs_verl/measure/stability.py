"""How smoothly an RL run went, from its logs: spikes, dips, gradient norm, groups that teach nothing.

    stability("final", grpo_curves(files, rollouts), groups_without_variance(rollouts))      # Stability
    outliers(curve)                                                                          # steps, above and below

A spike is a step whose value is further from the median of its neighbours than `THRESHOLD` robust standard deviations
(1.4826 times the median absolute deviation of all such residuals; Hampel 1974), so that a slow trend is no spike and
the spikes themselves do not widen the band. A format dip is such an outlier of format compliance downwards, and at
least a point deep. Not here: the curves (curves.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from specs_verl.measure.curves import Curve

THRESHOLD = 6.0
WINDOW = 11  # steps of the running median
LEAST_DIP = 0.01
TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution -> standard deviation


@dataclass(frozen=True)
class Stability:
    """One run; None where its logs do not say."""

    run: str
    steps: int
    loss_spikes: tuple[int, ...] | None
    """Steps at which the policy loss jumped, up or down."""

    format_dips: tuple[int, ...] | None
    grad_norm_median: float | None
    grad_norm_max: float | None
    no_variance: float | None
    """Mean share of prompts whose responses all got the same reward: they have no gradient in GRPO."""


def residuals(curve: Curve, window: int = WINDOW) -> np.ndarray:
    """Values minus the running median of ``window`` steps around them, shape (steps,)."""
    values, half = np.asarray(curve.values, dtype=np.float64), window // 2
    medians = [np.median(values[max(0, at - half) : at + half + 1]) for at in range(len(values))]
    return values - np.asarray(medians)


def outliers(
    curve: Curve, threshold: float = THRESHOLD, window: int = WINDOW
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Steps far above and steps far below their neighbours; none on a curve too short to judge."""
    if len(curve.values) < window:
        return (), ()
    found = residuals(curve, window)
    width = threshold * TO_SIGMA * float(np.median(np.abs(found)))
    # Where most steps lie exactly on the median there is no scale to judge by but rounding.
    width = max(width, 1e-9 * max(1.0, float(np.abs(curve.values).max())))
    steps = np.asarray(curve.steps)
    return tuple(steps[found > width].tolist()), tuple(steps[found < -width].tolist())


def stability(run: str, curves: Mapping[str, Curve], no_variance: Curve | None = None) -> Stability:
    """From the curves `policy_loss`, `format` and `grad_norm` of a run, as far as they are there."""
    loss, form, norm = (curves.get(name) for name in ("policy_loss", "format", "grad_norm"))
    spikes = None if loss is None else tuple(sorted(step for side in outliers(loss) for step in side))
    dips = None
    if form is not None:
        depth = dict(zip(form.steps, residuals(form), strict=True))
        dips = tuple(step for step in outliers(form)[1] if depth[step] <= -LEAST_DIP)
    return Stability(
        run=run,
        steps=max((curve.steps[-1] for curve in curves.values()), default=0),
        loss_spikes=spikes,
        format_dips=dips,
        grad_norm_median=None if norm is None else float(np.median(norm.values)),
        grad_norm_max=None if norm is None else max(norm.values),
        no_variance=None if no_variance is None else float(np.mean(no_variance.values)),
    )


def groups_without_variance(rollouts: Path) -> Curve | None:
    """Share of prompts per step whose responses all got the same reward, from verl's rollout dumps; None without any.

    Prompts are told apart by their text, so equal questions about different pictures count as one group.
    """
    points: dict[int, float] = {}
    for path in sorted(rollouts.glob("*.jsonl")) if rollouts.is_dir() else []:
        if not path.stem.isdigit():
            continue
        groups: dict[str, set[float]] = defaultdict(set)
        sizes: dict[str, int] = defaultdict(int)
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                key, score = str(row["input"]), round(float(row["score"]), 9)
            except (ValueError, KeyError, TypeError):  # a line that a kill cut short
                continue
            groups[key].add(score)
            sizes[key] += 1
        several = [scores for key, scores in groups.items() if sizes[key] > 1]
        if several:
            points[int(path.stem)] = sum(len(scores) == 1 for scores in several) / len(several)
    return Curve.of(points) if points else None
