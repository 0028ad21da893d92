"""Pieces of the page that several modules make: a chart with its numbers, and a headline figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from specs_verl.measure.curves import Curve


@dataclass(frozen=True)
class Chart:
    """One chart with its heading, explanation and the numbers behind it."""

    heading: str
    caption: str
    svg: Markup
    legend: Markup
    columns: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """All points, for the figure as a file."""


@dataclass(frozen=True)
class Tile:
    """One headline figure with its change."""

    label: str
    value: str
    unit: str
    change: str = ""
    interval: str = ""
    tone: str = "flat"  # good, bad or flat
