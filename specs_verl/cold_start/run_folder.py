"""What a run leaves in its folder besides checkpoints, and how a later run recognises it.

OUT/metrics.jsonl      one JSON object per step
OUT/complete.json      identity of the run whose result OUT/hf is; written last
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from data_prep.files import write_json, write_text

COMPLETE = "complete.json"
METRICS = "metrics.jsonl"
MODEL_KEYS = ("freeze_vision_tower", "freeze_aligner", "lora_rank", "lora_alpha", "target_modules", "exclude_modules")


def identity(config: DictConfig, fingerprints: Mapping[str, str], total_steps: int) -> dict:
    """Everything that must not change between the runs that one output folder is made of."""
    plain = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))
    # Runs that export their last step were recorded before there was a choice, without this key.
    chosen = {"probe": plain["probe"]} if plain["trainer"]["stop_by"] != "last" else {}
    return {
        **chosen,
        **fingerprints,
        "trainer.seed": plain["trainer"]["seed"],
        "data.train_batch_size": plain["data"]["train_batch_size"],
        "data.shuffle": plain["data"]["shuffle"],
        "total steps": total_steps,
        "loss": plain["loss"],
        "optim": plain["optim"],
        "model": {key: plain["model"].get(key) for key in MODEL_KEYS},
    }


def differences(old: Mapping, new: Mapping) -> list[str]:
    """Names of what two identities disagree about."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def is_complete(out: Path, wanted: Mapping) -> bool:
    """Whether OUT/hf is the result of just this run."""
    try:
        found = json.loads((out / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (out / "hf" / "config.json").is_file() and not differences(found, json.loads(json.dumps(wanted)))


def mark_complete(out: Path, run: Mapping) -> None:
    write_json(out / COMPLETE, run)


def keep_metrics_up_to(out: Path, step: int) -> None:
    """Drop the lines of steps that will be done again (killed after a step, before its checkpoint)."""
    path = out / METRICS
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # a line that a kill cut short
            continue
    write_text(path, "".join(kept))
