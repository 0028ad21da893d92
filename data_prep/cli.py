"""The command `specs data`: make data sets, check them, repair them.

    specs data nano --out data/nano --train 4096 --test 1000
    specs data geometry3k --source geometry3k/data --out data/geometry3k
    specs data doctor data/geometry3k/train.parquet --fix

One module per subcommand, with `add_arguments(parser)` and `run(args)`.
"""

from __future__ import annotations

import argparse
import importlib

SUBCOMMANDS = {
    "nano": (
        "data_prep.nano_command",
        "write the built-in nano world: training, held-out and out-of-distribution rows",
    ),
    "doctor": ("data_prep.doctor", "check a data set row by row; --fix drops broken rows"),
    "geometry3k": ("data_prep.geometry3k", "convert a local copy of hiyouga/geometry3k"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    subparsers = parser.add_subparsers(dest="data_command", required=True, metavar="WHAT")
    for name, (module, description) in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=description, description=f"specs data {name}: {description}.")
        importlib.import_module(module).add_arguments(subparser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return importlib.import_module(SUBCOMMANDS[args.data_command][0]).run(args)
