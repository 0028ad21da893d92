"""The HTML page: a small model of its content, turned into text by the template with autoescaping.

    render(Page(...)) -> str

Self-contained by construction and by a content security policy: no script, no request, styles and pictures inline.
Model output is hostile text: it reaches the page only through autoescaping; `marked_up` adds its colours after that.

Not here: collecting the content (report.py), drawing charts (charts.py), the look (templates/report.css).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from specs_verl.measure.bootstrap import Interval, Spread
from specs_verl.measure.charts import Series, legend, line_chart
from specs_verl.measure.curves import Curve, running_mean, thinned
from specs_verl.measure.gate import GateResult, verdict
from specs_verl.measure.gf_curve import GfCurve
from specs_verl.measure.metrics import ModelMetrics
from specs_verl.measure.page_parts import Chart, Tile
from specs_verl.measure.page_runs import (
    EXPLORATION_HEADINGS,
    STABILITY_HEADINGS,
    STAGE_HEADINGS,
    Rows,
    exploration_rows,
    gf_charts,
    stability_rows,
)
from specs_verl.measure.samples import Sample
from specs_verl.measure.stability import Stability
from specs_verl.measure.summary import Summary
from specs_verl.measure.tables import number, per_cent

GRPO_CHARTS = (
    ("score", "Reward", "Mean reward of the batch: 1.0 for a right answer plus 0.5 for the form, by default.", False),
    ("accuracy", "Accuracy", "Share of right answers in the training batch.", True),
    ("format", "Format compliance", "Share of well-formed responses in the training batch.", True),
    ("length", "Response length", "Mean length in tokens.", False),
    ("policy_loss", "Policy loss", "Loss of the policy gradient; spikes of it are counted under Stability.", False),
    ("grad_norm", "Gradient norm", "Norm of the gradient before clipping.", False),
)
COLD_START_CHARTS = (
    (
        "chosen",
        "Chosen reward",
        "Implicit DPO reward of the chosen response: how far the model moved to it.",
        False,
    ),
    ("rejected", "Rejected reward", "Implicit DPO reward of the rejected response.", False),
    ("margin", "Margin", "Chosen minus rejected reward: above 0 the preference is learned.", False),
    ("accuracy", "Preference accuracy", "Share of pairs whose chosen response has the higher reward.", True),
    ("loss", "Loss", "Training loss of the cold start.", False),
)
LOOSE_COLOURS = {"chosen": 3, "rejected": 2, "margin": 1, "accuracy": 7, "loss": 4}  # lines that are no models
SMOOTH_FROM = 24  # points; shorter curves are shown as they are


@dataclass(frozen=True)
class Page:
    """All content of the page; empty parts are left out."""

    title: str
    models: tuple[str, ...]
    metrics: tuple[ModelMetrics, ...]  # the first seed of each model, for the break-downs
    summary: Summary
    gains: Mapping[str, Interval | None] = field(default_factory=dict)  # last model against first, by quantity
    gates: tuple[GateResult, ...] = ()  # every model but the first against the first
    grpo: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    cold_start: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    gf: tuple[GfCurve, ...] = ()
    stability: tuple[Stability, ...] = ()
    stages: Rows = ()
    benchmarks: tuple[tuple[str, str], ...] = ()  # model, and the sentence of its official score
    samples: tuple[Sample, ...] = ()
    warnings: tuple[str, ...] = ()


def render(page: Page) -> str:
    """The whole document."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    colours = {name: index for index, name in enumerate(page.models)}
    environment.filters.update(marked_up=marked_up, per_cent=per_cent, number=number, signed=signed)
    return environment.get_template("report.html.j2").render(
        page=page,
        css=Markup(_template("report.css")),  # our own file: nothing to escape
        summary=page.summary,
        headline=headline(page),
        tiles=tiles(page),
        grpo_charts=grpo_charts(page),
        cold_start_charts=cold_start_charts(page),
        pass_chart=pass_chart(page),
        gf_charts=gf_charts(page.gf, colours),
        stability=(STABILITY_HEADINGS, stability_rows(page.stability)),
        exploration=(EXPLORATION_HEADINGS, exploration_rows(page.metrics)),
        stages=(STAGE_HEADINGS, page.stages),
        task_table=break_down(page, "by_task"),
        format_tables=format_tables(page),
        gate_cards=[result for result in page.gates if result.model in page.cold_start],
        verdict=verdict,
        colour=colours,
        made=datetime.now(timezone.utc).strftime("%d %B %Y, %H:%M UTC"),
    )


