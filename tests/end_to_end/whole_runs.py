"""Starting, breaking and looking at whole runs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

SMALL_RL = (
    "trainer.save_freq=1",
    "data.train_batch_size=8",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=32",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=32",
    "actor_rollout_ref.rollout.n=4",
)
SMALL_COLD_START = ("trainer.save_freq=1", "data.train_batch_size=8")


def overrides(stage: str, settings: tuple[str, ...]) -> str:
    """Settings of a stage's own program, as a pipeline takes them."""
    return f"{stage}.overrides=[{','.join(settings)}]"


def wait_until(condition: Callable[[], bool], process: subprocess.Popen, limit_s: float = 900) -> None:
    """Wait for a condition while a script runs."""
    until = time.monotonic() + limit_s
    while not condition():
        assert process.poll() is None, f"the script ended by itself with code {process.returncode}"
        assert time.monotonic() < until, "the script is too slow"
        time.sleep(0.1)


def kill(process: subprocess.Popen) -> None:
    """Kill a script and what is in its session, with no chance to clean up."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def shards(folder: Path) -> dict[Path, int]:
    """The complete shards of samples in a folder, and when each was written, in nanoseconds."""
    return {file: file.stat().st_mtime_ns for file in sorted(folder.rglob("shards/*.parquet"))}


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The tensors of a Hugging Face checkpoint, by name, in float32."""
    tensors = {}
    for file in checkpoint.glob("*.safetensors"):
        tensors.update({name: tensor.float() for name, tensor in load_file(file).items()})
    return tensors


def assert_trained(before: Path, after: Path, aligner: bool = False) -> None:
    """Every language weight has moved, no vision weight has, but those of the aligner where it was trained."""
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    language = {name for name in old if "visual" not in name}
    between = {name for name in old if "visual.merger" in name}
    assert language and between
    trained = language | between if aligner else language
    assert moved <= trained
    assert {name for name in trained if old[name].ndim == 2} <= moved
