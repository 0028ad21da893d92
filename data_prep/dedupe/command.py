"""The command `specs data dedupe`."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep import schema
from data_prep.dedupe.decide import Thresholds
from data_prep.dedupe.deduplicate import deduplicate
from data_prep.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="parquet in verl's schema; earlier ones are preferred")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets the files without duplicates, removed.jsonl")
    add_thresholds(parser)


def add_thresholds(parser: argparse.ArgumentParser) -> None:
    """What is alike, and benchmarks: shared with the papers' commands."""
    usual = Thresholds()
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="FILE",
        help="benchmarks (folders, parquet or JSON): rows that they ask too are removed",
    )
    parser.add_argument(
        "--image-distance",
        type=int,
        default=usual.image_distance,
        metavar="BITS",
        help="bits of 64 by which hashes of like images differ (default %(default)s; 0 to 16)",
    )
    parser.add_argument(
        "--text-overlap",
        type=float,
        default=usual.text_overlap,
        metavar="SHARE",
        help="share of common 8-grams of like questions (default %(default)s)",
    )
    parser.add_argument(
        "--needs-both", action="store_true", help="contaminated only if image and question are a benchmark's"
    )


def thresholds(args: argparse.Namespace) -> Thresholds:
    """Checked; UserError for what makes no sense."""
    if not 0 <= args.image_distance <= 16:
        raise UserError(f"--image-distance {args.image_distance}: must lie in 0 to 16; unrelated images are near 32.")
    if not 0.0 < args.text_overlap <= 1.0:
        raise UserError(f"--text-overlap {args.text_overlap}: must lie in (0, 1].")
    return Thresholds(args.image_distance, args.text_overlap, args.needs_both)


def run(args: argparse.Namespace) -> int:
    """Deduplicate; print the counts."""
    try:
        outcome = deduplicate(
            [Path(file) for file in args.files], Path(args.out), [Path(file) for file in args.against], thresholds(args)
        )
    except schema.DataError as error:
        raise UserError(str(error)) from error
    print(outcome.text())
    if outcome.removed:
        print(f"which and why: {Path(args.out) / 'removed.jsonl'}; to look at: {Path(args.out) / 'removed.html'}")
    return 0
