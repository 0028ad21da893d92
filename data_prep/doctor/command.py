"""The command `specs data doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from data_prep import schema
from data_prep.doctor.examine import examine, fix
from data_prep.doctor.lengths import Limits
from data_prep.errors import UserError
from data_prep.files import write_text
from data_prep.pages import page
from data_prep.tokens.resize import PixelLimits


class RecipeLimits(TypedDict, total=False):
    """What a recipe says about lengths and sizes; what it leaves open is missing."""

    model: str
    max_prompt_tokens: int
    max_pixels: int
    min_pixels: int


LimitsOf = Callable[[str], RecipeLimits]
"""From a recipe's name: the caller reads recipes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write FILE.fixed.parquet without broken rows, images repaired, and FILE.fixed.left_out.jsonl",
    )
    parser.add_argument("--page", action="store_true", help="write FILE.doctor.html: the table and the worst rows")
    parser.add_argument("--recipe", metavar="NAME", help="check prompt lengths against this recipe")
    parser.add_argument("--model", metavar="DIR", help="checkpoint whose tokenizer counts (default: the recipe's)")
    parser.add_argument("--max-prompt-tokens", type=int, metavar="N", help="longest prompt (default: the recipe's)")
    parser.add_argument(
        "--max-pixels", type=int, metavar="N", help="larger images are shrunk (default: as the recipe does)"
    )
    parser.add_argument(
        "--min-pixels", type=int, metavar="N", help="smaller ones are enlarged (default: as the recipe does)"
    )
    parser.add_argument("--headers-only", action="store_true", help="do not decode images: faster, misses damaged ones")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every row is sound (or was fixed), 1 when rows are broken."""
    limits = _limits(args)
    broken = 0
    for file in args.files:
        path = Path(file)
        stem = path.name.removesuffix(".parquet")
        try:
            if args.fix:
                out = path.with_name(f"{stem}.fixed.parquet")
                report = fix(path, out, limits)
                print(report.text())
                kept = report.rows - len(report.broken)
                print(f"  {kept} rows kept in {out}, {len(report.broken)} dropped, {report.repaired} images repaired")
            else:
                report = examine(path, limits, decode=not args.headers_only)
                print(report.text())
                broken += len(report.broken)
        except schema.DataError as error:
            raise UserError(str(error)) from error
        if args.page:
            where = path.with_name(f"{stem}.doctor.html")
            write_text(where, page("doctor.html.j2", title=path.name, report=report))
            print(f"  page: {where}")
    return 1 if broken else 0


def _limits(args: argparse.Namespace) -> Limits | None:
    """From the recipe, with what the command line says on top; None when nothing is to be counted."""
    found: RecipeLimits = {}
    if args.recipe:
        of_recipe: LimitsOf | None = getattr(args, "recipe_limits", None)
        if of_recipe is None:
            raise UserError("--recipe needs the `specs` command; pass --model and --max-prompt-tokens instead.")
        found = of_recipe(args.recipe)
    model = args.model or found.get("model")
    longest = args.max_prompt_tokens or found.get("max_prompt_tokens")
    lowest = found.get("min_pixels") if args.min_pixels is None else args.min_pixels
    highest = found.get("max_pixels") if args.max_pixels is None else args.max_pixels
    if model is None and longest is None and lowest is None and highest is None:
        return None
    if not model or not longest:
        raise UserError("Prompt lengths need both --model DIR and --max-prompt-tokens N, or a --recipe that has them.")
    pixels = PixelLimits(min_pixels=lowest, max_pixels=highest)
    return Limits(model, longest, args.recipe or "", pixels)
