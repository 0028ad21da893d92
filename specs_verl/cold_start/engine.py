"""verl's FSDP engine, taught to run packed rows of preference pairs.

Registered with verl's EngineRegistry as model type `preference_pairs`, so that verl's TrainingWorker builds it. Model
loading, sharding, LoRA, optimizer, offloading and checkpoint shards are verl's; the forward pass, the attention backend
and the freezing are ours. A data batch carries one non-tensor, `rows`: the packed rows of this process (packing.py).
Not here: what the loss is (loss.py) and where batches come from (trainer.py).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from tensordict import TensorDict
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, get_linear_schedule_with_warmup
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id, get_device_name
from verl.utils.model import get_hf_auto_model_class
from verl.utils.torch_dtypes import PrecisionType
from verl.workers.config import FSDPOptimizerConfig, HFModelConfig
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead, get_init_weight_context_manager

from specs_verl.cold_start import attention, last_layer, tower_attention
from specs_verl.cold_start.feature_cache import FeatureCache
from specs_verl.cold_start.flops import RowFlops
from specs_verl.cold_start.head import LogProbHead
from specs_verl.cold_start.images import ProcessorRules, image_settings
from specs_verl.cold_start.packing import PackedRow, PackedRows
from specs_verl.cold_start.reference import LogProbs, digest
from specs_verl.cold_start.vision import FrozenVision
from specs_verl.errors import UserError

MODEL_TYPE = "preference_pairs"
ALIGNER = "merger"
"""Part of the names of the layers between vision tower and language model, and of no others."""


@dataclass
class PairModelConfig(HFModelConfig):
    """verl's model section plus what this engine adds."""

    freeze_vision_tower: bool = True
    freeze_aligner: bool = True
    attention_backend: str = "auto"
    head_chunk_tokens: int | None = 2048
    vision_cache_gib: float = 2.0
    vision_cache_disk_gib: float = 64.0
    vision_cache_dir: str | None = None

    _mutable_fields = HFModelConfig._mutable_fields | {"exclude_modules"}


@dataclass
class PairOptimizerConfig(FSDPOptimizerConfig):
    """verl's optimizer section, which knows the schedules constant and cosine, plus linear."""

    if TYPE_CHECKING:  # verl's field, whose type is not seen through its untyped base class
        lr_scheduler_type: str

    def __post_init__(self) -> None:
        schedule = self.lr_scheduler_type
        if schedule == "linear":
            self.lr_scheduler_type = "constant"  # for verl's own check
        super().__post_init__()
        self.lr_scheduler_type = schedule


