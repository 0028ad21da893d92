"""`specs evaluate`: checkpoints in, figures out; or grades for samples that are there already.

specs evaluate base=MODEL runs/cold_start/hf --data data/test.parquet --formats all --out runs/eval --n 8
specs evaluate --model final --set test=runs/samples/final:data/test.parquet --out runs/eval/final
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from data_prep.files import read_json, write_json
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.formats.registry import chosen
from specs_verl.formats.rewrite import rewrite
from specs_verl.grading.responses import OWN_FORMATS, FormatChecks, load_function
from specs_verl.measure.benchmarks.scores import read_benchmarks
from specs_verl.measure.checkpoints import Checkpoint, DataSet, comparisons, evaluate_checkpoints
from specs_verl.measure.evaluate import DEFAULT_REWARD, REGISTERED, EvalSet, evaluate
from specs_verl.measure.metrics import ROLES
from specs_verl.measure.report import ReportInputs, print_summary
from specs_verl.measure.rollouts import read_prompts
from specs_verl.progress import Steps
from specs_verl.sampling import SamplingParameters
from specs_verl.sampling.cli import add_engine_arguments, add_pixel_arguments, engine_settings, sampling_bars

ROLE_HELP = f"ROLE is {', '.join(ROLES)} (id: as in training; ood: another output format; control: shuffled images)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "examples:\n"
        "  specs evaluate base=MODEL runs/cold_start/hf --data data/test.parquet --formats all --out runs/eval --n 8\n"
        "  specs evaluate --model final --out runs/eval/final --set test=runs/samples/final/test:data/test.parquet"
    )
    parser.add_argument(
        "checkpoints",
        nargs="*",
        metavar="[NAME=]CKPT",
        help="Hugging Face checkpoints, or URL#MODEL; the first is compared with",
    )
    parser.add_argument("--out", required=True, type=Path, help="directory for samples, graded rollouts and figures")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="[NAME[@ROLE]=]FILE[,FILE]",
        help=f"parquet files to sample. {ROLE_HELP}",
    )
    parser.add_argument(
        "--formats",
        metavar="all|NAME[,NAME]",
        help="also ask the first data set in other output formats (see specs formats --list), as the data set `ood`",
    )
    parser.add_argument("--instruction", metavar="TEXT", help="with --formats: the prompts' own format instruction")
    defaults = SamplingParameters()
    parser.add_argument("--n", type=int, default=1, help="responses per prompt (default: %(default)s)")
    parser.add_argument("--ood-n", type=int, help="responses per prompt of data sets with the role ood (default: --n)")
    parser.add_argument("--temperature", type=float, default=defaults.temperature, help="default %(default)s")
    parser.add_argument("--top-p", type=float, default=defaults.top_p, help="default %(default)s")
    parser.add_argument("--max-tokens", type=int, default=defaults.max_tokens, help="response, default %(default)s")
    parser.add_argument("--max-prompt-tokens", type=int, default=defaults.max_prompt_tokens, help="default %(default)s")
    add_pixel_arguments(parser)
    parser.add_argument("--sampling-seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--logprobs", type=int, default=0, metavar="K", help="record K per token, for the branching factor (20 will do)"
    )
    parser.add_argument("--rows", type=int, metavar="N", help="only the first N rows of every data set")
    parser.add_argument(
        "--engine",
        help="what samples: vllm, ray (on a Ray cluster, which grades, too), verl, endpoint, or module:class",
    )
    parser.add_argument("--engine-workers", type=int, help="sampling processes (default: per core or per GPU)")
    add_engine_arguments(parser)
    parser.add_argument("--model", help="with --set: name of the model in tables")
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="NAME[@ROLE]=SAMPLES:PROMPTS[,PROMPTS]",
        help="samples that are there already: directory of a sampling run and the parquet file(s) it was sampled from",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="training seed of the checkpoints, for the spread over seeds"
    )
    parser.add_argument(
        "--format-check",
        metavar="MODULE:FUNCTION",
        help="function (format name, response) -> bool for formats in extra_info.format that are not ours",
    )
    parser.add_argument(
        "--reward",
        default=DEFAULT_REWARD,
        metavar="MODULE:FUNCTION",
        help="reward function in verl's signature, or path/to/file.py:function (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, help="grading processes (default: one per core, at most 8)")


def run(args: argparse.Namespace) -> int:
    """Sample where checkpoints are given, grade, and show the figures."""
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers must be at least 1, got {args.workers}.")
    if bool(args.checkpoints) == bool(args.sets):
        raise UserError("Pass checkpoints with --data, or samples that are there already with --set and --model.")
    console = Console()
    return _run_checkpoints(args, console) if args.checkpoints else _run_sets(args, console)


def _run_checkpoints(args: argparse.Namespace, console: Console) -> int:
    if not args.data:
        raise UserError("--data: pass at least one parquet file to sample.")
    data = [DataSet.parse(text) for text in args.data]
    if args.formats:
        data.append(other_formats(data[0], args.formats, args.rows, args.instruction, args.out))
    checks = _checks(args.format_check, [file for entry in data for file in entry.files])
    parameters = SamplingParameters(
        n=args.n,
        temperature=args.temperature,
        top_p=args.top_p,
        max_tokens=args.max_tokens,
        max_prompt_tokens=args.max_prompt_tokens,
        max_pixels=args.max_pixels,
        min_pixels=args.min_pixels,
        seed=args.sampling_seed,
        logprobs=args.logprobs,
    )
    with Steps() as steps:
        paths = evaluate_checkpoints(
            [Checkpoint.parse(text) for text in args.checkpoints],
            data,
            args.out,
            parameters,
            samples_of={entry.name: args.ood_n for entry in data if entry.role == "ood"} if args.ood_n else None,
            engine=engine_settings(args, workers=args.engine_workers),
            rows=args.rows,
            seed=args.seed,
            format_checks=checks,
            reward=args.reward,
            workers=args.workers,
            on_sampling=sampling_bars(steps),
            on_grading=partial(show_grading, steps),
        )
    print_summary(console, ReportInputs(metrics=tuple(paths)))
    _print_comparisons(console, paths)
    for path in paths:
        for score in read_benchmarks(path):
            console.print(f"{path.parent.name}: {score['line']}", markup=False, highlight=False)
        console.print(f"Metrics: {path}", markup=False, highlight=False)
    return 0


def other_formats(source: DataSet, formats: str, rows: int | None, instruction: str | None, out: Path) -> DataSet:
    """A data set in other formats ("all", or names), written once below ``out``."""
    names = None if formats == "all" else [name for name in formats.split(",") if name]
    target = out / "data" / "ood.parquet"
    made_from = {"data": data_fingerprint(source.files), "formats": names, "rows": rows, "instruction": instruction}
    note = target.with_suffix(".json")
    if not (target.is_file() and note.is_file() and read_json(note) == made_from):
        rewrite(source.files, target, chosen(names), rows=rows, instruction=instruction)
        write_json(note, made_from)
    return DataSet("ood", (target,), "ood")


def _run_sets(args: argparse.Namespace, console: Console) -> int:
    if not args.model:
        raise UserError("--model: name the model whose samples --set passes.")
    sets = [parse_set(text) for text in args.sets]
    checks = _checks(args.format_check, [file for entry in sets for file in entry.prompts])
    with Steps() as steps:
        path = evaluate(
            args.model,
            sets,
            args.out,
            seed=args.seed,
            format_checks=checks,
            reward=args.reward,
            workers=args.workers,
            on_progress=partial(show_grading, steps),
        )
    print_summary(console, ReportInputs(metrics=(path,)))
    console.print(f"Metrics: {path}", markup=False, highlight=False)
    return 0


def show_grading(steps: Steps, name: str, done: int, total: int) -> None:
    steps.show(f"grading {name}", done, total)


def _print_comparisons(console: Console, paths: list[Path]) -> None:
    found = comparisons(paths)
    if not found:
        return
    table = Table(title=f"Against {found[0].control}, paired over prompts, with 95 % intervals", title_justify="left")
    for heading in ("model", "data", "figure", "before", "after", "difference"):
        table.add_column(heading, justify="left" if heading in ("model", "data", "figure") else "right")
    for entry in found:
        scale = 1 if entry.quantity == "tokens" else 100
        values = (scale * value for value in (entry.difference.value, entry.difference.low, entry.difference.high))
        table.add_row(
            entry.treated,
            entry.data,
            entry.quantity,
            f"{scale * entry.before:.1f}",
            f"{scale * entry.after:.1f}",
            "{:+.1f} ({:+.1f} to {:+.1f})".format(*values),
            style=None if entry.certain else "dim",
        )
    console.print(table)


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


def _checks(spec: str | None, files: list[Path]) -> FormatChecks | None:
    return checks_from(spec, files) if spec else None


def checks_from(spec: str, files: list[Path]) -> FormatChecks:
    """A check per asked format, out of one function (format name, response) -> bool; tried once before any grading."""
    function = cast("Callable[[str, str], bool]", load_function(spec, "Format check"))
    asked = {prompt.asked_format for file in files for prompt in read_prompts([file])} - set(OWN_FORMATS)
    checks: dict[str, Callable[[str], bool]] = {}
    for name in sorted(asked):
        try:
            function(name, "")
        except (KeyError, ValueError) as error:
            if name in REGISTERED:
                continue
            raise UserError(f"Format check {spec!r} knows no format {name!r}, which the prompts ask for.") from error
        checks[name] = partial(function, name)
    return checks
