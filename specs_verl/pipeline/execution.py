"""Runs the stages of a pipeline, in order, each once; goes on where an earlier run ended.

    plan = planned(definition, root)                          # where everything is, and every stage's key
    run_stages(plan, display, until="grpo")                   # or only="grpo", redo="cold_start"
    for stage, command in plan.all_commands(): ...            # --dry-run

A stage already complete is skipped; one that was killed is entered again, in the same folder, and goes on where its job
left off. ROOT/run.json says what was run, with which versions and inputs, and what each stage took.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from data_prep.files import locked
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import checkpoint_fingerprint, data_fingerprint
from specs_verl.files.hub import is_hub_name, local_checkpoint
from specs_verl.grading.responses import load_function
from specs_verl.pipeline.definition import Definition
from specs_verl.pipeline.kinds import Bar, Command, Places
from specs_verl.pipeline.registry import KINDS
from specs_verl.pipeline.run_record import write_record
from specs_verl.pipeline.stage import (
    Stage,
    after,
    completed,
    keys_of,
    mark_complete,
    mark_started,
    refuse_other_settings,
)
from specs_verl.pipeline.watch import Limits, supervise
from specs_verl.progress import FILE_VARIABLE, read_state

GIB = 1024**3
LOG = "log.txt"
PROGRESS = ".progress.json"


class Display(Protocol):
    """What a run tells the user."""

    def stage(self, number: int, total: int, title: str) -> None: ...

    def skipped(self, number: int, total: int, title: str, seconds: float) -> None: ...

    def progress(self, done: float, total: float, note: str = "") -> None: ...

    def finished(self, seconds: float, note: str) -> None: ...


@dataclass(frozen=True)
class Plan:
    """A pipeline with everything in its place.

    Attributes:
        definition: the pipeline.
        root: folder of the run; the lock and run.json are there.
        places: where the stages work.
        keys: of the stages.
        inputs: name -> path and fingerprint of what comes from outside.
    """

    definition: Definition
    root: Path
    places: Places
    keys: Mapping[str, str]
    inputs: Mapping[str, Mapping[str, str]]

    def commands(self, stage: Stage) -> list[Command]:
        """What is run for a stage, as things are now."""
        return KINDS[stage.kind].commands(stage, self.places)

    def all_commands(self) -> Iterator[tuple[Stage, Command]]:
        """Every command of every stage, none of them run."""
        for stage in self.definition.stages:
            for command in self.commands(stage):
                yield stage, command


def planned(
    definition: Definition, root: Path, folder_of: Callable[[Stage, str], Path] | None = None, fetch: bool = True
) -> Plan:
    """Decide where everything is.

    Args:
        definition: the pipeline.
        root: folder of the run.
        folder_of: folder of a stage, from the stage and its key; by default its name under `root`.
        fetch: whether a model on the hub is downloaded, and inputs are read for their fingerprints.
    """
    base = base_checkpoint(definition.model, fetch)
    inputs: dict[str, dict[str, str]] = {"model": {"path": base}}
    if fetch:
        inputs["model"]["fingerprint"] = checkpoint_fingerprint(base)
    stages = []
    for stage in definition.stages:
        if stage.kind == "files":
            files = KINDS[stage.kind].outputs(stage, root)
            inputs[stage.name] = {split: str(file) for split, file in files.items()}
            if fetch:
                inputs[stage.name]["fingerprint"] = data_fingerprint(files.values())
                stage = replace(stage, settings={**stage.settings, "content": inputs[stage.name]["fingerprint"]})
        stages.append(stage)
    keys = keys_of(stages, definition.seed, inputs["model"].get("fingerprint", base))
    folders = {
        stage.name: root / stage.name if folder_of is None else folder_of(stage, keys[stage.name]) for stage in stages
    }
    places = Places(
        root=root,
        folders=folders,
        outputs={stage.name: KINDS[stage.kind].outputs(stage, folders[stage.name].resolve()) for stage in stages},
        stages={stage.name: stage for stage in stages},
        base=base,
        seed=definition.seed,
        gpus=definition.gpus,
        nodes=definition.nodes,
        sampled_on=definition.sampled_on,
        title=definition.title,
        parts=definition.parts,
    )
    return Plan(replace(definition, stages=tuple(stages)), root, places, keys, inputs)


def base_checkpoint(model: str, fetch: bool = True) -> str:
    """The directory of the checkpoint that a run starts from: given as one, by hub name, or as module:function."""
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", model):
        return str(Path(str(load_function(model, "Model")())).resolve())
    if is_hub_name(model):
        return local_checkpoint(model) if fetch else model
    return str(Path(model).expanduser().resolve())


def run_stages(
    plan: Plan, display: Display, until: str | None = None, only: str | None = None, redo: str | None = None
) -> None:
    """Run the stages that are not complete.

    Args:
        plan: what to run, and where.
        display: told how far it is.
        until: the last stage to run.
        only: the one stage to run; those that it needs must be complete.
        redo: the work of this stage, and of those that need it, is thrown away first.

    Raises:
        UserError: a folder holds work made with other settings, a needed stage is not complete, or another run is at
            work here.
        CommandFailed: a stage failed.
    """
    for name in (until, only, redo):
        if name is not None:
            plan.definition.stage(name)
    with locked(plan.root):
        if redo is not None:
            for stage in after(plan.definition.stages, redo):
                shutil.rmtree(plan.places.folders[stage.name], ignore_errors=True)
        stages = plan.definition.stages
        if only is not None:
            plan = _as_others_are(plan, only)
        for stage in stages if only is None else [plan.definition.stage(only)]:
            refuse_other_settings(plan.places.folders[stage.name], stage, plan.keys[stage.name])
        for number, stage in enumerate(stages, start=1):
            if only is None or stage.name == only:
                _run_one(plan, stage, number, display)
            if stage.name in (until, only):
                break


def _as_others_are(plan: Plan, only: str) -> Plan:
    """The plan with the other stages as they were made, whatever the settings say now: one stage alone is asked for."""
    markers = {name: completed(folder) for name, folder in plan.places.folders.items() if name != only}
    known = {name: str(marker["key"]) for name, marker in markers.items() if marker is not None}
    base = plan.inputs["model"].get("fingerprint", plan.places.base)
    return replace(plan, keys=keys_of(plan.definition.stages, plan.definition.seed, base, known))


def _run_one(plan: Plan, stage: Stage, number: int, display: Display) -> None:
    folder, key, total = plan.places.folders[stage.name], plan.keys[stage.name], len(plan.definition.stages)
    marker = completed(folder)
    if marker is not None:
        display.skipped(number, total, stage.title, marker["seconds"])
        return
    for needed in stage.needs:
        if completed(plan.places.folders[needed]) is None:
            raise UserError(f"Stage {stage.name} needs {needed}, which is not complete: run that stage first.")
    display.stage(number, total, stage.title)
    folder.mkdir(parents=True, exist_ok=True)
    mark_started(folder, stage, key)
    started, peak, lines = time.monotonic(), 0, []
    commands = plan.commands(stage)
    for place, command in enumerate(commands):
        lines.append(list(command.arguments))
        peak = max(peak, _run_command(command, folder, plan.definition.stall_s, display, place, len(commands)))
    note = KINDS[stage.kind].finish(stage, folder)
    seconds = round(time.monotonic() - started, 1)
    figures = {
        "seconds": seconds,
        "peak_gib": round(peak / GIB, 2),
        "note": note,
        "commands": lines,
    }
    mark_complete(folder, stage, key, figures)
    write_record(plan.root, plan.definition, plan.places.folders, plan.inputs)
    display.finished(seconds, note)


def _run_command(command: Command, folder: Path, stall_s: float, display: Display, place: int, count: int) -> int:
    """Run one command of a stage under watch; returns its peak memory in bytes."""
    state = folder / PROGRESS
    state.unlink(missing_ok=True)
    for file in command.watched:
        file.parent.mkdir(parents=True, exist_ok=True)

    def bar() -> Bar | None:
        if command.bar is not None:
            return command.bar()
        found = read_state(state)
        return None if found is None else Bar(found[1], found[2], f"{found[0]} {found[3]}".strip())

    def on_poll() -> None:
        if (now := bar()) is not None and now.total > 0:
            display.progress(place + now.done / now.total, count, now.note)

    finished = supervise(
        command.arguments,
        folder / LOG,
        Limits(stall_s=stall_s),
        {**command.environment, FILE_VARIABLE: str(state.resolve())},
        watched=[*command.watched, state],
        on_poll=on_poll,
    )
    state.unlink(missing_ok=True)
    return finished.peak_bytes
