"""What a run leaves in its folder besides checkpoints, and how a later run recognises it.

OUT/begun.json         identity of the run that the folder belongs to
OUT/metrics.jsonl      one JSON object per step
OUT/hf_step_NNNNNN     the weights of a step, exported while training goes on
OUT/complete.json      identity of the run whose result OUT/hf is, and the dtype of its weights; written last
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from data_prep.files import write_json, write_text

BEGUN = "begun.json"
COMPLETE = "complete.json"
METRICS = "metrics.jsonl"
STEP_FOLDERS = "hf_step_*"
DTYPE = "trainer.hf_dtype"
MODEL_KEYS = ("freeze_vision_tower", "freeze_aligner", "lora_rank", "lora_alpha", "target_modules", "exclude_modules")


def identity(config: DictConfig, fingerprints: Mapping[str, str], total_steps: int) -> dict:
    """Everything that must not change between the runs that one output folder is made of."""
    plain = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))
    # Settings of probes change nothing where the last step is exported. Where a probed one is, its weights were
    # written when it was probed.
    probed = plain["trainer"]["stop_by"] != "last"
    chosen = {"probe": plain["probe"], DTYPE: plain["trainer"]["hf_dtype"]} if probed else {}
    return {
        **chosen,
        **fingerprints,
        "trainer.seed": plain["trainer"]["seed"],
        "data.train_batch_size": plain["data"]["train_batch_size"],
        "data.shuffle": plain["data"]["shuffle"],
        "data.drop_last": plain["data"]["drop_last"],
        "total steps": total_steps,
        "loss": plain["loss"],
        "optim": plain["optim"],
        "model": {key: plain["model"].get(key) for key in MODEL_KEYS},
    }


def differences(old: Mapping, new: Mapping) -> list[str]:
    """Names of what two identities disagree about."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def is_begun(out: Path, run: Mapping) -> bool:
    """Whether the folder belongs to just this run."""
    return _names(out / BEGUN, run)


def mark_begun(out: Path, run: Mapping) -> None:
    write_json(out / BEGUN, run)


def is_complete(out: Path, wanted: Mapping, dtype: str | None) -> bool:
    """Whether OUT/hf is the result of just this run, its weights saved as `dtype`."""
    return (out / "hf" / "config.json").is_file() and _names(out / COMPLETE, {**wanted, DTYPE: dtype})


def mark_complete(out: Path, run: Mapping, dtype: str | None) -> None:
    write_json(out / COMPLETE, {**run, DTYPE: dtype})


def _names(file: Path, run: Mapping) -> bool:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and not differences(found, json.loads(json.dumps(run)))


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
