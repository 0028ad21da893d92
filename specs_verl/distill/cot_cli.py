"""The command `specs cot`: chain-of-thought data of a teacher by rejection sampling, see cot.py.

    specs cot --prompts train.parquet --teacher http://host/v1#teacher --patterns distilled reflection --out runs/cot

Prompts are dealt to the patterns in turn.
"""

from __future__ import annotations

import argparse
from functools import partial

from specs_verl.distill.conversations_report import make_and_tell
from specs_verl.distill.cot import MOST_SAMPLES, PATTERNS, CotJob, distill_cot
from specs_verl.sampling.cli import add_engine_arguments, engine_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--prompts", nargs="+", required=True, metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument("--teacher", required=True, metavar="MODEL", help="URL#MODEL or checkpoint directory")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets sft.parquet and report.json")
    parser.add_argument(
        "--patterns", nargs="+", choices=tuple(PATTERNS), default=["distilled"], help="default distilled"
    )
    parser.add_argument("--n", type=int, default=2, help="samples at a time (default %(default)s)")
    parser.add_argument("--max-samples", type=int, default=MOST_SAMPLES, help="per prompt (default %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=2048, help="default %(default)s")
    parser.add_argument("--temperature", type=float, default=0.7, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--engine", help="what samples a checkpoint as teacher: vllm, ray, verl, or module:class (default: vllm)"
    )
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Sample, accept, write, print the counts."""
    job = CotJob(
        prompts=tuple(args.prompts),
        teacher=args.teacher,
        out=args.out,
        patterns=tuple(args.patterns),
        max_samples=args.max_samples,
        n=args.n,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        seed=args.seed,
        engine=engine_settings(args, args.teacher),
    )
    return make_and_tell(partial(distill_cot, job), args.out)
