"""The commands `specs data mix | card | specs_86k | rise | rl_cold_start`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import yaml

from data_prep import schema
from data_prep.dedupe.command import add_thresholds, thresholds
from data_prep.errors import UserError
from data_prep.files import locked, sweep
from data_prep.mix.card import describe, markdown, write_card
from data_prep.mix.mixing import Source, mix
from data_prep.mix.papers import Settings, rise, rl_cold_start, specs_86k
from data_prep.prompts import chosen
from data_prep.sets.generic import read_mapping

MIX_HELP = """YAML with the sets, for example
  sets:
    orsta: {file: data/orsta/train.parquet, weight: 2}
    virl39k: {file: data/virl39k/train.parquet, weight: 1, cap: 20000}
  total: 30000"""


def add_mix_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data mix`."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("mixture", metavar="FILE", help=MIX_HELP)
    parser.add_argument("--out", required=True, metavar="DIR", help="gets train.parquet, card.md and card.json")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    _add_model(parser)


def add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data card`."""
    parser.add_argument("file", metavar="FILE", help="parquet in verl's schema")
    parser.add_argument("--out", metavar="DIR", help="write card.md and card.json there instead of printing")
    _add_model(parser)


def add_specs_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data specs_86k`."""
    parser.add_argument("--orsta", required=True, metavar="DIR", help="Orsta-Data-47k: folder or name on the hub")
    parser.add_argument("--virl", required=True, metavar="DIR", help="ViRL39K: folder with its parquet and images")
    _add_shared(parser)


def add_rise_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data rise`."""
    add_specs_arguments(parser)
    parser.add_argument("--text", metavar="PATH", help="text-only rows to mix in; needs --text-mapping")
    parser.add_argument("--text-mapping", metavar="FILE", help="YAML of `specs data generic` for --text")


def add_rl_cold_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data rl_cold_start`."""
    parser.add_argument("--sft", required=True, metavar="DIR", help="Multimodal-Cold-Start: folder or name on the hub")
    parser.add_argument("--rl", required=True, metavar="DIR", help="Multimodal-RL-Data: folder or name on the hub")
    parser.add_argument("--geometry3k", metavar="DIR", help="its test split becomes validation.parquet, as published")
    _add_shared(parser)


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="DIR", help="gets the files and their data card")
    parser.add_argument("--test", type=float, default=0.01, metavar="SHARE", help="held out (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--limit", type=int, metavar="N", help="so many rows per set at most, to try it out")
    parser.add_argument("--prompt", metavar="NAME_OR_FILE", help="instead of the method's prompt")
    add_thresholds(parser)
    _add_model(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR", help="checkpoint whose tokenizer counts prompts for the card")


def run(args: argparse.Namespace) -> int:
    """Run one of the commands; print the rows per file or set."""
    try:
        counts = _run(args)
    except schema.DataError as error:
        raise UserError(str(error)) from error
    for name, count in counts.items():
        print(f"{name}: {count} rows")
    return 0


def _run(args: argparse.Namespace) -> Mapping[str, int]:
    if args.data_command == "card":
        card = describe(Path(args.file), checkpoint=args.model)
        if args.out:
            write_card(card, Path(args.out))
        else:
            print(markdown(card))
        return {}
    out = Path(args.out)
    if args.data_command == "mix":
        sources, total = read_mixture(args.mixture)
        with locked(out):
            sweep(out)
            counts = mix(sources, out / "train.parquet", total, args.seed)
            write_card(describe(out / "train.parquet", checkpoint=args.model, seed=args.seed), out)
        return counts
    settings = Settings(
        against=tuple(args.against),
        thresholds=thresholds(args),
        test=args.test,
        seed=args.seed,
        limit=args.limit,
        checkpoint=args.model,
        prompt=chosen(args.prompt) if args.prompt else None,
    )
    if args.data_command == "specs_86k":
        return specs_86k(args.orsta, args.virl, out, settings)
    if args.data_command == "rl_cold_start":
        return rl_cold_start(args.sft, args.rl, out, settings, args.geometry3k)
    if bool(args.text) != bool(args.text_mapping):
        raise UserError("--text needs --text-mapping, and the other way round.")
    return rise(
        args.orsta, args.virl, out, settings, (read_mapping(args.text_mapping), args.text) if args.text else None
    )


KEYS = {"file": str, "weight": (int, float), "cap": int}


def read_mixture(path: str | Path) -> tuple[list[Source], int | None]:
    """The sets of a YAML file and the total; UserError naming the file and what is wrong."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: no readable YAML file ({error}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("sets"), dict) or set(content) - {"sets", "total"}:
        raise UserError(f"{path}: must hold `sets`, and may hold `total`; see `specs data mix --help`.")
    total = content.get("total")
    if total is not None and (not isinstance(total, int) or isinstance(total, bool) or total < 1):
        raise UserError(f"{path}: `total` must be a number of rows, got {total!r}.")
    sources = []
    for name, found in content["sets"].items():
        entry = {"file": found} if isinstance(found, str) else found
        if not isinstance(entry, dict) or "file" not in entry or set(entry) - set(KEYS):
            raise UserError(f"{path}: set {name}: needs `file`, may have `weight` and `cap`, got {found!r}.")
        for key, value in entry.items():
            if not isinstance(value, KEYS[key]) or isinstance(value, bool):  # type: ignore[arg-type]
                raise UserError(f"{path}: set {name}: `{key}` cannot be {value!r}.")
        if entry.get("cap", 1) < 1:
            raise UserError(f"{path}: set {name}: `cap` must be above 0.")
        sources.append(Source(str(name), Path(entry["file"]), entry.get("weight"), entry.get("cap")))
    if not sources:
        raise UserError(f"{path}: no sets.")
    return sources, total
