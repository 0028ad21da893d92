"""Line charts as inline SVG: no script, no font, no picture file, readable in light and dark and by a screen reader.

    line_chart("Accuracy", [Series("final", 3, steps, values)], x_label="step", percent=True) -> markupsafe.Markup

Colours are CSS classes (`s0`...`s7`, defined by the page), so one chart serves both colour schemes; series also
differ in their dash pattern, so colour is never the only cue. Hovering a point shows its numbers (SVG `title`).

Not here: smoothing and thinning of curves (curves.py), and the page around the charts (report.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 36
DASHES = ("", "7 4", "2 3", "10 3 2 3", "", "7 4", "2 3", "10 3 2 3")


@dataclass(frozen=True)
class Series:
    """One line: its name, the place of its model in the page's palette, and its points."""

    label: str
    colour: int
    xs: Sequence[float]
    ys: Sequence[float]
    faint: bool = False  # the raw values behind a running mean: thin, no dots, not in the legend


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    percent: bool = False,
    include_zero: bool = False,
    log2_x: bool = False,
) -> Markup:
    """A chart with axes, grid, one line per series and a summary in words for those who cannot see it.

    Args:
        title: read out by screen readers; the page shows its own heading.
        series: at least one with at least one point; values finite.
        x_label: under the horizontal axis.
        percent: values are shares in [0, 1], shown as per cent, and the axis never leaves [0, 1].
        include_zero: whether the value axis must reach 0.
        log2_x: horizontal places by logarithm (k = 1, 2, 4, 8), ticks at the values themselves.
    """
    xs = [x for line in series for x in line.xs]
    ys = [y for line in series for y in line.ys]
    place_x = (lambda x: math.log2(x)) if log2_x else (lambda x: float(x))
    x_low, x_high = place_x(min(xs)), place_x(max(xs))
    if x_low == x_high:
        x_low, x_high = x_low - 0.5, x_high + 0.5
    y_ticks = nice_ticks(min([*ys, 0.0] if include_zero else ys), max([*ys, 0.0] if include_zero else ys))
    if percent:
        y_ticks = [tick for tick in y_ticks if -1e-9 <= tick <= 1 + 1e-9]
    y_low, y_high = y_ticks[0], y_ticks[-1]
    x_ticks = sorted(set(xs)) if log2_x else nice_ticks(min(xs), max(xs), whole=True)

    def px(x: float) -> float:
        return round(LEFT + (place_x(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def py(y: float) -> float:
        return round(HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    def shown(value: float) -> str:
        return f"{100 * value:.1f} %" if percent else f"{value:.4g}"

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, f"{title}. {summary_in_words(series, x_label, shown)}"
        )
    ]
    for tick in y_ticks:
        label = f"{100 * tick:.0f}" if percent else _tick_label(tick, y_ticks)
        if percent and tick == y_ticks[-1]:
            label += " %"
        kind = "axis" if tick == 0 and y_low < 0 else "grid"
        parts.append(_line(kind, LEFT, py(tick), WIDTH - RIGHT, py(tick)))
        parts.append(_text(LEFT - 6, py(tick) + 4, "end", label))
    parts.append(_line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM))
    for tick in x_ticks:
        if x_low - 1e-9 <= place_x(tick) <= x_high + 1e-9:
            parts.append(_text(px(tick), HEIGHT - BOTTOM + 16, "middle", _tick_label(tick, x_ticks)))
    parts.append(_text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 5, "middle", x_label))
    for line in sorted(series, key=lambda line: not line.faint):
        parts.append(_drawn(line, [(px(x), py(y)) for x, y in zip(line.xs, line.ys, strict=True)], x_label, shown))
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def _drawn(line: Series, places: Sequence[tuple[float, float]], x_label: str, shown: Callable[[float], str]) -> Markup:
    """The line, and on every point a dot that shows its numbers; on long lines dots appear only under the pointer."""
    colour = line.colour % len(DASHES)
    path = Markup('<polyline class="line s{}{}" points="{}"{}/>').format(
        colour,
        " faint" if line.faint else "",
        " ".join(f"{x},{y}" for x, y in places),
        "" if line.faint else _dash(colour),
    )
    if line.faint:
        return path
    many = len(places) > 16
    dots = Markup("").join(
        Markup('<circle cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
            x, y, 5 if many else 3, f"{line.label}, {x_label} {raw_x:g}: {shown(raw_y)}"
        )
        for (x, y), raw_x, raw_y in zip(places, line.xs, line.ys, strict=True)
    )
    return path + Markup('<g class="dots s{}{}">{}</g>').format(colour, " many" if many else "", dots)


def _dash(colour: int) -> Markup:
    return Markup(' stroke-dasharray="{}"').format(DASHES[colour]) if DASHES[colour] else Markup("")


def legend(series: Sequence[Series]) -> Markup:
    """Names with a sample of each line, once per chart."""
    item = Markup(
        '<li><svg width="28" height="10" aria-hidden="true"><line class="line s{}" x1="1" y1="5" x2="27" y2="5"{}/>'
        "</svg>{}</li>"
    )
    shown = [line for line in series if not line.faint]
    items = [item.format(line.colour % len(DASHES), _dash(line.colour % len(DASHES)), line.label) for line in shown]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def summary_in_words(series: Sequence[Series], x_label: str, shown: Callable[[float], str]) -> str:
    """ "zero: from 0.52 at step 1 to 1.41 at step 60." for every line, for screen readers."""
    sentences = []
    for line in series:
        if line.faint:
            continue
        if len(line.xs) == 1:
            sentences.append(f"{line.label}: {shown(line.ys[0])} at {x_label} {line.xs[0]:g}.")
        else:
            sentences.append(
                f"{line.label}: from {shown(line.ys[0])} at {x_label} {line.xs[0]:g} "
                f"to {shown(line.ys[-1])} at {x_label} {line.xs[-1]:g}."
            )
    return " ".join(sentences)


def nice_ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """About ``count`` round numbers (1, 2, 2.5 or 5 times a power of ten) that span at least [low, high]."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        pad = abs(low) * 0.1 or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / (count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _tick_label(tick: float, ticks: Sequence[float]) -> str:
    """As many decimals as the distance of the ticks needs, the same on all of them."""
    if len(ticks) < 2 or all(float(value).is_integer() for value in ticks):
        return f"{tick:g}"
    step = min(second - first for first, second in pairwise(ticks))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if not math.isclose(round(step, decimals), step, rel_tol=1e-6):  # steps of 0.25
        decimals += 1
    return f"{tick:.{decimals}f}"


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(escape(kind), x1, y1, x2, y2)


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
