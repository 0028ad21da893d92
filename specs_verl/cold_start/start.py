"""Where a run starts: from a checkpoint, or from the beginning, where nothing of another run may pass for its own.

    start = find_start(config.trainer, out, identity)       # Start(folder, state); None: the beginning
    claim(out, identity, anew=False)                        # in process 0

Not here: reading and writing checkpoints (checkpoint.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from specs_verl.cold_start import best_step, checkpoint
from specs_verl.cold_start import run_folder as runs
from specs_verl.errors import UserError

MODES = ("auto", "disable", "resume_path")


@dataclass(frozen=True)
class Start:
    """A checkpoint to continue from."""

    folder: Path
    state: dict[str, Any]


def find_start(trainer: DictConfig, out: Path, identity: Mapping[str, object]) -> Start | None:
    """The checkpoint that `trainer.resume_mode` asks for; None where the run starts from the beginning.

    Raises:
        UserError: the checkpoint is none, or that of a run with other settings.
    """
    mode = trainer.resume_mode
    if mode not in MODES:
        raise UserError(f"trainer.resume_mode={mode}: use {', '.join(MODES[:-1])} or {MODES[-1]}.")
    folder = checkpoint.latest(out) if mode == "auto" else None
    if mode == "resume_path":
        if not trainer.resume_from_path:
            raise UserError("trainer.resume_mode=resume_path: set trainer.resume_from_path to a checkpoint's folder.")
        folder = Path(trainer.resume_from_path).expanduser()
    if folder is None:
        return None
    state = checkpoint.read_state(folder)
    if differing := runs.differences(state["identity"], json.loads(json.dumps(identity))):
        raise UserError(
            f"{folder} belongs to a run with another {', '.join(differing)}. Continue with the old settings, "
            "use another trainer.default_local_dir, or start anew with trainer.resume_mode=disable."
        )
    return Start(folder, state)


def claim(out: Path, identity: Mapping[str, object], anew: bool, sources: Sequence[Path] = ()) -> None:
    """Make the folder that of this run: probes of another one are deleted, its own are spared being done again.
    Exported steps of another one are not deleted unasked, and would pass for this run's.

    Args:
        anew: delete checkpoints, exported steps and probes, whosever they are.
        sources: what the run reads its weights from.

    Raises:
        UserError: a source would be deleted, or steps of another run are there; nothing is deleted.
    """
    steps = sorted(out.glob(runs.STEP_FOLDERS))
    own = runs.is_begun(out, identity)
    if steps and not own and not anew:
        raise UserError(
            f"{steps[0]} was exported by a run with other settings. Use another trainer.default_local_dir, or "
            "delete what that run has left with trainer.resume_mode=disable."
        )
    for source in sources if anew else ():
        if any(source.resolve().is_relative_to(step.resolve()) for step in steps):
            raise UserError(
                f"{source}: the run starts from these weights, and trainer.resume_mode=disable would delete them. Use "
                "another trainer.default_local_dir."
            )
    if anew or not own:
        (out / best_step.PROBES).unlink(missing_ok=True)
        shutil.rmtree(out / best_step.FOLDER, ignore_errors=True)
    if anew:
        for left in (out / checkpoint.FOLDER, *steps):
            shutil.rmtree(left, ignore_errors=True)
    runs.mark_begun(out, identity)
