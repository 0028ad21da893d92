"""The end of a study: one table of all pipelines with their spread, paired differences, and one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_prep.files import write_json
from specs_verl.measure.bootstrap import Interval
from specs_verl.measure.metrics import ModelMetrics, read_metrics, write_metrics
from specs_verl.measure.report import ReportInputs, print_summary, write_report
from specs_verl.measure.summary import by_model, gain, summarise

QUANTITIES = {"acc": "accuracy", "format": "format", "pass": "pass@k"}


@dataclass(frozen=True)
class Entry:
    """One evaluated model: its name in the table, its training seed, its metrics file."""

    name: str
    seed: int
    metrics: Path


@dataclass(frozen=True)
class Difference:
    """A pipeline against the first one; shares in [0, 1], paired over prompts, averaged over seeds."""

    control: str
    treated: str
    quantity: str
    difference: Interval


def tabulate(title: str, entries: Sequence[Entry], out: Path, console: Console) -> None:
    """Print the table and the differences; write OUT/study.json and OUT/report.html."""
    files = [_renamed(entry, out) for entry in entries]
    inputs = ReportInputs(metrics=tuple(files), title=title)
    print_summary(console, inputs)
    found = differences([read_metrics(file) for file in files])
    console.print(_table(found))
    write_json(out / "study.json", {"title": title, "differences": [asdict(entry) for entry in found]})
    console.print(f"Report: {write_report(inputs, out / 'report.html')}", markup=False, highlight=False)


def _renamed(entry: Entry, out: Path) -> Path:
    """The metrics under the name that the model has in the study; the graded rollouts stay where they are."""
    metrics = read_metrics(entry.metrics)
    sets = {
        name: replace(figures, graded=str((entry.metrics.parent / figures.graded).resolve()))
        if figures.graded
        else figures
        for name, figures in metrics.sets.items()
    }
    path = out / "metrics" / entry.name.replace(" ", "_") / f"seed_{entry.seed}" / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_metrics(path, replace(metrics, model=entry.name, seed=entry.seed, sets=sets))
    return path


def differences(metrics: Sequence[ModelMetrics]) -> list[Difference]:
    """Every model against the first that is not the base, over the seeds that both have."""
    groups = by_model(metrics)
    models = list(groups)
    control = next((name for name in models if name != "base"), models[0])
    k = summarise(metrics).k
    found = []
    for treated in models:
        if treated == control:
            continue
        seeds = {entry.seed for entry in groups[control]} & {entry.seed for entry in groups[treated]}
        before, after = ([entry for entry in groups[name] if entry.seed in seeds] for name in (control, treated))
        for quantity in QUANTITIES:
            difference = gain(before, after, quantity, k) if seeds else None
            if difference is not None:
                found.append(Difference(control, treated, quantity, difference))
    return found


def _table(found: Sequence[Difference]) -> Table:
    control = found[0].control if found else ""
    table = Table(title=f"Against {control}, paired over prompts, with 95 % intervals", title_justify="left")
    for heading in ("model", "figure", "difference"):
        table.add_column(heading, justify="right" if heading == "difference" else "left")
    for entry in found:
        low, value, high = (
            100 * part for part in (entry.difference.low, entry.difference.value, entry.difference.high)
        )
        style = "dim" if low <= 0 <= high else None
        table.add_row(
            entry.treated, QUANTITIES[entry.quantity], f"{value:+.1f} ({low:+.1f} to {high:+.1f})", style=style
        )
    return table
