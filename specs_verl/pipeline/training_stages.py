"""Stages that train: GRPO through stock verl's own entry point, and the cold start on pairs or conversations.

model        -> checkpoint, or an endpoint        nothing is run
grpo         model, data -> checkpoint            python -m verl.trainer.main_ppo +specs=RECIPE ...
cold_start   model, rows -> checkpoint            python -m specs_verl.cold_start +specs=RECIPE ...

Both write their libraries' output to FOLDER/log.txt, continue from their own newest checkpoint when they are called
again, and leave a Hugging Face directory in FOLDER/hf.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from data_prep.files import replace_folder, replacing_folder
from specs_verl.pipeline.kinds import CHECKPOINT, RUN, Bar, Command, Kind, Places, Settings
from specs_verl.pipeline.stage import Stage

HF = "hf"
"""Folder of a stage in which its Hugging Face checkpoint lies."""

LAST = "last"
"""Folder of a GRPO stage in which its last resumable state lies, as global_step_N."""


@dataclass
class Model:
    """A model from outside: nothing is run."""

    checkpoint: str = MISSING
    """Directory, hub name, or chat endpoint as URL#MODEL."""


@dataclass
class Grpo:
    """GRPO with stock verl."""

    recipe: str = MISSING
    """Of verl's trainer: +specs=RECIPE."""

    model: str = "base"
    data: str = "data"
    prompts: str | None = None
    """A stage whose training prompts are used instead of those of `data`."""

    steps: int = MISSING
    """Optimizer steps."""

    max_prompt_tokens: int | None = None
    max_tokens: int | None = None
    """Longest prompt, image tokens included, and response; null leaves them to the recipe."""

    max_pixels: int | None = None
    """Of an image; null leaves it to the recipe."""

    attention: str | None = None
    """A name from config/specs/parts/attention; null leaves it to the recipe."""

    overrides: list[str] = field(default_factory=list)
    """Further Hydra overrides."""


@dataclass
class ColdStart:
    """DPO, SFT or both on preference pairs, or supervised training on conversations."""

    recipe: str = MISSING
    """Of the cold-start trainer: +specs=RECIPE."""

    model: str = "base"
    rows: str = "pairs"
    """The stage whose pairs or conversations are trained on."""

    max_pixels: int | None = None
    """Of an image; null leaves it to the recipe."""

    overrides: list[str] = field(default_factory=list)
    """Further Hydra overrides."""


def grpo_commands(stage: Stage, places: Places) -> list[Command]:
    """The command of a GRPO training, with every seed that verl has."""
    folder, settings, seed = places.folders[stage.name].resolve(), stage.settings, places.seed
    # verl's file logger empties its file at every start: each attempt gets its own.
    attempt = folder / "metrics" / f"attempt_{len(list(folder.glob('metrics/attempt_*.jsonl'))) + 1:03d}.jsonl"

    def bar() -> Bar | None:
        last = last_record(attempt)
        if last is None:
            return Bar(0, float(str(settings["steps"])), "starting Ray and vLLM")
        reward = last["data"].get("critic/score/mean", float("nan"))
        return Bar(last["step"], float(str(settings["steps"])), f"reward {reward:.2f}")

    if (folder / HF).is_dir() and any((folder / LAST).glob("global_step_*")):
        return []  # trained and published, though nobody was left to say so
    arguments = [
        *(sys.executable, "-m", "verl.trainer.main_ppo", f"+specs={settings['recipe']}", *places.parts),
        *([] if settings["attention"] is None else [f"+specs/parts/attention={settings['attention']}"]),
        f"actor_rollout_ref.model.path={places.checkpoint(settings['model'])}",
        f"data.train_files={places.output(settings['prompts'] or settings['data'], 'train')}",
        f"data.val_files={places.output(settings['data'], 'test')}",
        f"data.seed={seed}",
        f"actor_rollout_ref.actor.data_loader_seed={seed}",
        f"actor_rollout_ref.actor.fsdp_config.seed={seed}",
        f"actor_rollout_ref.rollout.seed={seed}",
        f"trainer.n_gpus_per_node={places.gpus}",
        f"trainer.nnodes={places.nodes}",
        f"trainer.total_training_steps={settings['steps']}",
        f"trainer.default_local_dir={folder / 'checkpoints'}",
        f"trainer.rollout_data_dir={folder / 'rollouts'}",
        f"hydra.run.dir={folder / 'hydra'}",
        *_lengths(settings),
        *_overrides(settings),
    ]
    environment = {
        "VERL_FILE_LOGGER_PATH": str(attempt),
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARN"),
    }
    return [Command(tuple(arguments), environment, (attempt,), bar)]


