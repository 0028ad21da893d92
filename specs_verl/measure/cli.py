"""`specs evaluate | gf | report`: arguments and exit codes; the work is in evaluate.py, gate.py and report.py.

    for name, command in COMMANDS.items():
        parser = subparsers.add_parser(name, help=command.summary, description=command.summary)
        command.add_arguments(parser)

Each `run(args) -> int` returns 0, or 1 where the command's own question is answered with no (`specs gf --strict`).
What the user can fix is raised as UserError, which the console script turns into one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from specs_verl.errors import UserError
from specs_verl.measure import evaluate_command, gf_command, gf_seeds
from specs_verl.measure.gate import gate, print_gate
from specs_verl.measure.metrics import read_metrics
from specs_verl.measure.report import ReportInputs, TrainingLog, collect, print_summary, write_figures, write_page
from specs_verl.measure.summary import by_model


@dataclass(frozen=True)
class Command:
    """One subcommand of `specs`."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_gf_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs gf`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Generalization Factor over the steps of a cold start; or, from metrics, the gate before RL.\n\n"
        "examples:\n"
        "  specs gf runs/cold_start --base MODEL --data data/test.parquet --out runs/gf\n"
        "  specs gf --base runs/eval/base runs/eval/warm_up\n"
        "  specs gf runs/seed_*/gf/gf.json --out runs/gf_seeds      several seeds together"
    )
    parser.add_argument(
        "--base",
        type=Path,
        action="append",
        default=[],
        help="runs: the checkpoint that training started from; else metrics of the base model, again for more seeds",
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="RUN|METRICS",
        help="[NAME=]folder of a cold start, for the factor over its steps; or metrics.json, or its directory",
    )
    parser.add_argument(
        "--beta", type=float, default=2.0, help="weight of unseen formats (default: %(default)s, as in the paper)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when the gate is closed for any of the models"
    )
    gf_command.add_arguments(parser)


def run_gf(args: argparse.Namespace) -> int:
    """Print the gate for every model; see the module docstring for the exit code."""
    if not args.beta > 0:
        raise UserError(f"--beta must be positive, got {args.beta}.")
    if all(Path(place).name == "gf.json" for place in args.models):
        if args.out is None:
            raise UserError("For the curves of several seeds pass --out DIR.")
        return gf_seeds.run([Path(place) for place in args.models], args.out)
    if not args.base:
        raise UserError("Pass --base: the checkpoint that training started from or, for the gate, its metrics.")
    if all(gf_command.is_run(place) for place in args.models):
        return gf_command.run(args)
    console = Console()
    base = [read_metrics(path) for path in args.base]
    models = [read_metrics(Path(place)) for place in args.models]
    results = [gate(base, seeds, args.beta) for seeds in by_model(models).values()]
    for result in results:
        print_gate(console, result)
    return 1 if args.strict and not all(result.open for result in results) else 0


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs report`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "example:\n"
        "  specs report runs/eval/base runs/eval/zero runs/eval/warm_up runs/eval/final --out runs/report.html \\\n"
        "      --grpo zero=runs/zero/metrics.jsonl --grpo-rollouts zero=runs/zero/rollouts \\\n"
        "      --cold-start warm_up=runs/cold_start/metrics.jsonl"
    )
    parser.add_argument(
        "metrics",
        type=Path,
        nargs="+",
        metavar="METRICS",
        help="metrics.json, or its directory, of each model: the first is compared with, the last is the result; "
        "several of one model are its seeds",
    )
    parser.add_argument("--out", type=Path, help="HTML file to write; without it only the table is printed")
    parser.add_argument(
        "--grpo",
        action="append",
        default=[],
        metavar="MODEL=FILE[,FILE]",
        help="log of the GRPO run that made MODEL (verl's `file` logger); several files when the run was resumed",
    )
    parser.add_argument(
        "--grpo-rollouts",
        action="append",
        default=[],
        metavar="MODEL=DIR",
        help="verl's trainer.rollout_data_dir of that run, for accuracy and format curves",
    )
    parser.add_argument(
        "--cold-start", action="append", default=[], metavar="MODEL=FILE", help="metrics.jsonl of a cold start"
    )
    parser.add_argument("--gf", action="append", default=[], type=Path, metavar="DIR", help="what `specs gf RUN` wrote")
    parser.add_argument("--run", type=Path, metavar="DIR", help="folder of `specs run`: time and memory of its stages")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write every chart as PNG and CSV into this folder")
    parser.add_argument("--title", default="SPECS run", help="heading of the page (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=6, help="prompts shown with all answers (default: %(default)s)")


def run_report(args: argparse.Namespace) -> int:
    """Print the table and write the page."""
    rollouts = {name: places[0] for name, places in (_named(text, "--grpo-rollouts") for text in args.grpo_rollouts)}
    grpo = []
    for text in args.grpo:
        name, files = _named(text, "--grpo")
        grpo.append(TrainingLog(name, files, rollouts.pop(name, None)))
    if rollouts:
        raise UserError(f"--grpo-rollouts {next(iter(rollouts))}=...: there is no --grpo with that name.")
    inputs = ReportInputs(
        metrics=tuple(args.metrics),
        grpo=tuple(grpo),
        cold_start=tuple(TrainingLog(*_named(text, "--cold-start")) for text in args.cold_start),
        gf=tuple(args.gf),
        run=args.run,
        title=args.title,
        samples=max(0, args.samples),
    )
    console = Console()
    print_summary(console, inputs)
    if args.out is None and args.figures is None:
        return 0
    page = collect(inputs)
    if args.out is not None:
        console.print(f"Report: {write_page(page, args.out)}", markup=False, highlight=False)
    if args.figures is not None:
        written = write_figures(page, args.figures)
        console.print(f"Figures: {len(written)} files in {args.figures}", markup=False, highlight=False)
    return 0


def _named(text: str, option: str) -> tuple[str, tuple[Path, ...]]:
    name, equals, places = text.partition("=")
    files = tuple(Path(place) for place in places.split(",") if place)
    if not equals or not name or not files:
        raise UserError(f"{option} {text!r}: write NAME=PATH.")
    for file in files:
        if not file.exists():
            raise UserError(f"{option} {name}: {file} does not exist.")
    return name, files


COMMANDS = {
    "evaluate": Command(
        "Sample checkpoints, grade their responses and measure them.",
        evaluate_command.add_arguments,
        evaluate_command.run,
    ),
    "gf": Command("Generalization Factor over steps, and the gate before RL.", add_gf_arguments, run_gf),
    "report": Command("End table, and a self-contained HTML page.", add_report_arguments, run_report),
}