@EngineRegistry.register(model_type=MODEL_TYPE, backend=["fsdp", "fsdp2"], device=["cuda", "npu", "cpu"])
class PairEngine(FSDPEngineWithLMHead):
    """An FSDP engine whose batches are packed rows of preference pairs."""

    def __init__(self, model_config: PairModelConfig, *args: Any, **kwargs: Any) -> None:
        # verl loads the model by its type; for that matter ours is a language model.
        model_config.model_type = "language_model"
        super().__init__(model_config, *args, **kwargs)
        self.features: FrozenVision | None = None

    # ---- building -------------------------------------------------------------------------------------------------

    def _build_module(self) -> torch.nn.Module:
        """Load the model with our attention in its text half, and freeze what is to be frozen."""
        config = self.model_config.hf_config
        precision = (self.engine_config.mixed_precision or {}).get("param_dtype", "bf16")
        wanted = self.model_config.attention_backend
        self.attention = attention.choose(wanted, get_device_name(), PrecisionType.to_dtype(precision))
        self.has_vision = hasattr(config, "vision_config")
        # Set for the text half alone: set for the whole model it would land on the vision tower as well.
        name = self.attention.name
        implementation = {"text_config": name, "vision_config": "sdpa"} if self.has_vision else name
        dtype = PrecisionType.to_dtype(self.engine_config.model_dtype or "fp32")
        with get_init_weight_context_manager(use_meta_tensor=not config.tie_word_embeddings, mesh=self.device_mesh)():
            module = get_hf_auto_model_class(hf_config=config).from_pretrained(
                self.model_config.local_path,
                dtype=dtype,
                config=config,
                attn_implementation=implementation,
                trust_remote_code=self.model_config.trust_remote_code,
            )
        module.to(dtype)
        self.backbone = module
        if self.has_vision:
            tower_attention.use_in(self.core.visual)
        self._freeze()
        if self.model_config.enable_gradient_checkpointing:
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        return module

    @property
    def core(self) -> PreTrainedModel:
        """The model without its language-model head."""
        return self.backbone.model

    def _freeze(self) -> None:
        settings = self.model_config
        self.tower_frozen = self.has_vision and settings.freeze_vision_tower
        self.aligner_frozen = self.has_vision and settings.freeze_aligner
        if not self.has_vision:
            return
        for name, parameter in self.core.visual.named_parameters():
            if self.aligner_frozen if ALIGNER in name else self.tower_frozen:
                parameter.requires_grad_(False)

    @property
    def vision_trains(self) -> bool:
        """Whether some part of the vision half is trained, and hence shared with the other processes."""
        return self.has_vision and not (self.tower_frozen and self.aligner_frozen)

    def _build_lora_module(self, module: torch.nn.Module) -> torch.nn.Module:
        """verl's, but a frozen vision tower gets no adapters: they would never see a gradient."""
        if self.tower_frozen and self.model_config.exclude_modules is None:
            frozen = r".*\bvisual\b.*" if self.aligner_frozen else rf".*\bvisual\.(?!\w*{ALIGNER}).*"
            self.model_config.exclude_modules = frozen
        return super()._build_lora_module(module)

    def _build_fsdp_module(self, module: torch.nn.Module) -> torch.nn.Module:
        """Shard everything but a frozen vision tower, which every process keeps whole.

        A process runs the tower only for images that it has not seen; a sharded tower would make the others wait for
        it. Kept whole it also costs no communication, and nothing ever changes it.
        """
        if self._nothing_to_shard():
            self._autocast_dtype, self.scaler = torch.float32, None
            return module.to(get_device_id())
        if self.engine_config.strategy == "fsdp" and get_device_name() == "cpu":
            raise UserError("engine.strategy=fsdp needs a GPU; on the CPU use fsdp2.")
        if not self.tower_frozen:
            return super()._build_fsdp_module(module)
        visual = self.core.visual
        if self.aligner_frozen:
            del self.core.visual
            sharded = super()._build_fsdp_module(module)
            self.core.visual = _same_on_every_process(visual)
            return sharded
        children = dict(visual.named_children())  # the aligner is sharded with what surrounds it, the rest is not
        for name in [name for name in children if ALIGNER not in name]:
            delattr(visual, name)
        sharded = super()._build_fsdp_module(module)
        for name in children:  # all of them, to keep their order
            child = children[name] if ALIGNER in name else _same_on_every_process(children[name])
            if ALIGNER in name:
                delattr(visual, name)
            setattr(visual, name, child)
        return sharded

    def _nothing_to_shard(self) -> bool:
        """Whether FSDP would only copy: one process, float32 throughout, nothing offloaded.

        It would copy all weights before and all gradients after every row: 8 % of the time on small models.
        """
        config = self.engine_config
        dtypes = (config.model_dtype or "fp32", (config.mixed_precision or {}).get("param_dtype", "bf16"))
        offload = config.param_offload or config.optimizer_offload or config.offload_policy
        exact = all(PrecisionType.to_dtype(dtype) == torch.float32 for dtype in dtypes)
        plain = config.strategy == "fsdp2" and not self.model_config.enable_activation_offload
        return dist.get_world_size() == 1 and exact and plain and not offload

    def _build_optimizer(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        from verl.workers.config.optimizer import build_optimizer

        return build_optimizer([p for p in module.parameters() if p.requires_grad], self.optimizer_config)

    def _build_lr_scheduler(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        settings = self.optimizer_config
        if settings.lr_scheduler_type != "linear":
            return super()._build_lr_scheduler(optimizer)
        steps, warmup = settings.total_training_steps, settings.lr_warmup_steps
        if warmup is None or warmup <= 0:
            warmup = int(settings.lr_warmup_steps_ratio * steps)
        return get_linear_schedule_with_warmup(optimizer, warmup, steps)

    def initialize(self) -> None:
        super().initialize()
        decoder = self.core.language_model if self.has_vision else self.core
        # A model that adds deep-stack features after the last layer would miss rows.
        deep = len(getattr(getattr(self.model_config.hf_config, "vision_config", None), "deepstack_visual_indexes", ()))
        self.trimmed = len(decoder.layers) > deep and last_layer.trim(decoder.layers)
        self.head = LogProbHead(self.backbone.get_output_embeddings(), self.model_config.head_chunk_tokens)
        self.row_flops = RowFlops.of(self.model_config.hf_config)
        if self.tower_frozen:
            self.features = FrozenVision(self.core, self._feature_cache(), not self.aligner_frozen)

    def _feature_cache(self) -> FeatureCache:
        """A cache whose folder is named after everything that features depend on, images apart."""
        settings = self.model_config
        memory = int(settings.vision_cache_gib * 2**30)
        if settings.vision_cache_dir is None or not settings.vision_cache_disk_gib:
            return FeatureCache(memory)
        tower = [
            self.frozen_fingerprint(),
            str(self._autocast_dtype),
            image_settings(ProcessorRules.of(settings.processor)),
            self.aligner_frozen,  # what is kept lies after the aligner, or before it
        ]
        folder = Path(settings.vision_cache_dir).expanduser() / digest(tower)
        processes = self.get_data_parallel_size()
        return FeatureCache(memory, folder, int(settings.vision_cache_disk_gib * 2**30 / processes), processes > 1)

    # ---- running --------------------------------------------------------------------------------------------------

    def prompt_positions(self, ids: np.ndarray, grids: tuple[tuple[int, int, int], ...]) -> np.ndarray:
        """Position ids (axes, tokens) of a prompt, by the model's own rule (M-RoPE for vision-language models)."""
        if not self.has_vision:
            return np.arange(len(ids))[None]
        input_ids = torch.from_numpy(ids.astype(np.int64))[None]
        types = (input_ids == self.backbone.config.image_token_id).int()
        grid = torch.tensor(grids) if grids else None
        positions, _ = self.core.get_rope_index(input_ids, mm_token_type_ids=types, image_grid_thw=grid)
        return positions[:, 0].numpy()

    def needs_pixels(self, image: bytes) -> bool:
        """Whether the pixels of this image, by its key, have to be made: a frozen tower may have its features."""
        return self.features is None or not self.features.cache.holds(image)

    def token_log_probs(self, row: PackedRow) -> Tensor:
        """Log-probability of every trained token of a row, shape (trained tokens,), float32."""
        device = get_device_id()
        inputs = {
            "input_ids": row.input_ids.to(device),
            "position_ids": row.position_ids.to(device),
        }
        rows = row.logit_rows.to(device)
        inputs |= {"keep": rows} if self.trimmed else {"logits_to_keep": rows}
        held: AbstractContextManager[None] = nullcontext()
        if row.images:
            inputs["image_grid_thw"] = torch.tensor([image.grid for image in row.images], device=device)
            if self.features is not None:
                held = self.features.of(row.images, inputs["input_ids"].device)
                inputs["pixel_values"] = torch.empty(0, device=device)  # asks the model to ask for its features
            else:
                inputs["pixel_values"] = torch.cat([image.load() for image in row.images]).to(device)
        mixed = self._autocast_dtype != torch.float32
        precision = torch.autocast(get_device_name(), self._autocast_dtype) if mixed else nullcontext()
        with held, precision:
            plan = self.attention.plan(row.layout, inputs["input_ids"].device)
            with self.head.of(row.targets.to(device)):
                return self.module(**inputs, plan=plan, use_cache=False).logits[0, :, 0]

    def branch_log_probs(self, row: PackedRow) -> Tensor:
        """Summed log-probability of the responses, shape (pairs, responses of each); of a pair: chosen, rejected."""
        parts = self.token_log_probs(row).split([*row.lengths.flatten().tolist(), *[1] * row.blank])
        sums = torch.stack([part.sum() for part in parts])
        if row.blank:  # keeps the tower in the graph, with a gradient of zero
            sums = sums[:-1] + 0.0 * sums[-1]
        return sums.view(row.lengths.shape)

    def reference_log_probs(self, rows: PackedRows) -> dict[int, LogProbs]:
        """Log-probabilities (chosen, rejected) of every pair of some rows, LoRA adapters switched off."""
        adapter = self.disable_adapter() if self._is_lora else nullcontext()
        found: dict[int, LogProbs] = {}
        with self.eval_mode(), torch.no_grad(), adapter:
            for row in rows:
                values = self.branch_log_probs(row).tolist()
                found |= {} if row.padding else dict(zip(row.pairs, map(tuple, values), strict=True))
        return found

    def forward_backward_batch(self, data: TensorDict, loss_function: Callable, forward_only: bool = False) -> dict:
        """Run all rows of a batch; gradients accumulate. verl's contract: losses, metrics, model outputs.

        `loss_function(log_probs, row) -> (loss, metrics)` where the losses of all rows of all processes add up to the
        loss of the batch, and metrics are sums over the row's pairs.
        """
        rows: PackedRows = tu.get_non_tensor_data(data, "rows", None)
        losses: list[float] = []
        sums: dict[str, Any] = {"flops": 0.0}
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            sync = nullcontext() if forward_only else self._gradient_sync_context(is_last_micro_batch=last)
            with torch.no_grad() if forward_only else nullcontext(), sync:
                loss, metrics = loss_function(self.branch_log_probs(row), row)
                if not forward_only:
                    # FSDP averages gradients over processes; the batch's loss is their sum.
                    scaled = loss * self.get_data_parallel_size()
                    (self.scaler.scale(scaled) if self.scaler is not None else scaled).backward()
            losses.append(loss.detach().item() * self.get_data_parallel_size())
            for name, value in metrics.items():
                sums[name] = sums[name] + value if name in sums else value
            sums["flops"] += self.row_flops.forward(row.layout, self.trimmed)
        return {"loss": losses, "metrics": sums, "model_output": {}}

    def exported_state(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters under their Hugging Face names (tensors may be sharded), LoRA adapters merged into their base."""
        state = self.module.state_dict()
        if not self._is_lora:
            yield from state.items()
            return
        adapters = {name: layer for name, layer in self.module.named_modules() if isinstance(layer, LoraLayer)}
        for name, tensor in state.items():
            if "lora_" in name:
                continue
            layer = adapters.get(name.removesuffix(".base_layer.weight"))
            plain = name.replace("base_model.model.", "", 1).replace(".base_layer", "")
            yield plain, tensor if layer is None else _whole(tensor) + _lora_delta(layer).to(tensor.dtype)

    # ---- checks ---------------------------------------------------------------------------------------------------

    def frozen_parameters(self) -> Iterable[tuple[str, torch.nn.Parameter]]:
        """Parameters of the vision half that must never change, with their names."""
        if self.has_vision:
            for name, parameter in self.core.visual.named_parameters():
                if not parameter.requires_grad:
                    yield name, parameter

    def frozen_fingerprint(self) -> dict[str, str]:
        """Content hash of every frozen parameter (its local shard), to be compared before and after training."""
        return {name: _content_hash(parameter) for name, parameter in self.frozen_parameters()}

    def assert_frozen(self, before: dict[str, str]) -> None:
        """Raise unless the frozen parameters have no gradient, no optimizer state and their old content."""
        for name, parameter in self.frozen_parameters():
            if parameter.grad is not None or parameter in self.optimizer.state:
                raise AssertionError(f"visual.{name} is frozen but has a gradient or optimizer state.")
        changed = [name for name, content in self.frozen_fingerprint().items() if before[name] != content]
        if changed:
            raise AssertionError(f"Frozen parameters changed during training: visual.{', visual.'.join(changed)}")


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _lora_delta(layer: LoraLayer) -> Tensor:
    """What an adapter adds to the weight of its linear layer: scaling * B A, Hu et al. 2021, eq. 3."""
    if not isinstance(layer, LoraLinear) or layer.fan_in_fan_out or layer.use_dora.get("default"):
        raise UserError(f"LoRA on a {type(layer).__name__} cannot be merged for the export; use plain linear layers.")
    down, up = (_whole(part["default"].get_parameter("weight")).float() for part in (layer.lora_A, layer.lora_B))
    return layer.scaling["default"] * (up @ down)


def _content_hash(tensor: Tensor) -> str:
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    data = local.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.blake2b(data.tobytes(), digest_size=16).hexdigest()


def _same_on_every_process(module: torch.nn.Module) -> torch.nn.Module:
    """Move a module to the device; processes that loaded it without weights get those of process 0."""
    empty = any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    frozen = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    module = module.to_empty(device=get_device_id()) if empty else module.to(get_device_id())
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(frozen[name])
    if dist.get_world_size() > 1:
        tensors = sorted((*module.named_parameters(), *module.named_buffers()), key=lambda item: item[0])
        for _, tensor in tensors:
            dist.broadcast(tensor.data, src=0)
    return module
