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
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from specs_verl.errors import UserError
from specs_verl.grading.responses import OWN_FORMATS, FormatChecks, load_function
from specs_verl.measure.evaluate import DEFAULT_REWARD, EvalSet, evaluate
from specs_verl.measure.gate import gate, print_gate
from specs_verl.measure.metrics import ROLES, read_metrics
from specs_verl.measure.report import ReportInputs, TrainingLog, print_summary, write_report
from specs_verl.measure.rollouts import read_prompts
from specs_verl.measure.summary import by_model


@dataclass(frozen=True)
class Command:
    """One subcommand of `specs`."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "example:\n"
        "  specs evaluate --model final --out runs/eval/final \\\n"
        "      --set test=runs/samples/final/test:data/test.parquet \\\n"
        "      --set ood@ood=runs/samples/final/ood:data/ood.parquet \\\n"
        "      --format-check data_prep.nano.formats:complies"
    )
    parser.add_argument("--model", required=True, help="name of the model in tables")
    parser.add_argument("--out", required=True, type=Path, help="directory for metrics.json and the graded rollouts")
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        required=True,
        metavar="NAME[@ROLE]=SAMPLES:PROMPTS[,PROMPTS]",
        help="a data set: directory of a sampling run and the parquet file(s) it was sampled from. ROLE is "
        f"{', '.join(ROLES)} (id: as in training; ood: another output format; control: e.g. shuffled images), "
        "id by default. May be given several times",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="training seed of the checkpoint, for the spread over seeds"
    )
    parser.add_argument(
        "--format-check",
        metavar="MODULE:FUNCTION",
        help="function (format name, response) -> bool for formats in extra_info.format other than think_answer",
    )
    parser.add_argument(
        "--reward",
        default=DEFAULT_REWARD,
        metavar="MODULE:FUNCTION",
        help="reward function in verl's signature, or path/to/file.py:function (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, help="grading processes (default: one per core, at most 8)")


def run_evaluate(args: argparse.Namespace) -> int:
    """Grade the responses of one model and show its figures."""
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers must be at least 1, got {args.workers}.")
    sets = [parse_set(text) for text in args.sets]
    checks = checks_from(args.format_check, sets) if args.format_check else None
    console = Console()
    with Progress(
        TextColumn("grading {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def on_progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        path = evaluate(
            args.model,
            sets,
            args.out,
            seed=args.seed,
            format_checks=checks,
            reward=args.reward,
            workers=args.workers,
            on_progress=on_progress,
        )
    print_summary(console, ReportInputs(metrics=(path,)))
    console.print(f"Metrics: {path}", markup=False, highlight=False)
    return 0


def parse_set(text: str) -> EvalSet:
    """ "ood@ood=runs/samples/ood:data/ood.parquet" -> EvalSet."""
    name, equals, places = text.partition("=")
    samples, colon, prompts = places.rpartition(":")
    files = tuple(Path(file) for file in prompts.split(",") if file)
    if not equals or not colon or not samples or not files:
        raise UserError(
            f"--set {text!r}: write NAME[@ROLE]=SAMPLES:PROMPTS, e.g. test=runs/samples/test:data/test.parquet."
        )
    name, _, role = name.partition("@")
    return EvalSet(name, Path(samples), files, role or "id")


def checks_from(spec: str, sets: list[EvalSet]) -> FormatChecks:
    """A check per asked format, out of one function (format name, response) -> bool; tried once before any grading."""
    function = load_function(spec, "Format check")
    asked = {prompt.asked_format for entry in sets for prompt in read_prompts(entry.prompts)} - set(OWN_FORMATS)
    for name in sorted(asked):
        try:
            function(name, "")
        except KeyError as error:
            raise UserError(f"Format check {spec!r} knows no format {name!r}, which the prompts ask for.") from error
    return {name: partial(function, name) for name in asked}


def add_gf_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs gf`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Generalization Factor and pass@k against the base model: the gate before RL.\n\n"
        "example:\n  specs gf --base runs/eval/base runs/eval/warm_up"
    )
    parser.add_argument(
        "--base", required=True, type=Path, action="append", help="metrics of the base model; again for more seeds"
    )
    parser.add_argument(
        "models", type=Path, nargs="+", metavar="METRICS", help="metrics.json, or its directory, of each model"
    )
    parser.add_argument(
        "--beta", type=float, default=2.0, help="weight of unseen formats (default: %(default)s, as in the paper)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when the gate is closed for any of the models"
    )


def run_gf(args: argparse.Namespace) -> int:
    """Print the gate for every model; see the module docstring for the exit code."""
    if not args.beta > 0:
        raise UserError(f"--beta must be positive, got {args.beta}.")
    console = Console()
    base = [read_metrics(path) for path in args.base]
    results = [
        gate(base, seeds, args.beta) for seeds in by_model([read_metrics(path) for path in args.models]).values()
    ]
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
        title=args.title,
        samples=max(0, args.samples),
    )
    console = Console()
    print_summary(console, inputs)
    if args.out is not None:
        console.print(f"Report: {write_report(inputs, args.out)}", markup=False, highlight=False)
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
    "evaluate": Command("Grade sampled responses of a model and measure it.", add_evaluate_arguments, run_evaluate),
    "gf": Command("Generalization Factor and pass@k: the gate before RL.", add_gf_arguments, run_gf),
    "report": Command("End table, and a self-contained HTML page.", add_report_arguments, run_report),
}
