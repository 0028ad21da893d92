"""Figures as PNG with the numbers behind them as CSV, for papers and slides.

    write_lines(out / "gf_compliance", "Generalization Factor", lines, x_label="step", y_label="share")

Colours and dash patterns are those of the page (charts.py); drawn by matplotlib without a display.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.files import replacing, write_text

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


def write_lines(
    path: Path, title: str, lines: Sequence[Line], *, x_label: str, y_label: str, percent: bool = False
) -> list[Path]:
    """Write PATH.png and PATH.csv, each whole or not at all; returns both.

    Args:
        path: without suffix.
        lines: at least one.
        percent: values are shares, shown as per cent; the CSV keeps the shares.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for line in lines:
        style = {"color": COLOURS[line.colour % len(COLOURS)], "label": line.label}
        if line.points:
            axes.scatter(line.xs, line.ys, s=42, zorder=3, **style)
        else:
            marker = "o" if len(line.xs) <= 24 else None
            axes.plot(line.xs, line.ys, DASHES[line.dash % len(DASHES)], marker=marker, markersize=3.5, **style)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.25)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(frameon=False, fontsize="small")
    picture, numbers = path.with_suffix(".png"), path.with_suffix(".csv")
    with replacing(picture) as draft:
        canvas.print_png(draft)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["line", x_label, y_label])
    writer.writerows([line.label, x, y] for line in lines for x, y in zip(line.xs, line.ys, strict=True))
    write_text(numbers, table.getvalue())
    return [picture, numbers]
