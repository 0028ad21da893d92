"""What the page shows of runs rather than of models: the factor over steps, stability, exploration, time and memory.

    gf_charts(curves, colours); stability_rows(found); exploration_rows(metrics); stage_rows(root)

Every function returns plain rows or charts for the template. Not here: the page (page.py), the figures themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from specs_verl.errors import UserError
from specs_verl.measure.charts import Series, legend, line_chart
from specs_verl.measure.curves import Curve
from specs_verl.measure.exploration import Exploration
from specs_verl.measure.gf_curve import GfCurve, curve_from
from specs_verl.measure.metrics import ModelMetrics, SetMetrics
from specs_verl.measure.page_parts import Chart
from specs_verl.measure.stability import Stability

Rows = tuple[tuple[str, ...], ...]

DEFINITION_NAMES = {"compliance": "compliance", "right": "compliance and right"}


def read_gf(path: Path) -> tuple[GfCurve, ...]:
    """The curves of a gf.json, or of the folder that `specs gf RUN` wrote."""
    file = path / "gf.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return tuple(map(curve_from, content["curves"]))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error}). Run `specs gf RUN` first.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not what `specs gf RUN` writes ({error}).") from error


def gf_charts(curves: Sequence[GfCurve], colours: Mapping[str, int]) -> list[Chart]:
    """Per definition one chart each of GF, ID and OOD, runs overlaid."""
    charts = []
    for definition, words in DEFINITION_NAMES.items():
        own = [curve for curve in curves if curve.definition == definition]
        for key, heading, caption in (
            ("gf", "Generalization Factor", "F-measure of the gains in and out of distribution (beta 2)."),
            ("id", "In distribution", "Share of responses on prompts that ask for the trained format."),
            ("ood", "Other formats", "Mean over output formats that were never trained."),
        ):
            if own:
                lines = {curve.run: Curve(curve.steps, getattr(curve, key)) for curve in own}
                charts.append(overlaid(f"{heading}, {words}", caption, lines, colours, percent=True))
    return charts


def overlaid(
    heading: str, caption: str, curves: Mapping[str, Curve], colours: Mapping[str, int], percent: bool = False
) -> Chart:
    """A chart of short curves, every point shown and listed."""
    series = [
        Series(name, colours.get(name.partition(" #")[0], number), curve.steps, curve.values)
        for number, (name, curve) in enumerate(curves.items())
    ]
    steps = sorted({step for curve in curves.values() for step in curve.steps})
    shown = steps if len(steps) <= 12 else steps[:: -(-len(steps) // 12)]
    by_step = {name: dict(zip(curve.steps, curve.values, strict=True)) for name, curve in curves.items()}
    unit = 100 if percent else 1
    return Chart(
        heading,
        caption,
        line_chart(heading, series, x_label="step", percent=percent, include_zero=percent),
        legend(series),
        ("step", *map(str, shown)),
        tuple(
            (name, *(f"{unit * values[step]:.1f}" if step in values else "-" for step in shown))
            for name, values in by_step.items()
        ),
        dict(curves),
    )


STABILITY_HEADINGS = (
    "run",
    "steps",
    "spikes of the policy loss",
    "format dips",
    "gradient norm, median",
    "largest",
    "groups without variance",
)


def stability_rows(found: Sequence[Stability]) -> Rows:
    """One line per run whose logs say anything; what they do not say is a dash."""
    return tuple(
        (
            entry.run,
            str(entry.steps),
            _steps(entry.loss_spikes),
            _steps(entry.format_dips),
            "-" if entry.grad_norm_median is None else f"{entry.grad_norm_median:.3g}",
            "-" if entry.grad_norm_max is None else f"{entry.grad_norm_max:.3g}",
            "-" if entry.no_variance is None else f"{100 * entry.no_variance:.1f} %",
        )
        for entry in found
        if any(
            known is not None
            for known in (entry.loss_spikes, entry.format_dips, entry.grad_norm_median, entry.no_variance)
        )
    )


def _steps(steps: tuple[int, ...] | None) -> str:
    if steps is None:
        return "-"
    if not steps:
        return "none"
    listed = ", ".join(map(str, steps[:6]))
    return f"{len(steps)} (step {listed}{', ...' if len(steps) > 6 else ''})"


EXPLORATION_HEADINGS = (
    "model",
    "prompts",
    "distinct answers per prompt",
    "stuck on one wrong answer",
    "branching factor",
    "majority",
)


def exploration_rows(models: Sequence[ModelMetrics]) -> Rows:
    """One line per model and data set with more than one response per prompt, or with recorded log-probabilities."""
    return tuple(
        _explored(entry.model, name, evaluated, evaluated.exploration)
        for entry in models
        for name, evaluated in entry.sets.items()
        if evaluated.exploration is not None
        and (evaluated.overall.responses > evaluated.overall.prompts or evaluated.exploration.branching is not None)
    )


def _explored(model: str, name: str, evaluated: SetMetrics, found: Exploration) -> tuple[str, ...]:
    branching = found.branching
    if branching is None:
        factor = "-"
    elif branching.high - branching.low < 0.005:
        factor = f"{branching.low:.2f}"
    else:
        factor = f"{branching.low:.2f} to {branching.high:.2f} ({100 * branching.cut:.1f} % of nuclei cut)"
    majority = evaluated.overall.majority_at_k
    k = max(majority, default=1)
    return (
        model,
        f"{name} ({evaluated.role})",
        f"{found.distinct_answers:.2f}",
        f"{100 * found.stuck:.1f} %",
        factor,
        f"{100 * majority[k]:.1f} % (of {k})" if majority else "-",
    )


STAGE_HEADINGS = ("stage", "seconds", "peak memory, GiB", "")


def stage_rows(root: Path) -> Rows:
    """Time and memory of the complete stages of a run, from the run.json that `specs run` writes."""
    file = root / "run.json"
    try:
        stages = json.loads(file.read_text(encoding="utf-8"))["stages"]
        return tuple(
            (name, f"{entry['seconds']:.0f}", f"{entry['peak_gib']:.1f}", str(entry["note"]))
            for name, entry in stages.items()
            if entry["complete"] and entry["commands"]
        )
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror or error}). Is it a folder of `specs run`?"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: not what `specs run` writes ({error!r}).") from error
