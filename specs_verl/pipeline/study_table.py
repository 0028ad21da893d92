"""The end of a study: one table of all pipelines with their spread, paired differences, and one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_prep.files import write_json
from specs_verl.measure.bootstrap import Interval, Spread, seed_spread
from specs_verl.measure.generalization import generalization_factor
from specs_verl.measure.metrics import ModelMetrics, read_metrics, write_metrics
from specs_verl.measure.report import ReportInputs, print_summary, write_report
from specs_verl.measure.summary import by_model, gain, summarise
from specs_verl.pipeline.kinds import BASE

GF = "gf"


@dataclass(frozen=True)
class Quantity:
    """A figure that pipelines are compared by."""

    title: str
    role: str
    """Of the data sets: `id` or `ood`."""

    measure: str
    """As in measure.summary.gain; the Generalization Factor of the format, GF, has no value per prompt."""


QUANTITIES = {
    "acc": Quantity("accuracy", "id", "acc"),
    "format": Quantity("format", "id", "format"),
    "pass": Quantity("pass@k", "id", "pass"),
    "ood_format": Quantity("OOD format", "ood", "format"),
    GF: Quantity("GF of the format", "ood", GF),
}


@dataclass(frozen=True)
class Entry:
    """One evaluated model: its name in the table, its training seed, its metrics file."""

    name: str
    seed: int
    metrics: Path


@dataclass(frozen=True)
class Difference:
    """A pipeline against the first one; shares in [0, 1]."""

    control: str
    treated: str
    quantity: str
    difference: Interval | None
    """Paired over prompts, averaged over seeds: how far the prompts decide. None for GF."""

    per_seed: Spread
    """Of the differences of single seeds: how far the trainings decide."""


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
    control = next((name for name in models if name != BASE), models[0])
    k = summarise(metrics).k
    start = {entry.seed: entry for entry in groups.get(BASE, [])}
    found = []
    for treated in (name for name in models if name != control):
        seeds = sorted({entry.seed for entry in groups[control]} & {entry.seed for entry in groups[treated]})
        before, after = ({entry.seed: entry for entry in groups[name]} for name in (control, treated))
        for name, quantity in QUANTITIES.items():
            values = [
                [_value(entries[seed], start.get(seed), quantity, k) for seed in seeds] for entries in (before, after)
            ]
            each = [new - old for old, new in zip(*values, strict=True) if old is not None and new is not None]
            if not each:
                continue
            old, new = ([entries[seed] for seed in seeds] for entries in (before, after))
            paired = None if name == GF else gain(old, new, quantity.measure, k, quantity.role)
            found.append(Difference(control, treated, name, paired, seed_spread(each)))
    return found


def _value(entry: ModelMetrics, start: ModelMetrics | None, quantity: Quantity, k: int) -> float | None:
    """A figure of one model with one seed; None where it was not measured."""
    figures = entry.in_distribution().overall
    if quantity.role == "id":
        return {"acc": figures.accuracy, "format": figures.format, "pass": figures.pass_at_k.get(k)}[quantity.measure]
    outside = _ood_format(entry)
    if outside is None or quantity.measure != GF:
        return outside
    before = None if start is None else _ood_format(start)
    if start is None or before is None:
        return None
    id_start = start.in_distribution().overall.format
    return float(generalization_factor(figures.format, outside, id_baseline=id_start, ood_baseline=before))


def _ood_format(entry: ModelMetrics) -> float | None:
    shares = [found.overall.format for found in entry.of_role("ood").values()]
    return sum(shares) / len(shares) if shares else None


def _table(found: Sequence[Difference]) -> Table:
    control = found[0].control if found else ""
    table = Table(
        title=f"Against {control}: paired over prompts with 95 % intervals; seeds apart", title_justify="left"
    )
    for heading, side in (("model", "left"), ("figure", "left"), ("difference", "right"), ("seed by seed", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    for entry in found:
        spread = entry.per_seed
        seeds = f"{100 * spread.mean:+.1f} \u00b1 {100 * spread.std:.1f} ({spread.n})" if spread.n > 1 else "one seed"
        shown, style = f"{100 * spread.mean:+.1f}", None
        if entry.difference is not None:
            parts = (entry.difference.low, entry.difference.value, entry.difference.high)
            low, value, high = (100 * part for part in parts)
            shown, style = f"{value:+.1f} ({low:+.1f} to {high:+.1f})", "dim" if low <= 0 <= high else None
        table.add_row(entry.treated, QUANTITIES[entry.quantity].title, shown, seeds, style=style)
    return table
