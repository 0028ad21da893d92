"""The command `specs export`: preference pairs for TRL, LLaMA-Factory or ms-swift, see export.py.

    specs export --pairs runs/pairs/pairs.parquet --format llama_factory --out exported

Images go along as files or inside the parquet.
"""

from __future__ import annotations

import argparse

from specs_verl.distill.export import FORMATS, export


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--pairs", required=True, metavar="FILE", help="pairs.parquet of a distillation")
    parser.add_argument("--format", required=True, choices=tuple(FORMATS), help="whose format")
    parser.add_argument("--out", required=True, metavar="DIR", help="output directory")


def run(args: argparse.Namespace) -> int:
    """Export and name the file."""
    print(export(args.pairs, args.out, args.format))
    return 0
