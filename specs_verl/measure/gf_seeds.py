"""`specs gf SEED_0/gf.json SEED_1/gf.json ... --out DIR`: the curves of several seeds, with intervals over the seeds.

Runs of one name are seeds of one method. Printed and written: mean and 95 % interval (Student's t over seeds) of ID,
OOD and GF at every step that all seeds have; OOD and GF where ID first reaches a level, so that methods can be compared
at equal ID; differences from the first method, paired over seeds. Files: seeds.json, and a figure per definition as PNG
and CSV. Not here: sampling, and the factor of one run (gf_command.py, gf_curve.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from data_prep.files import write_json
from specs_verl.errors import UserError
from specs_verl.measure.bootstrap import Interval
from specs_verl.measure.figures import Line, write_panels
from specs_verl.measure.gf_curve import DEFINITIONS, GfCurve, curve_from

LEVELS = (0.90, 0.95)
"""ID compliance at which methods are compared."""

QUANTITIES = {"id": "ID", "ood": "OOD", "gf": "GF"}


@dataclass(frozen=True)
class Method:
    """The seeds of one method under one definition, one curve each, on the same steps."""

    name: str
    definition: str
    curves: tuple[GfCurve, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps that every seed has."""
        return tuple(sorted(set.intersection(*(set(curve.steps) for curve in self.curves))))

    def at(self, quantity: str, step: int) -> np.ndarray:
        """The values of the seeds at a step; shape (seeds,)."""
        return np.array([getattr(curve, quantity)[curve.steps.index(step)] for curve in self.curves])


def read_methods(files: Sequence[Path]) -> list[Method]:
    """Methods in the order of the first file; every file is one seed and has all of them."""
    seeds = [_read(file) for file in files]
    first = list(seeds[0])
    for file, seed in zip(files, seeds, strict=True):
        if set(seed) != set(first):
            raise UserError(f"{file}: has the runs {_names(seed)}, but {files[0]} has {_names(seeds[0])}.")
    return [Method(name, definition, tuple(seed[name, definition] for seed in seeds)) for name, definition in first]


def _names(seed: dict[tuple[str, str], GfCurve]) -> str:
    return ", ".join(sorted({name for name, _ in seed}))


def _read(file: Path) -> dict[tuple[str, str], GfCurve]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {(curve.run, curve.definition): curve for curve in map(curve_from, content["curves"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not what `specs gf RUN` writes ({type(error).__name__}: {error}).") from error


def t_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Mean with Student's t interval; of a single seed the interval is unbounded.

    Args:
        values: one per seed, shape (seeds,).
    """
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def where_id_reaches(curve: GfCurve, level: float, quantity: str) -> float | None:
    """A quantity where ID first reaches a level, linear between the measured steps; None if it never does."""
    values = getattr(curve, quantity)
    for before in range(len(curve.steps) - 1):
        low, high = curve.id[before], curve.id[before + 1]
        if low < level <= high:
            part = (level - low) / (high - low)
            return float(values[before] + part * (values[before + 1] - values[before]))
    return None


def run(files: Sequence[Path], out: Path) -> int:
    """Print, write, draw."""
    methods = read_methods(files)
    console = Console()
    for definition in DEFINITIONS:
        own = [method for method in methods if method.definition == definition]
        console.print(_steps_table(own, len(files)))
        if definition == "compliance":  # the levels are shares of compliance
            console.print(_levels_table(own))
        panels = {
            label: [
                Line(method.name, method.steps, means, number, band=(lows, highs))
                for number, method in enumerate(own)
                for means, lows, highs in [_band(method, quantity)]
            ]
            for quantity, label in QUANTITIES.items()
        }
        title = f"Generalization over the steps of the cold start, {definition}"
        for path in write_panels(out / f"seeds_{definition}", title, panels, x_label="step", percent=True):
            console.print(f"Figure: {path}", markup=False, highlight=False)
    write_json(out / "seeds.json", {"files": list(map(str, files)), "methods": [asdict(method) for method in methods]})
    return 0


def _band(method: Method, quantity: str) -> tuple[list[float], list[float], list[float]]:
    """Means and the ends of the intervals, within [0, 1]; without an interval the band is the line."""
    found = [t_interval(method.at(quantity, step)) for step in method.steps]
    if len(method.curves) < 2:
        found = [Interval(entry.value, entry.value, entry.value) for entry in found]
    return (
        [entry.value for entry in found],
        [max(0.0, entry.low) for entry in found],
        [min(1.0, entry.high) for entry in found],
    )


def _shown(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return f"{100 * interval.value:.1f}"
    return f"{100 * interval.value:.1f} ± {100 * (interval.high - interval.value):.1f}"


def _steps_table(methods: Sequence[Method], seeds: int) -> Table:
    first = methods[0]
    table = Table(title=f"{first.definition}, {seeds} seeds: mean ± 95 % interval, per cent", title_justify="left")
    for heading in ("method", "step", *QUANTITIES.values(), f"GF minus {first.name}"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method in methods:
        for step in method.steps:
            paired = ""
            if method is not first and step in first.steps and step > 0:
                paired = _shown(t_interval(method.at("gf", step) - first.at("gf", step)))
            cells = [_shown(t_interval(method.at(quantity, step))) for quantity in QUANTITIES]
            table.add_row(method.name, str(step), *cells, paired)
        table.add_section()
    return table


def _levels_table(methods: Sequence[Method]) -> Table:
    table = Table(title="At equal ID, linear between steps; seeds that reach it", title_justify="left")
    for heading in ("method", "ID", "seeds", "OOD", "GF"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method in methods:
        for level in LEVELS:
            reached = [curve for curve in method.curves if where_id_reaches(curve, level, "ood") is not None]
            cells = [
                _shown(t_interval(np.array([where_id_reaches(curve, level, quantity) for curve in reached], float)))
                if reached
                else "-"
                for quantity in ("ood", "gf")
            ]
            table.add_row(method.name, f"{100 * level:.0f}", f"{len(reached)}/{len(method.curves)}", *cells)
    return table
