"""The command `specs route`: RISE's supervised data from the samples of an RL model, see route.py.

    specs route --prompts train.parquet --samples runs/rl/samples --expert http://host/v1#teacher --out runs/rise

The samples come from `specs sample`.
"""

from __future__ import annotations

import argparse
from functools import partial

from specs_verl.distill.conversations_report import make_and_tell
from specs_verl.distill.route import Routing, route
from specs_verl.sampling.cli import add_engine_arguments, engine_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--prompts", nargs="+", required=True, metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument("--samples", required=True, metavar="DIR", help="samples of the RL model over these prompts")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets sft.parquet and report.json")
    parser.add_argument(
        "--expert", metavar="MODEL", help="for prompts never got right: URL#MODEL or checkpoint directory"
    )
    parser.add_argument(
        "--attempts", type=int, default=4, help="expert samples per prompt at most (default %(default)s)"
    )
    parser.add_argument(
        "--untold", action="store_true", help="the expert gets the prompts as they are, without the reference answer"
    )
    parser.add_argument("--max-tokens", type=int, default=2048, help="of the expert (default %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of the expert (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--engine", help="what samples a checkpoint as expert: vllm, ray, verl, or module:class (default: vllm)"
    )
    add_engine_arguments(parser)
    parser.add_argument("--workers", type=int, help="grading processes (default: one per core)")


def run(args: argparse.Namespace) -> int:
    """Route and print the counts."""
    routing = Routing(
        prompts=tuple(args.prompts),
        samples=args.samples,
        out=args.out,
        expert=args.expert,
        told=not args.untold,
        attempts=args.attempts,
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        seed=args.seed,
        engine=engine_settings(args, args.expert),
        workers=args.workers,
    )
    return make_and_tell(partial(route, routing), args.out)
