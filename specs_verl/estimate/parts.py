"""The models and the hardware of config/specs, by name.

    names("model")                               # ["qwen2_5_vl_32b", "qwen2_5_vl_3b", ...]
    read("hardware", "8x80g").gpu_gib            # one file

What is chosen for a run: pipeline/parts.py.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from specs_verl.errors import UserError

CONFIG = Path(str(resources.files("specs_verl"))) / "config"


def names(part: str) -> list[str]:
    """Of the files in config/specs/model or config/specs/hardware."""
    return sorted(file.stem for file in (CONFIG / "specs" / part).glob("*.yaml"))


def read(part: str, name: str) -> DictConfig:
    """One of these files; UserError for a name that is none."""
    if name not in names(part):
        raise UserError(f"There is no {part} {name!r}. Known: {', '.join(names(part))}.")
    return load(CONFIG / "specs" / part / f"{name}.yaml")


def load(file: Path) -> DictConfig:
    """A YAML file that holds a mapping."""
    loaded = OmegaConf.load(file)
    assert isinstance(loaded, DictConfig)
    return loaded
