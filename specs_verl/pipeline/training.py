"""The training stages of a pipeline, as subprocesses: GRPO through stock verl's own entry point, and the cold start.

    train_grpo(folder, GrpoJob(recipe="nano_zero", model=base, ...), display)      -> folder/hf
    train_cold_start(folder, ColdStartJob(recipe="nano_cold_start", ...), display) -> folder/hf

Each is run under watch (watch.py), writes its libraries' output to folder/log.txt, continues from its own newest
checkpoint when it is called again, and leaves a Hugging Face directory in folder/hf.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.files import replacing_folder
from specs_verl.errors import UserError
from specs_verl.pipeline.stage import Display, Outcome
from specs_verl.pipeline.watch import Limits, supervise

HF = "hf"
"""Folder of a stage in which its Hugging Face checkpoint lies."""

LAST = "last"
"""Folder of a GRPO stage in which its last resumable state lies, as global_step_N."""


@dataclass(frozen=True)
class GrpoJob:
    """One GRPO training: recipe, starting checkpoint, data, length, seed and further Hydra overrides.

    With `continues`, the folder of a finished GRPO stage of the same recipe, training goes on from its last state
    (weights, optimizer moments, place in the data) up to `steps` in all.
    """

    recipe: str
    model: Path
    train_files: Path
    val_files: Path
    steps: int
    seed: int
    overrides: Sequence[str] = ()
    continues: Path | None = None


@dataclass(frozen=True)
class ColdStartJob:
    """One DPO + SFT cold start: recipe, starting checkpoint, preference pairs, seed and further Hydra overrides."""

    recipe: str
    model: Path
    pairs: Path
    seed: int
    overrides: Sequence[str] = ()


def grpo_command(folder: Path, job: GrpoJob) -> list[str]:
    """The command line of a GRPO training; what a user would type, with every path absolute."""
    return [
        *(sys.executable, "-m", "verl.trainer.main_ppo", f"+specs={job.recipe}"),
        f"actor_rollout_ref.model.path={job.model.resolve()}",
        f"data.train_files={job.train_files.resolve()}",
        f"data.val_files={job.val_files.resolve()}",
        f"data.seed={job.seed}",
        f"actor_rollout_ref.actor.data_loader_seed={job.seed}",
        f"actor_rollout_ref.actor.fsdp_config.seed={job.seed}",
        f"actor_rollout_ref.rollout.seed={job.seed}",
        f"trainer.total_training_steps={job.steps}",
        f"trainer.default_local_dir={(folder / 'checkpoints').resolve()}",
        f"trainer.rollout_data_dir={(folder / 'rollouts').resolve()}",
        f"hydra.run.dir={(folder / 'hydra').resolve()}",
        *_resumption(folder, job),
        *job.overrides,
    ]


def _resumption(folder: Path, job: GrpoJob) -> list[str]:
    """Where a training that continues another one starts: there, until it has a checkpoint of its own."""
    if job.continues is None or (folder / "checkpoints" / "latest_checkpointed_iteration.txt").is_file():
        return []
    states = sorted((job.continues / LAST).glob("global_step_*"))
    if len(states) != 1:
        raise UserError(f"{job.continues / LAST}: no state to continue from. Run the stage {job.continues.name} again.")
    return ["trainer.resume_mode=resume_path", f"trainer.resume_from_path={states[0].resolve()}"]


def cold_start_command(folder: Path, job: ColdStartJob) -> list[str]:
    """The command line of a cold start."""
    return [
        *(sys.executable, "-m", "specs_verl.cold_start", f"+specs={job.recipe}"),
        f"model.path={job.model.resolve()}",
        f"data.train_files={job.pairs.resolve()}",
        f"trainer.seed={job.seed}",
        f"trainer.default_local_dir={folder.resolve()}",
        *job.overrides,
    ]


def train_grpo(folder: Path, job: GrpoJob, display: Display) -> Outcome:
    """Train to ``job.steps``, from the newest complete checkpoint in ``folder`` if there is one."""
    metrics = folder / "metrics"
    metrics.mkdir(parents=True, exist_ok=True)
    # verl's file logger empties its file at every start: each attempt gets its own.
    attempt = metrics / f"attempt_{len(list(metrics.glob('attempt_*.jsonl'))) + 1:03d}.jsonl"
    log = folder / "log.txt"
    display.progress(0, job.steps, "starting Ray and vLLM")

    def on_poll() -> None:
        last = last_record(attempt)
        if last:
            figures = last["data"]
            display.progress(last["step"], job.steps, f"reward {figures.get('critic/score/mean', float('nan')):.2f}")

    finished = supervise(
        grpo_command(folder, job),
        log,
        Limits(stall_s=600),
        {"VERL_FILE_LOGGER_PATH": str(attempt), "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARN")},
        watched=[attempt],
        on_poll=on_poll,
    )
    newest = folder / "checkpoints" / f"global_step_{job.steps}"
    publish_checkpoint(newest / "actor" / "huggingface", folder / HF)
    with replacing_folder(folder / LAST) as draft:
        shutil.copytree(newest, draft / newest.name)
    shutil.rmtree(folder / "checkpoints")
    return Outcome(f"{job.steps} steps", finished.peak_bytes)


def train_cold_start(folder: Path, job: ColdStartJob, display: Display) -> Outcome:
    """Train on the preference pairs, from the newest complete checkpoint in ``folder`` if there is one."""
    metrics = folder / "metrics.jsonl"
    display.progress(0, 1, "loading")

    def on_poll() -> None:
        last = last_record(metrics)
        if last:
            note = f"margin {last.get('rewards/margin', float('nan')):.2f}"
            display.progress(last["step"], last.get("total_steps", last["step"]), note)

    finished = supervise(
        cold_start_command(folder, job),
        folder / "log.txt",
        Limits(stall_s=600),
        watched=[metrics],
        on_poll=on_poll,
    )
    last = last_record(metrics) or {}
    return Outcome(f"{last.get('step', 0)} steps, margin {last.get('rewards/margin', 0.0):.2f}", finished.peak_bytes)


def last_record(path: Path) -> dict | None:
    """The last complete line of a JSON-lines file, or None."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65_536))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    return json.loads(lines[-1]) if lines and lines[-1].strip() else None


def publish_checkpoint(source: Path, target: Path) -> None:
    """Copy a Hugging Face directory to its final name, which appears only when the copy is whole."""
    with replacing_folder(target) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)
