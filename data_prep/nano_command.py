"""The command `specs data nano`: the built-in nano world as parquet files."""

from __future__ import annotations

import argparse

from data_prep import nano


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--out", required=True, metavar="DIR", help="gets train.parquet, test.parquet, ood.parquet")
    parser.add_argument("--train", type=int, default=4096, help="training rows (default %(default)s)")
    parser.add_argument("--test", type=int, default=1000, help="held-out rows, of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Write the files and name them."""
    for split, path in nano.write_data(args.out, args.train, args.test, args.seed).items():
        print(f"{split}: {path}")
    return 0