def _template(name: str) -> str:
    return (resources.files("specs_verl.measure") / "templates" / name).read_text(encoding="utf-8")


def headline(page: Page) -> str:
    """What happened, in one sentence that is as plain when the result is bad."""
    first, last = page.summary.rows[0], page.summary.rows[-1]
    if len(page.summary.rows) == 1:
        return (
            f"{last.model}: {per_cent(last.accuracy)} % of the answers are right, {per_cent(last.format)} % of the "
            "responses have the asked form."
        )

    def moved(what: str, before: float, after: float, interval: Interval | None) -> str:
        change = f"from {100 * before:.1f} to {100 * after:.1f} %"
        if interval is not None and interval.low <= 0 <= interval.high:
            return f"{what} went {change}, which may be chance"
        return f"{what} {'rose' if after > before else 'fell' if after < before else 'stayed'} {change}"

    parts = [
        moved("format compliance", first.format.mean, last.format.mean, page.gains.get("format")),
        moved("accuracy", first.accuracy.mean, last.accuracy.mean, page.gains.get("acc")),
        moved(f"pass@{page.summary.k}", first.pass_k.mean, last.pass_k.mean, page.gains.get("pass")),
    ]
    return f"From {first.model} to {last.model}, {parts[0]}; {parts[1]}; {parts[2]}."


def tiles(page: Page) -> list[Tile]:
    """Headline figures of the last model, with the change against the first."""
    first, last = page.summary.rows[0], page.summary.rows[-1]
    alone = len(page.summary.rows) == 1

    def share(label: str, before: Spread, after: Spread, interval: Interval | None) -> Tile:
        points, value = 100 * (after.mean - before.mean), f"{100 * after.mean:.1f}"
        if alone:
            return Tile(label, value, "%")
        certain = interval is None or not interval.low <= 0 <= interval.high
        return Tile(
            label,
            value,
            "%",
            f"{signed(points)} points",
            "" if interval is None else f"95 %: {signed(100 * interval.low)} to {signed(100 * interval.high)}",
            "flat" if not certain or abs(points) < 0.05 else "good" if points > 0 else "bad",
        )

    length = "" if alone else f"{signed(last.mean_tokens.mean - first.mean_tokens.mean)} tokens"
    return [
        share("Accuracy", first.accuracy, last.accuracy, page.gains.get("acc")),
        share("Format compliance", first.format, last.format, page.gains.get("format")),
        share(f"pass@{page.summary.k}", first.pass_k, last.pass_k, page.gains.get("pass")),
        Tile("Mean length", f"{last.mean_tokens.mean:.1f}", "tokens", length),
    ]


def signed(value: float) -> str:
    """+1.5, or a true minus sign, or a plain 0.0 where rounding leaves nothing."""
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def grpo_charts(page: Page) -> list[Chart]:
    """Reward, accuracy, format and length per step, the GRPO runs on top of each other."""
    charts = []
    for key, heading, caption, percent in GRPO_CHARTS:
        curves = {name: run[key] for name, run in page.grpo.items() if key in run}
        if curves:
            charts.append(_curve_chart(page, heading, caption, curves, percent))
    return charts


def cold_start_charts(page: Page) -> list[Chart]:
    """Implicit rewards, margin and loss: of one run as they belong together, of several with the runs overlaid."""
    if len(page.cold_start) > 1:
        charts = []
        for key, heading, caption, percent in COLD_START_CHARTS:
            curves = {name: run[key] for name, run in page.cold_start.items() if key in run}
            if curves:
                charts.append(_curve_chart(page, heading, caption, curves, percent))
        return charts
    charts = []
    for run in page.cold_start.values():
        rewards = {label: run[label] for label in ("chosen", "rejected") if label in run}
        if rewards:
            text = "Implicit DPO rewards: how far the model moved from the base towards each response."
            charts.append(_curve_chart(page, "Rewards", text, rewards))
        for key, heading, caption, percent in COLD_START_CHARTS[2:]:
            if key in run:
                charts.append(_curve_chart(page, heading, caption, {key: run[key]}, percent))
    return charts


def all_charts(page: Page) -> list[Chart]:
    """Every chart of the page, in its order."""
    colours = {name: index for index, name in enumerate(page.models)}
    passing = pass_chart(page)
    return [
        *([passing] if passing else []),
        *gf_charts(page.gf, colours),
        *grpo_charts(page),
        *cold_start_charts(page),
    ]


