"""Hugging Face weights of every n steps of an RL run; the full states beside them go, but for the newest.

    trainer.hf_freq=50 trainer.save_freq=50        ->  OUT/hf_step_000050, OUT/hf_step_000100, ... and the last step

verl saves everything at once and deletes old checkpoints as wholes (trainer.max_actor_ckpt_to_keep), so curves over
hundreds of steps need the optimizer's moments of each. This callback of its trainer gives the weights of a checkpoint
a second name on the same disk (a hard link: no copy), under which they stay. OUT is trainer.default_local_dir; the
names are those of the cold start, so `specs gf` and `specs evaluate` take both.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from verl.trainer.ppo.checkpoint_callback import CheckpointCallback

from data_prep.files import replacing_folder
from specs_verl.files.steps import step_folder


class KeepWeights(CheckpointCallback):
    """Named by trainer.checkpoint_callback_class; verl makes one on the driver and calls it after every save."""

    def on_save(
        self, trainer: Any, global_step: int, checkpoint_dir: str, async_save: bool = False, **kwargs: object
    ) -> None:
        """Keep the weights of this step, if trainer.hf_freq asks for it."""
        frequency = int(self.config.trainer.get("hf_freq") or -1)
        last = global_step == trainer.total_training_steps
        if frequency > 0 and (last or global_step % frequency == 0):
            saved = Path(checkpoint_dir)
            keep(saved / "actor" / "huggingface", step_folder(saved.parent, global_step))


def keep(weights: Path, target: Path) -> None:
    """Give a folder of files a second name, whole or not at all; copied where the file system has no links."""
    with replacing_folder(target) as draft:
        shutil.copytree(weights, draft, copy_function=_linked, dirs_exist_ok=True)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
