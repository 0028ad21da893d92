"""`specs formats`: the output formats that any data set can ask for, and a data set that asks for them.

specs formats --list
specs formats --data data/test.parquet --out data/ood.parquet [--format json_object --format closing_sentence]
specs formats --data data/train.parquet --out several.parquet --format pair_names --share 0.5 --held-out ood.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from specs_verl.errors import UserError
from specs_verl.formats.held_out import refuse_held_out
from specs_verl.formats.registry import FORMATS, chosen, for_training
from specs_verl.formats.rewrite import rewrite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--list", action="store_true", help="print every format with an example, and do nothing else")
    parser.add_argument("--data", metavar="FILE", nargs="+", help="parquet files in verl's schema")
    parser.add_argument("--out", type=Path, metavar="FILE", help="parquet file to write")
    parser.add_argument(
        "--format", dest="formats", action="append", metavar="NAME", help="ask for this format only; may be repeated"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the rows that is rewritten (default: all)",
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        metavar="FILE",
        help="prompts of the evaluation: their formats are refused",
    )
    parser.add_argument("--rows", type=int, metavar="N", help="only the first N rows")
    parser.add_argument("--instruction", metavar="TEXT", help="the prompts' own format instruction, word for word")
    parser.add_argument(
        "--append", action="store_true", help="add the instruction also where a prompt has none of its own"
    )


def run(args: argparse.Namespace) -> int:
    """Print the list, or write the data set and its counts."""
    console = Console()
    if args.list:
        table = Table("name", "the prompt says", "a response")
        for form in FORMATS.values():
            table.add_row(form.name, escape(form.instruction), escape(form.write("Two and two make four.", "4")))
        console.print(table)
        return 0
    if not args.data or args.out is None:
        raise UserError("Pass --data FILE and --out FILE, or --list.")
    if args.rows is not None and args.rows < 1:
        raise UserError(f"--rows must be at least 1, got {args.rows}.")
    if not 0 < args.share <= 1:
        raise UserError(f"--share is above 0 and at most 1, got {args.share}.")
    forms = for_training(args.formats) if args.formats else chosen(None)
    refuse_held_out(forms, args.held_out or ())
    counts = rewrite(
        args.data,
        args.out,
        forms,
        share=args.share,
        rows=args.rows,
        instruction=args.instruction,
        append=args.append,
    )
    for name, count in counts.items():
        console.print(f"{name}: {count} rows", highlight=False)
    console.print(f"Written: {args.out}", markup=False, highlight=False)
    return 0
