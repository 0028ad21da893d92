"""The commands `specs data NAME` for the data sets of sets/, and `specs data generic` for your own data."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.convert import LEFT_OUT, convert
from data_prep.prompts import PROMPTS, chosen
from data_prep.sets import SETS
from data_prep.sets.generic import read_mapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that all data sets share."""
    parser.add_argument(
        "--source", required=True, metavar="PATH_OR_NAME", help="folder, file, or name on the Hugging Face hub"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="gets SPLIT.parquet and left_out.jsonl")
    parser.add_argument(
        "--prompt",
        metavar="NAME_OR_FILE",
        help=f"prompt around the question: {', '.join(PROMPTS)}, or a text file with a system prompt "
        "(default: that of the method that trains on this set)",
    )
    parser.add_argument("--instruction", metavar="TEXT", help="line after every question, instead of the prompt's own")
    parser.add_argument("--images", metavar="DIR", help="folder that paths of images are relative to")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many rows per split")
    parser.add_argument(
        "--coordinates",
        choices=("pixels", "thousand"),
        default="pixels",
        help="how the model states boxes: in pixels of the image it sees (Qwen2.5-VL, default) or in shares of 1000",
    )


def add_generic_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `specs data generic`."""
    add_arguments(parser)
    parser.add_argument("--mapping", required=True, metavar="FILE", help="YAML: which column is what")


def run(args: argparse.Namespace) -> int:
    """Convert; print the counts."""
    dataset = SETS[args.data_command] if args.data_command in SETS else read_mapping(args.mapping)
    prompt = chosen(args.prompt or dataset.prompt, args.instruction)
    report = convert(
        dataset, args.source, args.out, prompt, args.images, args.limit, pixels=args.coordinates == "pixels"
    )
    print(report.text())
    if report.left_out:
        print(f"reasons: {Path(args.out) / LEFT_OUT}")
    return 0
