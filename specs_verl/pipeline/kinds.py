"""Kinds of stages: their settings, the commands that do their work, and what they leave.

    kind = KINDS["grpo"]                             # registry.py
    commands = kind.commands(stage, places)          # what a user would type; printed by `specs run --dry-run`
    kind.outputs(stage, folder)["checkpoint"]        # where the result is, or will be

Every stage is done by commands that can be killed at any moment and called again. The kinds themselves are in
training_stages.py, data_stages.py and measure_stages.py; none of them knows a world or a pipeline.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from specs_verl.errors import UserError
from specs_verl.files.steps import step_folder
from specs_verl.pipeline.stage import Stage

BASE = "base"
"""The name by which stages refer to the checkpoint that the run starts from."""

CHECKPOINT = "checkpoint"
"""The name of a training stage's result, a Hugging Face directory."""

RUN = "run"
"""The name of a cold start's folder, with the checkpoints of its steps."""

AT = "@"
"""zero@16 refers to the weights that the stage zero kept of its step 16 (trainer.hf_freq)."""

Settings = Mapping[str, object]


@dataclass(frozen=True)
class Bar:
    """How far a command is."""

    done: float
    total: float
    note: str = ""


@dataclass(frozen=True)
class Command:
    """One command of a stage.

    Attributes:
        arguments: program and arguments, paths absolute.
        environment: variables on top of the user's.
        watched: files whose growth is a sign of life.
        bar: reads how far it is; None where the command reports through progress.py.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    watched: tuple[Path, ...] = ()
    bar: Callable[[], Bar | None] | None = None


@dataclass(frozen=True)
class Places:
    """Where everything of a run is.

    Attributes:
        root: folder of the run, with its run.json.
        folders: of the stages, by name.
        outputs: what each stage leaves, by name.
        stages: by name.
        base: the checkpoint that the run starts from.
        seed, gpus, nodes, title: of the run.
        sampled_on: GPUs that hold a model together where it is only sampled.
        parts: what chooses model and hardware on the command line of a recipe.
    """

    root: Path
    folders: Mapping[str, Path]
    outputs: Mapping[str, Mapping[str, Path]]
    stages: Mapping[str, Stage]
    base: str
    seed: int
    gpus: int
    nodes: int
    sampled_on: int
    title: str
    parts: tuple[str, ...]

    def output(self, stage: object, name: str) -> Path:
        """One thing that a stage leaves."""
        found = self.outputs[str(stage)].get(name)
        if found is None:
            raise UserError(f"Stage {stage} ({self.stages[str(stage)].kind}) leaves no {name}: refer to another stage.")
        return found

    def checkpoint(self, reference: object) -> str:
        """The checkpoint that a reference means: the base, a stage's, or one from outside."""
        text = str(reference)
        name = stage_of(text, self.stages)
        if text == BASE:
            return self.base
        if name is None:
            return text
        if text != name:
            return str(step_folder(self.folders[name].resolve(), step_of(text)))
        given = self.stages[name].settings.get(CHECKPOINT)
        return str(given) if given is not None else str(self.output(name, CHECKPOINT))


def stage_of(reference: str, stages: Container[str]) -> str | None:
    """The stage whose result is meant, or None where it is a model from outside."""
    if reference in stages:
        return reference
    name, at, _ = reference.rpartition(AT)
    return name if at and name in stages else None


def step_of(reference: str) -> int:
    """The step in STAGE@STEP."""
    step = reference.rpartition(AT)[2]
    if not re.fullmatch("[0-9]{1,9}", step):
        raise UserError(f"{reference}: after {AT} stands the number of a step, as in zero@16.")
    return int(step)


def _nothing(stage: Stage, folder: Path) -> str:
    return ""


@dataclass(frozen=True)
class Kind:
    """A kind of stage.

    Attributes:
        settings: dataclass of its settings with their defaults.
        references: the values among the settings that name stages or models.
        commands: its work, as command lines.
        outputs: name -> path of what it leaves in its folder.
        finish: called after the commands; returns a few words for the user.
        seeded: whether the run's seed changes its result.
    """

    settings: type
    references: Callable[[Settings], list[str]]
    commands: Callable[[Stage, Places], list[Command]]
    outputs: Callable[[Stage, Path], dict[str, Path]]
    finish: Callable[[Stage, Path], str] = _nothing
    seeded: bool = True


def specs(*arguments: object) -> tuple[str, ...]:
    """The command line of a subcommand of `specs`, in this interpreter."""
    return (sys.executable, "-m", "specs_verl.cli", *(str(argument) for argument in arguments))


def engine(places: Places) -> list[str]:
    """What samples: our own workers on one machine, and the running Ray cluster on several; on how many GPUs each."""
    return options(
        engine="ray" if places.nodes > 1 else None,
        tensor_parallel=places.sampled_on if places.sampled_on > 1 else None,
    )


def named(*references: object) -> list[str]:
    """References to stages or checkpoints, without those that are left out."""
    return [str(reference) for reference in references if reference is not None]


def options(**values: object) -> list[str]:
    """--name value for every value that is not None."""
    return [
        part
        for name, value in values.items()
        if value is not None
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]
