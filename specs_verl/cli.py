"""The `specs` command: one subcommand per job, each in a module of its own, imported only when it is asked for."""

import argparse
import importlib
import os
import select
import signal
import sys
from typing import Any

from specs_verl import __version__
from specs_verl.errors import UserError

COMMANDS = {
    "doctor": ("specs_verl.doctor", "check this installation: versions, devices, memory, plugins"),
    "run": (
        "specs_verl.pipeline.command",
        "run a whole pipeline, or go on with one: zero, distill, cold start, GRPO, evaluation",
    ),
    "study": ("specs_verl.pipeline.study", "compare several pipelines over several seeds, sharing what they share"),
    "watch": ("specs_verl.pipeline.watch", "run any long command so that it cannot hang and leaves no process behind"),
    "distill": ("specs_verl.distill.cli", "make self-distilled preference pairs from two checkpoints"),
    "sample": ("specs_verl.sampling.cli", "sample responses of a checkpoint through vLLM"),
    "export": ("specs_verl.distill.export_cli", "preference pairs in the format of TRL, LLaMA-Factory or ms-swift"),
    "route": ("specs_verl.distill.route_cli", "Metis-RISE: route prompts by pass rate into supervised data"),
    "cot": ("specs_verl.distill.cot_cli", "chain-of-thought data of a teacher by rejection sampling"),
    "evaluate": (
        "specs_verl.measure.cli:evaluate",
        "checkpoints in, figures out: accuracy, format, pass@k, majority@k",
    ),
    "benchmark": ("specs_verl.measure.benchmarks.command", "published benchmarks as data; files for their evaluators"),
    "formats": (
        "specs_verl.formats.command",
        "rewrite the output format that prompts ask for, on any data set",
    ),
    "gf": ("specs_verl.measure.cli:gf", "Generalization Factor of a cold start"),
    "report": ("specs_verl.measure.cli:report", "table and self-contained HTML page of a run"),
    "reward": ("specs_verl.grading.command", "grade one response, or compare two reward settings on a file"),
    "data": ("specs_verl.doctor.data_limits", "make data sets, check them, repair them"),
}


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only the arguments of ``command`` are filled in, so that nothing else need be imported."""
    parser = argparse.ArgumentParser(
        prog="specs", description="SPECS-VERL: decoupled cold starts for VLM reasoning, on stock verl."
    )
    parser.add_argument("--version", action="version", version=f"specs-verl {__version__}")
    subparsers = parser.add_subparsers(dest="specs_command", required=True, metavar="COMMAND")
    for name, (module, description) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=description, description=f"specs {name}: {description}.")
        if name == command:
            _implementation(module).add_arguments(subparser)
    return parser


def _implementation(where: str) -> Any:
    """What has the `add_arguments` and `run` of a subcommand: a module, or MODULE:NAME, an entry of its COMMANDS."""
    module, _, name = where.partition(":")
    imported = importlib.import_module(module)
    return imported.COMMANDS[name] if name else imported


def main(arguments: list[str] | None = None) -> int:
    """Entry point.

    Exit codes: 0 done, 1 the job failed, 2 the request cannot be carried out as it is, 130 interrupted, 141 nobody
    reads the output any more.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    parser = build_parser(command)
    args, rest = parser.parse_known_args(arguments)
    # argparse takes positional arguments in one piece only; key=value settings may stand anywhere.
    settings = [argument for argument in rest if "=" in argument and not argument.startswith("-")]
    if rest != settings or (settings and not hasattr(args, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if settings:
        args.overrides = [*args.overrides, *settings]
    try:
        code: int = _implementation(COMMANDS[args.specs_command][0]).run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"specs {args.specs_command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\nspecs {args.specs_command}: interrupted; call it again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _nobody_reads():
            raise  # some other pipe, such as that of a worker
        return 128 + signal.SIGPIPE


def _nobody_reads() -> bool:
    """Whether the reader of the output has gone (specs run ... --dry-run | head); what is left goes nowhere then."""
    reader = select.poll()
    reader.register(sys.stdout)
    gone = any(event & select.POLLERR for _, event in reader.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


if __name__ == "__main__":
    sys.exit(main())
