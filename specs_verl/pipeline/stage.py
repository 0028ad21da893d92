"""What a stage is, which stages it needs, and the marker that says that it is complete.

    stages = in_order([Stage("zero", "grpo", "Zero", settings, needs=("data",)), ...])
    keys = keys_of(stages, seed=0, base="c-9f0c")
    record = completed(folder, keys["zero"])          # None: not complete, or damaged

A stage's key is a digest of its settings and of the keys of the stages that it needs: work made with other settings is
never taken for this run's, and never silently overwritten.
Not here: what kinds of stages there are (kinds.py), and running them (execution.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.files import write_json
from specs_verl.errors import UserError

MARKER = "stage.json"
"""Beside the files of the stage's own job, which may have a marker of their own."""

STARTED = "stage_started.json"


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline.

    Attributes:
        name: of its folder, and what other stages call it.
        kind: what it does, a key of kinds.KINDS.
        title: what the user reads.
        settings: JSON-able, of its kind.
        needs: names of the stages whose results it uses.
        uses_base: whether it uses the checkpoint that the run starts from.
        seeded: whether the run's seed changes its result.
    """

    name: str
    kind: str
    title: str
    settings: Mapping[str, object]
    needs: tuple[str, ...] = ()
    uses_base: bool = False
    seeded: bool = True


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """Every stage after those that it needs, else in the order given; UserError where they need each other."""
    left, ordered, there = list(stages), [], set[str]()
    while left:
        ready = next((stage for stage in left if there.issuperset(stage.needs)), None)
        if ready is None:
            raise UserError(f"These stages need each other: {', '.join(stage.name for stage in left)}.")
        left.remove(ready)
        ordered.append(ready)
        there.add(ready.name)
    return ordered


def keys_of(stages: Sequence[Stage], seed: int, base: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A key per stage.

    Args:
        stages: in order.
        seed: of the run.
        base: fingerprint of the checkpoint that the run starts from.
        known: keys of stages that are taken as they are, whatever their settings say now.
    """
    keys: dict[str, str] = {}
    for stage in stages:
        if known and stage.name in known:
            keys[stage.name] = known[stage.name]
            continue
        depends: list[object] = [stage.kind, stage.settings, {name: keys[name] for name in stage.needs}]
        depends += [seed if stage.seeded else None, base if stage.uses_base else None]
        keys[stage.name] = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]
    return keys


def after(stages: Sequence[Stage], first: str) -> list[Stage]:
    """A stage and all that need its result, directly or not."""
    found = {first}
    for stage in stages:
        if found.intersection(stage.needs):
            found.add(stage.name)
    return [stage for stage in stages if stage.name in found]


def completed(folder: Path) -> dict | None:
    """What the marker of a complete stage says; None when there is none, or only a damaged one.

    A stage with a damaged marker is entered again: what its job had finished is found there, so this costs little.
    """
    return _record(folder / MARKER)


def started(folder: Path) -> dict | None:
    """What the last attempt at a stage wrote at its start."""
    return _record(folder / STARTED)


def mark_started(folder: Path, stage: Stage, key: str) -> None:
    """Note that a folder is this stage's."""
    write_json(folder / STARTED, {"key": key, "settings": dict(stage.settings)})


def mark_complete(folder: Path, stage: Stage, key: str, figures: Mapping[str, object]) -> None:
    """Note that a stage is complete, with its figures (seconds, peak memory, note)."""
    write_json(folder / MARKER, {"key": key, "settings": dict(stage.settings), **figures})


def _record(file: Path) -> dict | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"key", "settings"} <= found.keys() else None


def refuse_other_settings(folder: Path, stage: Stage, key: str) -> None:
    """UserError when a folder was begun with another key, which says what has changed."""
    found = completed(folder) or started(folder)
    if found is None or found["key"] == key:
        return
    changed = _differences(found["settings"], json.loads(json.dumps(dict(stage.settings))))
    raise UserError(
        f"{folder} was made with other settings ({'; '.join(changed) or 'seed, model or an earlier stage changed'}). "
        f"Choose another --out, or throw the old work away with --redo {stage.name}."
    )


def _differences(old: Mapping, new: Mapping, prefix: str = "") -> list[str]:
    """Settings that differ, as 'key: old -> new'."""
    found = []
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += _differences(before, now, f"{prefix}{name}.")
        elif before != now:
            found.append(f"{prefix}{name}: {before} -> {now}")
    return found