def _lengths(settings: Settings) -> list[str]:
    prompt, response = settings["max_prompt_tokens"], settings["max_tokens"]
    if prompt is None or response is None:
        return _pixels(settings)
    return [
        *_pixels(settings),
        f"data.max_prompt_length={prompt}",
        f"data.max_response_length={response}",
        f"actor_rollout_ref.rollout.max_model_len={int(str(prompt)) + int(str(response))}",
    ]


def _pixels(settings: Settings) -> list[str]:
    return [] if settings["max_pixels"] is None else [f"data.max_pixels={settings['max_pixels']}"]


def cold_start_commands(stage: Stage, places: Places) -> list[Command]:
    """The command of a cold start: torchrun for several GPUs, the running Ray cluster for several nodes."""
    folder, settings = places.folders[stage.name].resolve(), stage.settings

    launcher = [sys.executable, "-m"]
    if places.nodes > 1:
        launcher += ["specs_verl.cold_start.on_ray", "+ray_kwargs.ray_init.address=auto"]
        launcher += [f"trainer.nnodes={places.nodes}", f"trainer.n_gpus_per_node={places.gpus}"]
    elif places.gpus > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc_per_node={places.gpus}"]
        launcher += ["-m", "specs_verl.cold_start"]
    else:
        launcher += ["specs_verl.cold_start"]
    arguments = [
        *launcher,
        f"+specs={settings['recipe']}",
        *places.parts,
        f"model.path={places.checkpoint(settings['model'])}",
        f"data.train_files={places.output(settings['rows'], 'rows')}",
        f"trainer.seed={places.seed}",
        f"trainer.default_local_dir={folder}",
        *_pixels(settings),
        *_overrides(settings),
    ]
    return [Command(tuple(arguments), {}, (folder / "metrics.jsonl",))]


def _overrides(settings: Settings) -> list[str]:
    overrides = settings["overrides"]
    return [str(override) for override in overrides] if isinstance(overrides, list) else []


def publish_grpo(stage: Stage, folder: Path) -> str:
    """Give the last checkpoint, the last state and the weights of single steps their final names; the rest goes."""
    checkpoints = folder / "checkpoints"
    for kept in sorted(checkpoints.glob("hf_step_*")):
        replace_folder(kept, folder / kept.name)
    newest = checkpoints / f"global_step_{stage.settings['steps']}"
    if newest.is_dir():
        (folder / LAST).mkdir(exist_ok=True)
        with replacing_folder(folder / HF) as draft:
            shutil.copytree(newest / "actor" / "huggingface", draft, dirs_exist_ok=True)
        os.replace(newest, folder / LAST / newest.name)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return f"{stage.settings['steps']} steps"


def _cold_start_note(stage: Stage, folder: Path) -> str:
    last = last_record(folder / "metrics.jsonl") or {}
    margin = last.get("rewards/margin")
    return f"{last.get('step', 0)} steps" + (f", margin {margin:.2f}" if margin is not None else "")


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


def grpo_outputs(stage: Stage, folder: Path) -> dict[str, Path]:
    """Checkpoint, and what the report draws curves from."""
    return {CHECKPOINT: folder / HF, LAST: folder / LAST} | {name: folder / name for name in ("metrics", "rollouts")}


def _cold_start_outputs(stage: Stage, folder: Path) -> dict[str, Path]:
    return {CHECKPOINT: folder / HF, "metrics": folder / "metrics.jsonl", RUN: folder}


def _grpo_references(settings: Settings) -> list[str]:
    return [str(settings[name]) for name in ("model", "data", "prompts") if settings[name] is not None]


KINDS = {
    "model": Kind(Model, lambda s: [], lambda stage, places: [], lambda stage, folder: {}, seeded=False),
    "grpo": Kind(Grpo, _grpo_references, grpo_commands, grpo_outputs, publish_grpo),
    "cold_start": Kind(
        ColdStart,
        lambda s: [str(s["model"]), str(s["rows"])],
        cold_start_commands,
        _cold_start_outputs,
        _cold_start_note,
    ),
}
