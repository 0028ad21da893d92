"""Several runs of one pipeline with different seeds -> one table and one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from specs_verl.pipeline.execution import Plan


def combine(out: Path, plans: Sequence[Plan]) -> None:
    """Print the table over all seeds and write OUT/report.html; metrics of one model name are its seeds."""
    from specs_verl.measure.report import ReportInputs, print_summary, write_report

    metrics = tuple(
        file
        for plan in plans
        for stage in plan.definition.stages
        if stage.kind == "evaluate"
        for file in plan.places.outputs[stage.name].values()
    )
    if not metrics:
        return
    gf = tuple(
        plan.places.folders[stage.name] for plan in plans for stage in plan.definition.stages if stage.kind == "gf"
    )
    inputs = ReportInputs(metrics=metrics, gf=gf, title=f"{plans[0].definition.title}, {len(plans)} seeds")
    console = Console()
    print_summary(console, inputs)
    console.print(f"Report: {write_report(inputs, out / 'report.html')}", markup=False, highlight=False)
