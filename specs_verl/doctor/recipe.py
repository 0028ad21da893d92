"""What a composed RL recipe asks of machine and data: attention kernels, micro-batches, enough steps, an end.

    attention(config, device="cuda", flash=False)       # UserError: which package, or which switch
    micro_batches(config)                               # UserError: rows that cannot be dealt out evenly
    cluster(config, "10.0.0.1:6379")                    # UserError: several nodes and no cluster
    steps(config, train_rows=2101)                      # UserError: the epochs end before the steps
    ended_as_asked(config)                              # after the run: UserError when steps are missing

Functions of the composed configuration (and, for the last, of the checkpoint folder); preflight.RecipeCheck calls
them. Not here: prompt lengths (prompts.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from specs_verl.errors import UserError

OF_A_NEW_CLUSTER = ("num_cpus", "num_gpus", "resources", "labels", "object_store_memory")
"""Arguments of ray.init that it refuses where it joins a cluster."""

NEWEST = "latest_checkpointed_iteration.txt"
"""verl's note of the newest complete checkpoint in trainer.default_local_dir."""


def flash_installed() -> bool:
    """Whether the package flash-attn is there; whether it loads is the doctor's business."""
    return find_spec("flash_attn") is not None


def attention(config: DictConfig, device: str, flash: bool) -> None:
    """On NVIDIA GPUs, flash-attn is there for whatever asks for it; verl alone fails after Ray and the model are up.

    Args:
        device: verl's platform, such as "cuda".
        flash: whether the package is installed.
    """
    if device != "cuda" or flash:
        return
    model = config.actor_rollout_ref.model
    asked = []
    # verl/workers/config/model.py: flash_attention_2 unless override_config says otherwise
    if (model.get("override_config") or {}).get("attn_implementation", "flash_attention_2") == "flash_attention_2":
        asked.append("override_config.attn_implementation=flash_attention_2")
    if model.get("use_remove_padding"):
        asked.append("use_remove_padding=True")
    if asked:
        raise UserError(
            f"actor_rollout_ref.model.{' and '.join(asked)} need the package flash-attn, which is not installed. "
            "Install it (pip install flash-attn==2.8.3 --no-build-isolation), or add +specs/parts/attention=sdpa "
            "after the recipe: slower, and without the package."
        )


def micro_batches(config: DictConfig) -> None:
    """Micro-batches of a number of rows divide the rows of a process; verl alone fails in the first step."""
    part, trainer = config.actor_rollout_ref, config.trainer
    gpus = trainer.nnodes * trainer.n_gpus_per_node
    processes = gpus // part.actor.fsdp_config.ulysses_sequence_parallel_size
    a_step, an_update = config.data.train_batch_size, part.actor.ppo_mini_batch_size
    asked = [
        ("actor.ppo_micro_batch_size_per_gpu", part.actor.use_dynamic_bsz, an_update),
        ("rollout.log_prob_micro_batch_size_per_gpu", part.rollout.log_prob_use_dynamic_bsz, a_step),
    ]
    if part.actor.use_kl_loss or config.algorithm.use_kl_in_reward:
        asked.append(("ref.log_prob_micro_batch_size_per_gpu", part.ref.log_prob_use_dynamic_bsz, a_step))
    for key, by_tokens, prompts in asked:
        rows, micro = prompts * part.rollout.n / processes, OmegaConf.select(part, key)
        if not by_tokens and micro and rows % micro:
            raise UserError(
                f"actor_rollout_ref.{key}={micro} must divide the rows of a process: {prompts} prompts x "
                f"{part.rollout.n} responses / {processes} processes = {rows:g}."
            )


def kept_weights(config: DictConfig) -> None:
    """Weights can be kept only of steps at which verl saves."""
    kept, saved = config.trainer.get("hf_freq") or -1, config.trainer.save_freq
    if kept > 0 and (saved <= 0 or kept % saved):
        raise UserError(
            f"trainer.hf_freq={kept} must be a multiple of trainer.save_freq={saved}: weights are kept of steps at "
            f"which verl saves. Set trainer.save_freq={kept}, or a divisor of it."
        )


