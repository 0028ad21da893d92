"""The command `specs data`: make data sets, check them, repair them.

    specs data nano --out data/nano --train 4096 --test 1000
    specs data virl39k --source ViRL39K --out data/virl39k
    specs data doctor data/virl39k/train.parquet --fix

One module per subcommand, with `add_arguments(parser)` and `run(args)`.
"""

from __future__ import annotations

import argparse
import importlib

CONVERT = "data_prep.convert_command"

SUBCOMMANDS = {
    "nano": (
        "data_prep.nano_command",
        "write the built-in nano world: training, held-out and out-of-distribution rows",
    ),
    "orsta": (CONVERT, "convert Orsta-Data-47k"),
    "virl39k": (CONVERT, "convert ViRL39K"),
    "multimodal_cold_start": (CONVERT, "convert Multimodal-Cold-Start (supervised data)"),
    "multimodal_rl": (CONVERT, "convert Multimodal-RL-Data"),
    "geometry3k": (CONVERT, "convert Geometry3K"),
    "mmk12": (CONVERT, "convert MMK12"),
    "thinklite": (CONVERT, "convert ThinkLite-VL-hard and sets of its layout"),
    "clevr_counting": (CONVERT, "convert CLEVR counting"),
    "generic": (f"{CONVERT}:add_generic_arguments", "convert any parquet or JSON, with a YAML file that names columns"),
    "dedupe": ("data_prep.dedupe.command", "remove duplicates, and what benchmarks ask too"),
    "difficulty": ("data_prep.difficulty", "keep the rows that a model gets right sometimes"),
    "split": ("data_prep.split", "split stratified, never one image on both sides"),
    "mix": ("data_prep.mix.command:add_mix_arguments", "several sets as one, with weights, caps and a data card"),
    "card": ("data_prep.mix.command:add_card_arguments", "the data card of a file"),
    "specs_86k": ("data_prep.mix.command:add_specs_arguments", "what Metis-SPECS trains on: Orsta and ViRL39K"),
    "rise": ("data_prep.mix.command:add_rise_arguments", "data for Metis-RISE, which does not name its own"),
    "rl_cold_start": ("data_prep.mix.command:add_rl_cold_start_arguments", "what RL with Cold Start trains on"),
    "doctor": ("data_prep.doctor.command", "check a data set row by row; --fix drops broken rows"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    subparsers = parser.add_subparsers(dest="data_command", required=True, metavar="WHAT")
    for name, (where, description) in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=description, description=f"specs data {name}: {description}.")
        module, _, function = where.partition(":")
        getattr(importlib.import_module(module), function or "add_arguments")(subparser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return importlib.import_module(SUBCOMMANDS[args.data_command][0].partition(":")[0]).run(args)
