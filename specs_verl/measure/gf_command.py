"""`specs gf RUN...`: the Generalization Factor over the steps of one or several cold starts, with the paper's figures.

    specs gf dpo_sft=runs/cold_start sft=runs/sft --base MODEL --data test=data/test.parquet --out runs/gf
    specs gf --base runs/eval/base runs/eval/warm_up          # the gate, from metrics that are there (gate.py)

Every run's checkpoints (trainer.hf_freq) and the base are sampled on one in-distribution set and on the same questions
in other formats. Written to --out: gf.json, and figures as PNG and CSV: ID, OOD and GF against steps under both
definitions, one line per format, and GF against the score after RL where --rl names it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.files import write_json
from specs_verl.errors import UserError
from specs_verl.measure.checkpoints import Checkpoint, DataSet, evaluate_checkpoints
from specs_verl.measure.evaluate_command import checks_from, other_formats, show_grading
from specs_verl.measure.figures import Line, write_lines
from specs_verl.measure.gf_curve import DEFINITIONS, NEAR_PAPER, PAPER_START, GfCurve, gf_curve, starts_as_in_the_paper
from specs_verl.measure.metrics import ModelMetrics, read_metrics
from specs_verl.measure.runs import checkpoints_of
from specs_verl.progress import Steps
from specs_verl.sampling import SamplingParameters
from specs_verl.sampling.cli import add_engine_arguments, add_pixel_arguments, engine_settings, sampling_bars

BASE = "base"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that belong to runs; those of the gate are in cli.py."""
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="[NAME[@ROLE]=]FILE[,FILE]", help="runs: data to sample"
    )
    parser.add_argument(
        "--formats",
        default="all",
        metavar="all|NAME[,NAME]",
        help="runs: output formats for the first data set, where none has the role ood (default: %(default)s)",
    )
    parser.add_argument("--instruction", metavar="TEXT", help="runs: the prompts' own format instruction")
    parser.add_argument("--format-check", metavar="MODULE:FUNCTION", help="runs: checks of formats that are not ours")
    parser.add_argument("--out", type=Path, metavar="DIR", help="runs: for samples, gf.json and the figures")
    parser.add_argument("--rows", type=int, default=256, help="runs: the first N rows (default: %(default)s)")
    parser.add_argument("--n", type=int, default=1, help="runs: responses per prompt (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.0, help="runs: default %(default)s")
    parser.add_argument("--max-tokens", type=int, default=1024, help="runs: response, default %(default)s")
    parser.add_argument("--max-prompt-tokens", type=int, default=4096, help="runs: default %(default)s")
    add_pixel_arguments(parser)
    add_engine_arguments(parser)
    parser.add_argument("--engine", help="runs: what samples: vllm, ray, verl, or module:class (default: vllm)")
    parser.add_argument(
        "--rl", action="append", default=[], metavar="RUN=METRICS", help="runs: metrics of the model after RL from RUN"
    )


def is_run(place: str) -> bool:
    """Whether an argument names a cold start's folder rather than metrics."""
    folder = Path(place.partition("=")[2] or place)
    return folder.is_dir() and (any(folder.glob("hf_step_*")) or (folder / "metrics.jsonl").is_file())


def run(args: argparse.Namespace) -> int:
    """Sample, measure, print, and write the figures."""
    if not args.data or args.out is None or len(args.base) != 1:
        raise UserError("For the curves of a run pass --data FILE, --out DIR and one --base CHECKPOINT.")
    console = Console()
    data = [DataSet.parse(text) for text in args.data]
    if not any(entry.role == "ood" for entry in data):
        data.append(other_formats(data[0], args.formats, args.rows, args.instruction, args.out))
    files = [file for entry in data for file in entry.files]
    checks = checks_from(args.format_check, files) if args.format_check else None
    runs = _runs(args.models)
    after_rl = _after_rl(args.rl, runs)
    models = {(BASE, 0): Checkpoint(BASE, str(args.base[0]))}
    for name, folder in runs.items():
        for step, place in checkpoints_of(folder).items():
            models[name, step] = Checkpoint(f"{name}@{step}", str(place))
    parameters = SamplingParameters(
        n=args.n,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        max_prompt_tokens=args.max_prompt_tokens,
        max_pixels=args.max_pixels,
        min_pixels=args.min_pixels,
    )
    started = time.monotonic()
    with Steps() as steps:
        paths = evaluate_checkpoints(
            list(models.values()),
            data,
            args.out,
            parameters,
            engine=engine_settings(args),
            rows=args.rows,
            format_checks=checks,
            on_sampling=sampling_bars(steps),
            on_grading=partial(show_grading, steps),
        )
    seconds = time.monotonic() - started
    metrics = dict(zip(models, map(read_metrics, paths), strict=True))
    curves = [
        gf_curve(
            name, {step: metrics[run, step] for run, step in metrics if run in (BASE, name)}, definition, args.beta
        )
        for name in runs
        for definition in DEFINITIONS
    ]
    for curve in curves:
        console.print(curve_table(curve))
    console.print(start_table(metrics[BASE, 0]))
    responses = sum(evaluated.overall.responses for entry in metrics.values() for evaluated in entry.sets.values())
    console.print(
        f"{len(models)} checkpoints, {responses:,} responses: {seconds:.0f} s with what was sampled in this call, "
        f"{seconds / len(models):.1f} s a checkpoint.",
        highlight=False,
    )
    write_json(
        args.out / "gf.json",
        {
            "curves": [{**asdict(curve), "best": curve.best} for curve in curves],
            "beta": args.beta,
            "after_rl": after_rl,
            "seconds": seconds,
            "checkpoints": len(models),
            "responses": responses,
            "parameters": asdict(parameters),
        },
    )
    for path in write_figures(curves, after_rl, args.out):
        console.print(f"Figure: {path}", markup=False, highlight=False)
    return 0


def _runs(places: Sequence[str]) -> dict[str, Path]:
    runs: dict[str, Path] = {}
    for place in places:
        checkpoint = Checkpoint.parse(place)
        if checkpoint.name in runs or checkpoint.name == BASE:
            raise UserError(f"{place}: name the runs differently, as in NAME={checkpoint.path}.")
        runs[checkpoint.name] = Path(checkpoint.path)
    return runs


def _after_rl(texts: Sequence[str], runs: Mapping[str, Path]) -> dict[str, float]:
    """Accuracy after RL by run."""
    found = {}
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals or name not in runs:
            raise UserError(f"--rl {text!r}: write RUN=METRICS with RUN one of {', '.join(runs)}.")
        found[name] = read_metrics(Path(place)).in_distribution().overall.accuracy
    return found


def write_figures(curves: Sequence[GfCurve], after_rl: Mapping[str, float], out: Path) -> list[Path]:
    """The paper's two figures, and one line per format, as PNG and CSV."""
    written = []
    for definition in DEFINITIONS:
        own = [curve for curve in curves if curve.definition == definition]
        lines = [
            Line(f"{curve.run} {label}", curve.steps, values, colour, dash)
            for colour, curve in enumerate(own)
            for dash, (label, values) in enumerate((("GF", curve.gf), ("ID", curve.id), ("OOD", curve.ood)))
        ]
        title = f"Generalization over steps, {definition}"
        written += write_lines(out / f"gf_{definition}", title, lines, x_label="step", y_label="share", percent=True)
        for curve in own:
            by_format = [
                Line(name, curve.steps, values, number, number // 8)
                for number, (name, values) in enumerate(curve.by_format.items())
            ]
            path, title = out / f"formats_{curve.run}_{definition}", f"{curve.run}: {definition} per format"
            written += write_lines(path, title, by_format, x_label="step", y_label="share", percent=True)
        clouds = [
            Line(curve.run, [max(curve.gf)], [after_rl[curve.run]], colour, points=True)
            for colour, curve in enumerate(own)
            if curve.run in after_rl
        ]
        if clouds:
            path, label = out / f"gf_against_rl_{definition}", f"highest GF of the cold start ({definition})"
            title = "Accuracy after RL against GF before it"
            written += write_lines(path, title, clouds, x_label=label, y_label="accuracy after RL", percent=True)
    return written


def curve_table(curve: GfCurve) -> Table:
    """ID, OOD and GF by step, in per cent; the best step is marked."""
    counted = "in the asked format" if curve.definition == "compliance" else "in the asked format and right"
    table = Table(title=f"{escape(curve.run)}: {counted}", title_justify="left")
    for heading in ("step", "ID", "OOD", "GF"):
        table.add_column(heading, justify="right")
    for step, inside, outside, factor in zip(curve.steps, curve.id, curve.ood, curve.gf, strict=True):
        values = (f"{100 * value:.1f}" for value in (inside, outside, factor))
        table.add_row(str(step), *values, style="bold" if step == curve.best else None)
    return table


def start_table(base: ModelMetrics) -> Table:
    """Which formats behave, on this base, as in the paper: hardly obeyed before training."""
    near = starts_as_in_the_paper(base)
    inside = 100 * base.in_distribution().overall.format
    table = Table(
        title=f"The base before training: {inside:.0f} % in distribution (paper {100 * PAPER_START['id']:.0f} %); "
        f"unseen formats start near {100 * PAPER_START['ood']:.0f} % in the paper",
        title_justify="left",
    )
    table.add_column("output format")
    table.add_column("compliance", justify="right")
    table.add_column("starts as in the paper")
    for evaluated in base.of_role("ood").values():
        for name, figures in evaluated.by_format.items():
            unsure = f"cannot be said from {figures.prompts} prompts"
            verdict = "yes" if near[name] else "no" if figures.format > NEAR_PAPER else unsure
            table.add_row(name, f"{100 * figures.format:.1f}", verdict)
    return table
