"""Figures as PNG with the numbers behind them as CSV, for papers and slides.

    write_lines(out / "gf_compliance", "Generalization Factor", lines, x_label="step", y_label="share")

Colours and dash patterns are those of the page (charts.py); drawn by matplotlib without a display.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.files import replacing, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1b6ca8", "#c8553d", "#2a9d5c", "#8e5aa8", "#b8860b", "#4a4e69", "#d1495b", "#00798c")
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Line:
    """One line or, with ``points``, one cloud of points."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 0
    dash: int = 0
    points: bool = False
    band: tuple[Sequence[float], Sequence[float]] | None = None
    """Lower and upper ends of intervals, shaded."""


def write_lines(
    path: Path, title: str, lines: Sequence[Line], *, x_label: str, y_label: str, percent: bool = False
) -> list[Path]:
    """Write PATH.png and PATH.csv, each whole or not at all; returns both.

    Args:
        path: without suffix.
        lines: at least one.
        percent: values are shares, shown as per cent; the CSV keeps the shares.
    """
    return write_panels(path, title, {y_label: lines}, x_label=x_label, percent=percent)


def write_panels(
    path: Path, title: str, panels: Mapping[str, Sequence[Line]], *, x_label: str, percent: bool = False
) -> list[Path]:
    """As `write_lines`, with several panels side by side: y label -> lines. One legend, of the first panel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(6.4 if len(panels) == 1 else 3.4 * len(panels), 4.0), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for number, (y_label, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1)
        for line in lines:
            _draw(axes, line)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.25)
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if number == 0:
            axes.legend(frameon=False, fontsize="small")
    figure.suptitle(title, fontsize="medium")
    picture, numbers = path.with_suffix(".png"), path.with_suffix(".csv")
    with replacing(picture) as draft:
        canvas.print_png(draft)
    write_text(numbers, _csv(panels, x_label))
    return [picture, numbers]


def _draw(axes: Axes, line: Line) -> None:
    colour = COLOURS[line.colour % len(COLOURS)]
    if line.points:
        axes.scatter(line.xs, line.ys, s=42, zorder=3, color=colour, label=line.label)
        return
    marker = "o" if len(line.xs) <= 24 else None
    dash = DASHES[line.dash % len(DASHES)]
    axes.plot(line.xs, line.ys, dash, marker=marker, markersize=3.5, color=colour, label=line.label)
    if line.band is not None:
        axes.fill_between(line.xs, *line.band, color=colour, alpha=0.15, linewidth=0)


def _csv(panels: Mapping[str, Sequence[Line]], x_label: str) -> str:
    """One row per point; a column for the panel where there are several, and for the band where a line has one."""
    several = len(panels) > 1
    banded = any(line.band is not None for lines in panels.values() for line in lines)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    names = ["panel", "line", x_label, "value"] if several else ["line", x_label, next(iter(panels))]
    writer.writerow([*names, *(["low", "high"] if banded else [])])
    for panel, lines in panels.items():
        for line in lines:
            for number, (x, y) in enumerate(zip(line.xs, line.ys, strict=True)):
                ends = [end[number] for end in line.band] if line.band is not None else ["", ""]
                writer.writerow([*([panel] if several else []), line.label, x, y, *(ends if banded else [])])
    return table.getvalue()
