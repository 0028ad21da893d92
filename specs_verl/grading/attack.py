"""`specs reward attack`: how many composed answers that commit to nothing does a reward pay for?

    specs reward attack --verifier number --tries 1000000 --seed 7
    specs reward attack --verifier choice --function my_rewards.py:compute_score --out finds.jsonl

Prints how many answers were tried and every find; the exit code is 1 when there is one. Not here: the grammar and the
search (reward_fns.attack).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from data_prep.files import write_text
from reward_fns.attack import Report, attack, attack_function
from reward_fns.attack.search import RewardFunction
from reward_fns.verdict import CallError
from specs_verl.errors import UserError
from specs_verl.progress import Steps

SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("attack")
    group.add_argument("--tries", type=int, default=10_000, help="answers to compose, default %(default)s")
    group.add_argument("--seed", type=int, default=0, help="of the composition, default %(default)s")
    group.add_argument("--reading", default="auto", help="strict, lenient or auto, default %(default)s")
    group.add_argument(
        "--function", metavar="FILE:NAME", help="attack this reward function (verl's signature) instead of the verifier"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    if args.tries < 1:
        raise UserError(f"--tries must be at least 1, got {args.tries}.")
    verifier = args.verifier or "math"
    with Steps() as steps:

        def tell(tried: int) -> None:
            steps.show(f"attacking {verifier}", tried, args.tries)

        try:
            if args.function:
                report = attack_function(_function(args.function), verifier, args.tries, args.seed, tell)
            else:
                report = attack(verifier, args.tries, args.seed, args.reading, tell)
        except CallError as error:
            raise UserError(str(error)) from error
    _print(console, report)
    if args.out is not None:
        rows = [json.dumps(find._asdict(), ensure_ascii=False) for find in report.found]
        write_text(args.out, "".join(f"{row}\n" for row in rows))
    return 1 if report.paid else 0


def _print(console: Console, report: Report) -> None:
    console.print(
        f"{report.verifier}: {report.tried:,} answers tried ({report.distinct:,} different), "
        f"{report.paid:,} paid without a commitment."
    )
    for find in report.found[:SHOWN]:
        console.print(f"  {escape(repr(find.response))}: {find.why} ({escape(', '.join(find.golds))})")


def _function(where: str) -> RewardFunction:
    """The function NAME of the Python file FILE."""
    file, _, name = where.rpartition(":")
    path = Path(file)
    if not file or not path.is_file():
        raise UserError(f"--function takes FILE:NAME with an existing Python file, got {where!r}.")
    spec = importlib.util.spec_from_file_location("attacked_reward", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{path} has no function {name!r}.")
    found: RewardFunction = function
    return found
