"""Generalization Factor over the steps of a cold start, in two definitions side by side.

    curve = gf_curve("dpo_sft", {0: base_metrics, 5: ..., 10: ...}, "compliance")
    curve.best                                  # the step with the highest factor

    compliance        share of responses in the asked format: what the paper's figure shows
    right             share of responses in the asked format *and* right: a format learned at the price of answers
                      does not count

ID is the in-distribution set; OOD is the mean over output formats, each counting the same, as in weighted_ood_mean.
Not here: the arithmetic (generalization.py), sampling (gf_command.py, probe.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from specs_verl.errors import UserError
from specs_verl.measure.generalization import generalization
from specs_verl.measure.metrics import Figures, ModelMetrics

DEFINITIONS = ("compliance", "right")

PAPER_START = {"id": 0.26, "ood": 0.01}
"""Where the paper's base model starts, read off its figure."""

NEAR_PAPER = 0.05
"""A format with less compliance than this before training behaves like the paper's unseen formats."""


@dataclass(frozen=True)
class GfCurve:
    """One run under one definition; shares in [0, 1], one value per step, step 0 first."""

    run: str
    definition: str
    steps: tuple[int, ...]
    id: tuple[float, ...]
    ood: tuple[float, ...]
    gf: tuple[float, ...]
    by_format: dict[str, tuple[float, ...]]

    @property
    def best(self) -> int:
        """The trained step with the highest factor, the first of equals."""
        trained = [(factor, -step) for step, factor in zip(self.steps, self.gf, strict=True) if step > 0]
        return -max(trained)[1]


def curve_from(entry: Mapping[str, Any]) -> GfCurve:
    """A curve as `specs gf RUN` writes it into gf.json; KeyError, TypeError or ValueError when it is none."""
    inside, outside, factor = (tuple(map(float, entry[name])) for name in ("id", "ood", "gf"))
    by_format = {name: tuple(map(float, values)) for name, values in entry["by_format"].items()}
    steps = tuple(map(int, entry["steps"]))
    return GfCurve(entry["run"], entry["definition"], steps, inside, outside, factor, by_format)


def share(figures: Figures, definition: str) -> float:
    """What a definition counts."""
    if definition not in DEFINITIONS:
        raise UserError(f"{definition!r}: the definitions are {' and '.join(DEFINITIONS)}.")
    return figures.format if definition == "compliance" else figures.both


def formats_of(metrics: ModelMetrics, definition: str) -> dict[str, float]:
    """Share per output format over all out-of-distribution sets."""
    found: dict[str, list[float]] = {}
    for evaluated in metrics.of_role("ood").values():
        for name, figures in evaluated.by_format.items():
            found.setdefault(name, []).append(share(figures, definition))
    if not found:
        raise UserError(f"{metrics.path or metrics.model}: no out-of-distribution set, so there is no factor.")
    return {name: sum(values) / len(values) for name, values in sorted(found.items())}


def gf_curve(run: str, by_step: Mapping[int, ModelMetrics], definition: str, beta: float = 2.0) -> GfCurve:
    """The curve of one run.

    Args:
        by_step: metrics of the checkpoints by step; step 0 is the model that training started from.
        definition: one of DEFINITIONS.
        beta: weight of OOD, see factor_from_gains.
    """
    if 0 not in by_step or len(by_step) < 2:
        raise UserError(f"{run}: gains need the model before training (step 0) and at least one step after it.")
    steps = tuple(sorted(by_step))
    inside = [share(by_step[step].in_distribution().overall, definition) for step in steps]
    outside = [formats_of(by_step[step], definition) for step in steps]
    names = set(outside[0])
    for step, formats in zip(steps, outside, strict=True):
        if set(formats) != names:
            raise UserError(f"{run}, step {step}: other output formats were asked than at step 0. Sample again.")
    by_format = {name: tuple(formats[name] for formats in outside) for name in sorted(names)}
    found = generalization(inside, {name: list(values) for name, values in by_format.items()}, beta)
    mean = tuple(sum(formats.values()) / len(formats) for formats in outside)
    return GfCurve(run, definition, steps, tuple(inside), mean, tuple(np.atleast_1d(found.factor).tolist()), by_format)


def starts_as_in_the_paper(metrics: ModelMetrics) -> dict[str, bool]:
    """Per output format, whether this base hardly obeys it before training: the paper's setting starts near 1 %.

    Judged by the upper end of the 95 % interval, so a format that was asked too rarely does not pass.
    """
    found: dict[str, bool] = {}
    for evaluated in metrics.of_role("ood").values():
        for name, figures in evaluated.by_format.items():
            # No success in n prompts leaves up to 3 / n (rule of three); the bootstrap interval would be a point.
            upper = max(figures.intervals.get("format", (0.0, figures.format))[1], min(1.0, 3 / figures.prompts))
            found[name] = found.get(name, True) and upper <= NEAR_PAPER
    return dict(sorted(found.items()))
