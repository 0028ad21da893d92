"""A pipeline is a list of stages; a stage has settings, a folder, and a marker that is written when it is complete.

    run_stages([Stage("zero", "GRPO from the base", settings, work), ...], root=Path("runs/nano"), display=display)

A stage already complete is skipped. One that was killed is entered again, in the same folder, and goes on where its job
left off. The marker holds a key made of the stage's settings and of the keys of all stages before it: work made with
other settings is never taken for this run's, and never silently overwritten.

Not here: what the stages do (specs.py) and what the user sees (display.py).
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data_prep.files import locked, write_json
from specs_verl.errors import UserError

MARKER = "complete.json"
STARTED = "started.json"


class Display(Protocol):
    """What a stage may tell the user."""

    def stage(self, number: int, total: int, title: str) -> None: ...

    def skipped(self, number: int, total: int, title: str, seconds: float) -> None: ...

    def progress(self, done: float, total: float, note: str = "") -> None: ...

    def finished(self, seconds: float, note: str) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What a stage reports when it is done: a few words for the user, and figures for the marker."""

    note: str = ""
    peak_bytes: int = 0


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Attributes:
        name: folder under the pipeline's root.
        title: what the user reads.
        settings: JSON-able; everything the result depends on, besides the stages before.
        work: does the job in the folder it is given, going on with what it finds there.
    """

    name: str
    title: str
    settings: dict[str, object]
    work: Callable[[Path, Display], Outcome]


def chained_keys(stages: Sequence[Stage]) -> list[str]:
    """A key per stage: a digest of its name and settings and of the key before it."""
    keys, previous = [], ""
    for stage in stages:
        text = json.dumps([previous, stage.name, stage.settings], sort_keys=True)
        previous = hashlib.sha256(text.encode()).hexdigest()[:16]
        keys.append(previous)
    return keys


def completed(folder: Path) -> dict | None:
    """What the marker of a complete stage says, or None."""
    marker = folder / MARKER
    return json.loads(marker.read_text(encoding="utf-8")) if marker.exists() else None


def remove_from(stages: Sequence[Stage], root: Path, first: str) -> None:
    """Throw away the work of stage ``first`` and of all that follow (`specs run --redo STAGE`)."""
    names = [stage.name for stage in stages]
    if first not in names:
        raise UserError(f"There is no stage {first!r}. Stages: {', '.join(names)}.")
    for name in names[names.index(first) :]:
        shutil.rmtree(root / name, ignore_errors=True)


def run_stages(stages: Sequence[Stage], root: Path, display: Display, until: str | None = None) -> None:
    """Run the stages that are not complete, in order; stop after stage ``until``.

    Raises:
        UserError: a folder holds work made with other settings, or another run is at work here.
    """
    names = [stage.name for stage in stages]
    if until is not None and until not in names:
        raise UserError(f"There is no stage {until!r}. Stages: {', '.join(names)}.")
    with locked(root):
        keys = chained_keys(stages)
        for stage, key in zip(stages, keys, strict=True):
            _refuse_other_settings(root / stage.name, stage, key)
        for number, (stage, key) in enumerate(zip(stages, keys, strict=True), start=1):
            folder = root / stage.name
            marker = completed(folder)
            if marker is not None:
                display.skipped(number, len(stages), stage.title, marker["seconds"])
            else:
                display.stage(number, len(stages), stage.title)
                _run_one(stage, key, folder, display)
            if stage.name == until:
                return


def _run_one(stage: Stage, key: str, folder: Path, display: Display) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / STARTED, {"key": key, "settings": stage.settings})
    started = time.time()
    outcome = stage.work(folder, display)
    seconds = time.time() - started
    record = {"key": key, "settings": stage.settings, "seconds": round(seconds, 1), "note": outcome.note}
    write_json(folder / MARKER, {**record, "peak_gib": round(outcome.peak_bytes / 1024**3, 2)})
    display.finished(seconds, outcome.note)


def _refuse_other_settings(folder: Path, stage: Stage, key: str) -> None:
    """A folder begun with another key is not this run's."""
    for name in (MARKER, STARTED):
        file = folder / name
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["key"] != key:
            changed = _differences(found["settings"], stage.settings) or ["an earlier stage changed"]
            raise UserError(
                f"{folder} was made with other settings ({'; '.join(changed)}). "
                f"Choose another --out, or throw the old work away with --redo {stage.name}."
            )
        return


def _differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    """Settings that differ, as 'key: old -> new'."""
    found = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name}: {before} -> {after}")
    return found
