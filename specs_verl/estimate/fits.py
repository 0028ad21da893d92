"""A composed recipe against its hardware: refused with one sentence where it does not fit.

    check_rl(config)                        # verl's configuration, with +specs=NAME
    check_cold_start(config)                # the cold start's

Let through are recipes without a model and hardware of config/specs (those of the nano world), and checkpoints that are
smaller than the recipe's model.
"""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig

from specs_verl.errors import UserError
from specs_verl.estimate.memory import GIB, Need, RlSetup, cold_start, rl
from specs_verl.estimate.shape import Shape
from specs_verl.estimate.training import Setup


def check_rl(config: DictConfig) -> Need | None:
    """Estimate an RL recipe; UserError where memory of a GPU, of the host, or vLLM's cache is too small."""
    if not _placed(config):
        return None
    shape = shape_of(config)
    if _smaller(shape, config, str(config.actor_rollout_ref.model.path)):
        return None
    setup = rl_setup(config, shape)
    need = rl(shape, setup)
    _check(config, need)
    if need.cache_tokens < setup.longest:
        raise UserError(
            f"{_name(config.specs)}: vLLM's share of a GPU (actor_rollout_ref.rollout.gpu_memory_utilization="
            f"{setup.rollout_share}) leaves a cache of {need.cache_tokens:,} tokens beside the weights, and one "
            f"sequence may have {setup.longest:,} (estimated). Raise the share or rollout.tensor_model_parallel_size."
        )
    return need


def check_cold_start(config: DictConfig, processes: int) -> Need | None:
    """Estimate a cold start on so many processes; UserError where it does not fit."""
    if not _placed(config):
        return None
    shape = shape_of(config)
    if _smaller(shape, config, str(config.model.path)):
        return None
    need = cold_start(shape, cold_start_setup(config, shape, processes), min(processes, config.specs.hardware.gpus))
    _check(config, need)
    return need


def _placed(config: DictConfig) -> bool:
    """Whether the recipe names a model and hardware, and the hardware has a place for models of that size."""
    specs = config.get("specs")
    if specs is None or "hardware" not in specs or "model" not in specs:
        return False
    require_place(specs)
    return True


def require_place(specs: DictConfig) -> None:
    """UserError where `hardware` has no row for models of the size of `model`."""
    if specs.model.size not in specs.hardware.sizes:
        gpus = specs.hardware.gpus * specs.hardware.nodes
        needed = 4 * Shape.of(specs.model.shape).parameters / gpus / GIB
        raise UserError(
            f"{_name(specs)}: the weights alone take {needed:.0f} GiB of a GPU in training (float32), "
            f"{specs.hardware.gpu_gib} GiB are there. Take larger hardware (specs/hardware=NAME)."
        )


def shape_of(config: DictConfig) -> Shape:
    """Of the recipe's model."""
    return Shape.of(config.specs.model.shape)


def rl_setup(config: DictConfig, shape: Shape) -> RlSetup:
    """What of verl's composed configuration memory depends on."""
    part, hardware = config.actor_rollout_ref, config.specs.hardware
    longest = config.data.max_prompt_length + config.data.max_response_length
    rows = part.actor.ppo_max_token_len_per_gpu
    if not part.actor.use_dynamic_bsz:
        rows = (
            part.actor.ppo_micro_batch_size_per_gpu * longest // part.actor.fsdp_config.ulysses_sequence_parallel_size
        )
    return RlSetup(
        gpus=config.trainer.n_gpus_per_node,
        nodes=config.trainer.nnodes,
        adapters=shape.adapters(part.model.lora_rank),
        on_host=part.actor.fsdp_config.offload_policy,
        between=part.actor.fsdp_config.param_offload and part.actor.fsdp_config.optimizer_offload,
        row_tokens=rows,
        longest=longest,
        tensor_parallel=part.rollout.tensor_model_parallel_size,
        rollout_share=part.rollout.gpu_memory_utilization,
        gpu_bytes=int(hardware.gpu_gib * GIB),
        host_bytes=int(hardware.host_gib * GIB),
    )


def cold_start_setup(config: DictConfig, shape: Shape, processes: int) -> Setup:
    """What of the cold start's configuration memory depends on."""
    return Setup(
        processes=processes,
        row_tokens=max(config.data.max_token_len_per_gpu, config.data.max_length),  # a longer row stands alone
        head_tokens=config.model.head_chunk_tokens or config.data.max_token_len_per_gpu,
        checkpointing=config.model.enable_gradient_checkpointing,
        reshard=config.engine.reshard_after_forward,
        no_sync=config.engine.use_no_sync_for_gradient_accumulation,
        adapters=shape.adapters(config.model.lora_rank),
        on_host=config.engine.offload_policy,
    )


def _check(config: DictConfig, need: Need) -> None:
    hardware = config.specs.hardware
    if need.peak > hardware.gpu_gib * GIB:
        sums = {"the update": need.training, "sampling": need.sampling}
        phase, parts = max(sums.items(), key=lambda one: sum(one[1].values()))
        largest = sorted(parts, key=lambda part: -parts[part])[:2]
        raise UserError(
            f"{_name(config.specs)}: {need.peak / GIB:.0f} GiB of a GPU are needed in {phase}, {hardware.gpu_gib} GiB "
            f"are there (estimated; {', '.join(f'{part} {parts[part] / GIB:.0f} GiB' for part in largest)}, ...). "
            "Take larger hardware (specs/hardware=NAME), or adapters (lora_rank)."
        )
    if need.host > hardware.host_gib * GIB:
        raise UserError(
            f"{_name(config.specs)}: {need.host / GIB:.0f} GiB of main memory are needed on a machine, "
            f"{hardware.host_gib} GiB are there (estimated). If yours has more, say specs.hardware.host_gib=N."
        )


def _smaller(shape: Shape, config: DictConfig, path: str) -> bool:
    """Whether a checkpoint directory holds a smaller model than the recipe's; UserError where it holds a larger one."""
    file = Path(path).expanduser() / "config.json"
    if not file.is_file():
        return False
    values = json.loads(file.read_text(encoding="utf-8"))
    text = {**values, **(values.get("text_config") or {})}
    layers, hidden = text.get("num_hidden_layers", 0), text.get("hidden_size", 0)
    size = layers * hidden**2 / (shape.layers * shape.hidden**2)
    if size > 1:
        raise UserError(
            f"{path} has {layers} layers of width {hidden}, more than {_model(config.specs)} of the recipe "
            f"({shape.layers} of {shape.hidden}). Choose its model: specs/model=NAME."
        )
    return size < 1


def _model(specs: DictConfig) -> str:
    return str(specs.model.checkpoint).split("/")[-1]


def _name(specs: DictConfig) -> str:
    return f"{_model(specs)} on {specs.hardware.nodes} x {specs.hardware.gpus} GPUs"
