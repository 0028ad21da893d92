"""`specs run NAME`: a whole pipeline, or the rest of one that was interrupted.

specs run nano                              all stages into runs/nano
specs run nano --out runs/short steps.zero=5 steps.grpo=5
specs run nano --redo cold_start            throw the work of that stage, and of those that need it, away; do it again
specs run nano --only zero                  this stage alone
specs run nano --dry-run                    print the commands, run none
specs run mine.yaml                         a pipeline of one's own, see definition.py
"""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from rich.console import Console

from specs_verl.doctor import preflight
from specs_verl.errors import UserError
from specs_verl.formats.registry import FORMATS
from specs_verl.formats.rewrite import check_rewritable
from specs_verl.pipeline.definition import Definition, load, names, summary
from specs_verl.pipeline.display import StageDisplay, duration
from specs_verl.pipeline.execution import Plan, planned, run_stages
from specs_verl.pipeline.kinds import Command
from specs_verl.pipeline.registry import KINDS
from specs_verl.pipeline.seeds import combine
from specs_verl.pipeline.stage import Stage, completed
from specs_verl.pipeline.watch import CommandFailed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs run`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "pipelines:\n" + "\n".join(f"  {name:<22} {summary(name)}" for name in names())
    parser.add_argument("pipeline", help="a name, see below, or a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings other than the pipeline's, such as steps.zero=10"
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/PIPELINE)")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, help="training seed (default: the pipeline's)")
    seeds.add_argument("--seeds", metavar="N,N,...", help="several runs, each in OUT/seed_N, and one table of them all")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--until", metavar="STAGE", help="stop after this stage")
    which.add_argument("--only", metavar="STAGE", help="run this stage alone; those that it needs must be complete")
    parser.add_argument(
        "--redo", metavar="STAGE", help="first throw away the work of this stage and of those that need it"
    )
    parser.add_argument("--dry-run", action="store_true", help="print every command with its stage, run none")


def seeds_of(text: str) -> list[int]:
    """ "0,1,2" -> [0, 1, 2]."""
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts) or len({int(part) for part in parts}) != len(parts):
        raise UserError(f"--seeds {text}: write different numbers with commas between, such as 0,1,2.")
    return [int(part) for part in parts]


def check(definition: Definition, root: Path) -> None:
    """Everything that can be known to be wrong before the first stage starts."""
    if ":" not in definition.model:
        preflight.checkpoint(definition.model)
    for stage in definition.stages:
        if stage.kind == "files":
            for file in KINDS["files"].outputs(stage, root).values():
                preflight.rows(str(file))
        elif stage.kind == "gf":
            _check_formats(definition.stage(str(stage.settings["data"])), stage, root)
    preflight.compiler()
    preflight.master_port(os.environ)
    preflight.memory(int(definition.memory_gib * preflight.GIB))
    preflight.disk(root, 2 * preflight.GIB)


def _check_formats(data: Stage, gf: Stage, root: Path) -> None:
    """Whether held-out prompts that come without other formats can be asked in ours, before hours of training."""
    if data.kind != "files" or data.settings["ood"] is not None:
        return
    try:
        check_rewritable(
            [KINDS["files"].outputs(data, root)["test"]], next(iter(FORMATS.values())), int(str(gf.settings["rows"]))
        )
    except UserError as error:
        raise UserError(
            f"Stage {gf.name} asks the held-out prompts in other formats, and cannot: {error} "
            f"Give {data.name}.ood=FILE, or leave the stage out: {gf.name}=null report.gf=null."
        ) from error


def run(args: argparse.Namespace) -> int:
    """Run the pipeline; exit code 0 when it is complete, 1 when a stage failed, 2 when it cannot start."""
    out = args.out or Path("runs") / Path(args.pipeline).stem
    if args.seeds is None:
        seed = [] if args.seed is None else [f"seed={args.seed}"]
        definitions = {out: load(args.pipeline, [*args.overrides, *seed])}
    else:
        seeds = {f"seed_{seed}": [*args.overrides, f"seed={seed}"] for seed in seeds_of(args.seeds)}
        definitions = {out / name: load(args.pipeline, overrides) for name, overrides in seeds.items()}
    for definition in definitions.values():
        for stage in (args.until, args.only, args.redo):
            if stage is not None:
                definition.stage(stage)
    if args.dry_run:
        for root, definition in definitions.items():
            print_commands(planned(definition, root, fetch=False), args.until, args.only)
        return 0
    for root, definition in definitions.items():
        check(definition, root)
    plans = [planned(definition, root) for root, definition in definitions.items()]
    for plan in plans:
        if code := run_plan(plan, args.until, args.only, args.redo):
            return code
    if args.seeds is not None and args.until is None and args.only is None:
        combine(out, plans)
    return 0


def run_plan(
    plan: Plan, until: str | None = None, only: str | None = None, redo: str | None = None, table: bool = True
) -> int:
    """Run one pipeline with a display; prints its table and what it took. Returns the exit code."""
    with StageDisplay() as display:
        try:
            run_stages(plan, display, until, only, redo)
        except CommandFailed as error:
            display.console.print(
                f"{error}\n\nThe stage failed; call the same command again to go on from here.", markup=False
            )
            return UserError.exit_code if error.code == UserError.exit_code else 1
    markers = [marker for folder in plan.places.folders.values() if (marker := completed(folder))]
    if table and only is None and until is None:
        print_table(plan)
    seconds, peak = sum(marker["seconds"] for marker in markers), max(marker["peak_gib"] for marker in markers)
    print(f"{duration(seconds)} in all, peak memory {peak:.1f} GiB. Everything is in {plan.root}.")
    return 0


def print_table(plan: Plan) -> None:
    """The end table of a run that evaluates."""
    from specs_verl.measure.report import ReportInputs, print_summary

    for stage in plan.definition.stages:
        if stage.kind == "evaluate":
            metrics = tuple(plan.places.outputs[stage.name].values())
            print_summary(Console(), ReportInputs(metrics=metrics))


def print_commands(plan: Plan, until: str | None = None, only: str | None = None) -> None:
    """The commands of these stages, as they can be pasted into a shell."""
    names = [stage.name for stage in plan.definition.stages]
    shown = [only] if only is not None else names[: names.index(until) + 1] if until is not None else names
    for stage, command in plan.all_commands():
        if stage.name in shown:
            print(f"# {stage.name}: {stage.title}\n{command_line(command)}")


def command_line(command: Command) -> str:
    """A command with its variables, quoted for a shell."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
    return " ".join([*variables, shlex.join(command.arguments)])
