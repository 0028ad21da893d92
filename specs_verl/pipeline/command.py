"""`specs run NAME`: a whole pipeline, or the rest of one that was interrupted.

specs run nano                              all stages into runs/nano
specs run nano --out runs/short zero.steps=5 grpo.steps=5
specs run nano --redo cold_start            throw the work from that stage on away, and do it again
"""

import os
from importlib import resources
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from specs_verl.doctor import preflight
from specs_verl.errors import UserError
from specs_verl.pipeline.display import StageDisplay, duration
from specs_verl.pipeline.stage import completed, remove_from, run_stages
from specs_verl.pipeline.watch import CommandFailed

FOLDER = resources.files("specs_verl") / "config" / "pipelines"


def names() -> list[str]:
    """Names of all pipelines, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir() if entry.name.endswith(".yaml"))


def load(name: str, overrides: list[str]) -> DictConfig:
    """The configuration of a pipeline with the user's key=value overrides; an unknown name or key is an error."""
    if name not in names():
        raise UserError(f"There is no pipeline {name!r}. Known pipelines: {', '.join(names())}.")
    config = OmegaConf.create((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    OmegaConf.set_struct(config, True)
    try:
        return OmegaConf.merge(config, OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        raise UserError(f"Bad override of pipeline {name}: {str(error).splitlines()[0]}") from error


def add_arguments(parser) -> None:
    """Arguments of `specs run`."""
    parser.add_argument("pipeline", help=f"which one: {', '.join(names())}")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings other than the pipeline's, such as zero.steps=10"
    )
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/PIPELINE)")
    parser.add_argument("--seed", type=int, help="training seed (default: the pipeline's)")
    parser.add_argument("--until", metavar="STAGE", help="stop after this stage")
    parser.add_argument("--redo", metavar="STAGE", help="throw the work of this stage and of the later ones away first")


def check(config: DictConfig, root: Path) -> None:
    """Everything that can be known to be wrong before the first stage starts."""
    if config.model:
        preflight.checkpoint(str(config.model))
    preflight.compiler()
    preflight.master_port(os.environ)
    preflight.memory(int(config.memory_gib * preflight.GIB))
    preflight.disk(root, 2 * preflight.GIB)


def run(args) -> int:
    """Run the pipeline; exit code 0 when it is complete, 1 when a stage failed, 2 when it cannot start."""
    from specs_verl.pipeline.specs import report_inputs, specs_stages

    seed = [] if args.seed is None else [f"seed={args.seed}"]
    config = load(args.pipeline, [*args.overrides, *seed])
    root = args.out or Path("runs") / args.pipeline
    check(config, root)
    stages = specs_stages(config, root)
    if args.redo:
        remove_from(stages, root, args.redo)
    with StageDisplay() as display:
        try:
            run_stages(stages, root, display, args.until)
        except CommandFailed as error:
            display.console.print(
                f"{error}\n\nThe stage failed; call the same command again to go on from here.", markup=False
            )
            return 1
    markers = [marker for stage in stages if (marker := completed(root / stage.name))]
    if args.until is None:
        from specs_verl.measure.report import print_summary

        print_summary(Console(), report_inputs(root))
    seconds, peak = sum(m["seconds"] for m in markers), max(m["peak_gib"] for m in markers)
    print(f"{duration(seconds)} in all, peak memory {peak:.1f} GiB. Everything is in {root}.")
    return 0