def ray_address(config: DictConfig, named: str | None, found: str | None) -> str | None:
    """The address of the Ray cluster that the run joins, None where it starts a Ray of its own.

    Args:
        named: RAY_ADDRESS, which wins over the recipe: the nano recipes start a Ray of their own otherwise.
        found: of the cluster that ray.init would find without being told.
    """
    asked = config.get("ray_kwargs", {}).get("ray_init", {}).get("address")
    if named:
        return named
    return None if asked == "local" else asked or found


def cluster(config: DictConfig, address: str | None, environment: Mapping[str, str] = os.environ) -> None:
    """Several nodes need a Ray cluster; a run that joins one asks for no more of Ray than the cluster has.

    Args:
        config: settings of a Ray of one's own are taken out of it where there is a cluster: Ray refuses them.
        address: see `ray_address`.
        environment: of this process; where metrics go is handed on to the cluster.
    """
    if address is None:
        if config.trainer.nnodes > 1:
            raise UserError(
                f"trainer.nnodes={config.trainer.nnodes}, but no Ray cluster is joined: RAY_ADDRESS is not set. "
                "Start Ray on all nodes first: examples/clusters.md."
            )
        return
    ray_init = config.get("ray_kwargs", {}).get("ray_init", {})
    for name in OF_A_NEW_CLUSTER:
        if ray_init.get(name) is not None:
            ray_init[name] = None
    if "address" in ray_init:
        ray_init["address"] = address
    _tell_where_metrics_go(config, environment)


METRICS_GO_TO = ("VERL_FILE_LOGGER_PATH", "VERL_FILE_LOGGER_ROOT", "TENSORBOARD_DIR")


def _tell_where_metrics_go(config: DictConfig, environment: Mapping[str, str]) -> None:
    """The process that writes the metrics is started by the cluster, which knows nothing of this process's variables,
    and in another folder."""
    places = {name: os.path.abspath(environment[name]) for name in METRICS_GO_TO if environment.get(name)}
    key = "ray_kwargs.ray_init.runtime_env.env_vars"
    asked = OmegaConf.select(config, key) or {}
    if places:
        OmegaConf.update(config, key, {**places, **asked}, force_add=True)


def steps(config: DictConfig, train_rows: int) -> None:
    """The run ends at trainer.total_training_steps, not earlier at the end of trainer.total_epochs.

    Args:
        train_rows: rows of all training files.
    """
    batch, epochs, wanted = (
        config.data.train_batch_size,
        config.trainer.total_epochs,
        config.trainer.total_training_steps,
    )
    if wanted is None:
        raise UserError("trainer.total_training_steps is not set: steps decide when a run ends, epochs do not.")
    limit = int(config.data.get("train_max_samples", -1) or -1)
    used = min(train_rows, limit) if limit > 0 else train_rows
    an_epoch = used // batch
    if an_epoch == 0:
        raise UserError(f"The training files have {used} rows, fewer than one batch (data.train_batch_size={batch}).")
    if an_epoch * epochs < wanted:
        raise UserError(
            f"{used} rows in batches of {batch} are {an_epoch} steps an epoch, and trainer.total_epochs={epochs} of "
            f"them end at step {an_epoch * epochs}, before trainer.total_training_steps={wanted}. "
            "Leave trainer.total_epochs as the recipe has it, or ask for fewer steps."
        )


def ended_as_asked(config: DictConfig) -> None:
    """A run that saves checkpoints has saved that of its last step; verl always saves there."""
    trainer = config.trainer
    wanted = trainer.total_training_steps
    if wanted is None or trainer.save_freq <= 0 or trainer.get("val_only", False):
        return
    if config.actor_rollout_ref.actor.checkpoint.get("async_save", False):
        return  # verl writes no note of the newest checkpoint then
    note = Path(trainer.default_local_dir).expanduser() / NEWEST
    if not note.exists() and trainer.nnodes > 1:
        return  # the trainer may have run on another node, with a disk of its own
    reached = int(note.read_text(encoding="utf-8")) if note.exists() else 0
    if reached < wanted:
        raise UserError(
            f"The run ended early: the newest checkpoint in {note.parent} is of step {reached}, "
            f"trainer.total_training_steps={wanted}. The same command continues from there."
        )
