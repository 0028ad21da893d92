"""`specs benchmark`: published benchmarks as data, and our responses for their official evaluators.

    specs benchmark list
    specs benchmark prepare mathvista --source MathVista --out data/mathvista.parquet
    specs evaluate runs/grpo/hf --data data/mathvista.parquet --out runs/eval --n 1      # prints the official score
    specs benchmark write vlmevalkit mathvista --samples RUN --data data/mathvista.parquet --table MathVista_MINI.tsv \\
        --model ours --out predictions
    specs benchmark write megabench megabench --samples RUN --data data/mega.parquet --source MEGA-Bench --out results
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.prepare import prepare
from specs_verl.measure.benchmarks.registry import BENCHMARKS, chosen
from specs_verl.measure.benchmarks.response_files import write_megabench, write_vlmevalkit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    actions = parser.add_subparsers(dest="benchmark_action", required=True, metavar="WHAT")
    actions.add_parser("list", help="benchmarks with their split, files and official rule")
    making = actions.add_parser("prepare", help="published files on this machine -> a parquet that can be evaluated")
    making.add_argument("benchmark", help=f"one of {', '.join(BENCHMARKS)}")
    making.add_argument("--source", type=Path, required=True, metavar="DIR", help="folder of the published data set")
    making.add_argument("--out", type=Path, required=True, metavar="FILE", help="parquet file to write")
    making.add_argument(
        "--prompt", default="specs", help="specs, cold_start, none, or a text file with a system prompt (%(default)s)"
    )
    making.add_argument(
        "--judge", action="store_true", help="free answers are judged by the endpoint of REWARD_FNS_JUDGE_URL"
    )
    making.add_argument("--skip-broken", action="store_true", help="leave out and count rows that cannot be used")
    writing = actions.add_parser("write", help="our responses in the files that official evaluators read")
    writing.add_argument("kit", choices=("vlmevalkit", "megabench"), help="whose evaluator will read them")
    writing.add_argument("benchmark", help=f"one of {', '.join(BENCHMARKS)}")
    writing.add_argument("--samples", type=Path, required=True, metavar="DIR", help="the sampling run")
    writing.add_argument("--data", type=Path, required=True, metavar="FILE", help="the prepared file it was made from")
    writing.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    writing.add_argument("--table", type=Path, metavar="TSV", help="vlmevalkit: its own table of the data set")
    writing.add_argument("--model", default="ours", help="vlmevalkit: name of the model (default: %(default)s)")
    writing.add_argument("--id-of", metavar="PATTERN", help="vlmevalkit: our id from the table's columns: {index}")
    writing.add_argument("--source", type=Path, metavar="DIR", help="megabench: folder of the published data set")
    writing.add_argument("--whole", action="store_true", help="whole responses instead of the answers alone")


def run(args: argparse.Namespace) -> int:
    """Carry out one action."""
    console = Console(highlight=False)
    if args.benchmark_action == "list":
        table = Table("name", "benchmark", "split", "questions", "published as", "official rule")
        for entry in BENCHMARKS.values():
            table.add_row(entry.name, entry.title, entry.split, f"{entry.size:,}", entry.source, entry.rule)
        console.print(table)
        return 0
    benchmark = chosen(args.benchmark)
    if args.benchmark_action == "prepare":
        made = prepare(
            benchmark, args.source, args.out, prompt=args.prompt, judge=args.judge, skip_broken=args.skip_broken
        )
        left_out = f", {made.left_out} left out" if made.left_out else ""
        console.print(
            f"{benchmark.title} {benchmark.split}: {made.questions:,} of {made.expected:,} questions{left_out}, "
            f"prompt {made.prompt}: {args.out}",
            markup=False,
        )
        return 0
    if args.kit == "vlmevalkit":
        if args.table is None:
            raise UserError("--table: VLMEvalKit's own table of the data set (LMUData/NAME.tsv) is needed.")
        path = write_vlmevalkit(
            benchmark, args.samples, args.data, args.table, args.model, args.out, id_of=args.id_of, whole=args.whole
        )
    else:
        if args.source is None:
            raise UserError("--source: the folder of the published MEGA-Bench is needed.")
        path = write_megabench(args.samples, args.data, args.source, args.out, whole=args.whole)
    console.print(f"Written: {path}", markup=False)
    return 0