def _curve_chart(page: Page, heading: str, caption: str, curves: Mapping[str, Curve], percent: bool = False) -> Chart:
    series, numbers = [], []
    smoothed = False
    for index, (name, raw) in enumerate(curves.items()):
        model = name.partition(" #")[0]  # "final #2" is a second run of the same model
        colour = page.models.index(model) if model in page.models else LOOSE_COLOURS.get(name, index)
        curve = raw
        if len(raw.steps) >= SMOOTH_FROM:
            smoothed = True
            curve = running_mean(raw, max(3, len(raw.steps) // 12 | 1))
            faint = thinned(raw)
            series.append(Series(name, colour, faint.steps, faint.values, faint=True))
        curve = thinned(curve)
        series.append(Series(name, colour, curve.steps, curve.values))
        numbers += [(name, *_first_middle_last(raw, percent))]
    if smoothed:
        caption += " Thin: every step; thick: running mean."
    return Chart(
        heading,
        caption,
        line_chart(heading, series, x_label="step", percent=percent, include_zero=percent),
        legend(series) if len(curves) > 1 else Markup(""),
        ("", "steps", "first tenth", "middle tenth", "last tenth"),
        tuple(numbers),
        dict(curves),
    )


def _first_middle_last(curve: Curve, percent: bool) -> tuple[str, ...]:
    size = max(1, len(curve.values) // 10)
    middle = (len(curve.values) - size) // 2
    parts = (curve.values[:size], curve.values[middle : middle + size], curve.values[-size:])
    means = [sum(part) / len(part) for part in parts]
    return (str(curve.steps[-1]), *(f"{100 * mean:.1f} %" if percent else f"{mean:.3g}" for mean in means))


def pass_chart(page: Page) -> Chart | None:
    """pass@k over k, one line per model; None when only one response per prompt was sampled."""
    curves = {entry.model: entry.in_distribution().overall.pass_at_k for entry in page.metrics}
    ks = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    if len(ks) < 2:
        return None
    series = [Series(name, index, ks, [curve[k] for k in ks]) for index, (name, curve) in enumerate(curves.items())]
    return Chart(
        "pass@k",
        "Chance that at least one of k responses is right (unbiased). RL sharpens what is in reach here.",
        line_chart("pass@k", series, x_label="k", percent=True, log2_x=True),
        legend(series),
        ("", *(f"pass@{k}" for k in ks)),
        tuple((name, *(f"{100 * curve[k]:.1f} %" for k in ks)) for name, curve in curves.items()),
        {name: Curve(tuple(ks), tuple(curve[k] for k in ks)) for name, curve in curves.items()},
    )


def break_down(page: Page, by: str) -> dict[str, list[tuple[str, float | None]]]:
    """Accuracy per task (rows) and model (cells) on the in-distribution set; empty where there is only one task."""
    tables = [getattr(entry.in_distribution(), by) for entry in page.metrics]
    names = sorted({name for table in tables for name in table})
    if len(names) < 2:
        return {}
    return {
        name: [
            (entry.model, table[name].accuracy if name in table else None)
            for entry, table in zip(page.metrics, tables, strict=True)
        ]
        for name in names
    }


def format_tables(page: Page) -> dict[str, list[tuple[str, float | None]]]:
    """Compliance per asked format over all sets but controls; empty where only one format is asked."""
    names: dict[str, None] = {}
    for entry in page.metrics:
        for evaluated in entry.sets.values():
            if evaluated.role != "control":
                names.update(dict.fromkeys(evaluated.by_format))
    if len(names) < 2:
        return {}
    return {name: [(entry.model, _compliance(entry, name)) for entry in page.metrics] for name in names}


def _compliance(entry: ModelMetrics, name: str) -> float | None:
    found = [
        evaluated.by_format[name]
        for evaluated in entry.sets.values()
        if evaluated.role != "control" and name in evaluated.by_format
    ]
    prompts = sum(figures.prompts for figures in found)
    return sum(figures.format * figures.prompts for figures in found) / prompts if prompts else None


_TAGS = re.compile(r"&lt;/?(?:think|answer)&gt;|\\boxed\{")


def marked_up(text: str) -> Markup:
    """Escaped model output with the form's own tags in colour; the colouring works on text that is already escaped."""
    return Markup(_TAGS.sub(lambda tag: f'<span class="tag">{tag.group()}</span>', str(escape(text))))
