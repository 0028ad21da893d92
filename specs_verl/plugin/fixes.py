"""Four bugs of verl that strike on any device, mended while the installed verl has them.

Each acts only where verl would crash or mix rows up, so a project without our recipes keeps what it has.
Each fix names the bug; delete it, and its test, when AFFECTED no longer covers a supported verl.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from specs_verl.plugin.late_patch import Patched, on_import

if TYPE_CHECKING:
    from peft import LoraConfig
    from tensordict import TensorDict
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

AFFECTED = SpecifierSet(">=0.9.0,<0.9.2")
"""verl versions that have these bugs (0.9.1 was read; later releases must be looked at)."""


def install() -> None:
    if version("verl") in AFFECTED:
        on_import("verl.utils.tensordict_utils", fix_equal_length_position_ids)
        on_import("verl.models.transformers.qwen2_vl", fix_text_only_micro_batch)
        on_import("verl.utils.import_utils", fix_trl_without_value_head)
        on_import("verl.utils.checkpoint.fsdp_checkpoint_manager", fix_lora_export)


def fix_equal_length_position_ids(module: Patched) -> None:
    """M-RoPE position ids of a batch whose sequences all have one length are taken apart along the wrong dimension.

    TransferQueue packs B tensors (4, L) of equal length as a nested tensor that is ragged in dimension 1: values
    (B * 4, L), offsets 0, 4, 8, ... verl then declares dimension 2 the ragged one, which fits (4, sum of L) only.
    """

    def maybe_fix_3d_position_ids(data: TensorDict) -> None:
        if data.get("position_ids", None) is None:
            return
        positions = data["position_ids"]
        if not (positions.is_nested and positions.dim() == 3):
            return
        values, offsets = positions._values, positions._offsets
        end, batch = int(offsets[-1]), offsets.numel() - 1
        rows = end // batch if batch else 0
        already_right = values.shape[-1] == end and values.shape[0] == rows
        if values.shape[0] == end and not already_right:
            data["position_ids"] = module.nested_tensor_from_tensor_list(
                list(values.reshape(batch, rows, values.shape[-1])), ragged_idx=2
            )
        else:
            positions._ragged_idx = 2

    module.maybe_fix_3d_position_ids = maybe_fix_3d_position_ids


def fix_trl_without_value_head(module: Patched) -> None:
    """Where TRL is installed, verl imports its value-head model for every model it loads; TRL 1.16 has none any more.

    A TRL without it counts as no TRL: verl needs the package for nothing else.
    """
    installed = module.is_trl_available

    @cache
    def is_trl_available() -> bool:
        return installed() and any(
            _has(name, "AutoModelForCausalLMWithValueHead") for name in ("trl.experimental.ppo", "trl")
        )

    module.is_trl_available = is_trl_available


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def fix_lora_export(module: Patched) -> None:
    """The Hugging Face directory of a checkpoint with LoRA holds peft's names and unmerged weights: nothing loads it.

    The gathered state, which verl asks for on this path alone, comes with the adapters added to their linear layers
    (scaling * B A, Hu et al. 2021, eq. 3) and under the names of the model itself.
    """
    gather = module.get_fsdp_full_state_dict

    def get_fsdp_full_state_dict(model: Module, *args: object, **kwargs: object) -> dict[str, Tensor]:
        state = gather(model, *args, **kwargs)
        adapters = getattr(model, "peft_config", None)
        return merged(state, adapters["default"]) if adapters else state

    module.get_fsdp_full_state_dict = get_fsdp_full_state_dict


def merged(state: dict[str, Tensor], adapter: LoraConfig) -> dict[str, Tensor]:
    """A peft model's whole state dict as that of the plain model.

    Args:
        state: empty on ranks that do not save.
        adapter: its LoraConfig; with DoRA, or with other kinds of adapters than on linear layers, ValueError.
    """
    if adapter.use_dora or any("lora_embedding" in name or "lora_magnitude" in name for name in state):
        raise ValueError("specs-verl: only LoRA on linear layers can be merged into an exported checkpoint.")
    scaling = adapter.lora_alpha / (adapter.r**0.5 if adapter.use_rslora else adapter.r)
    plain = {}
    for name, tensor in state.items():
        if ".lora_" in name:
            continue
        layer = name.removesuffix(".base_layer.weight")
        up, down = (state.get(f"{layer}.lora_{side}.default.weight") for side in "BA")
        if layer != name and up is not None and down is not None:
            tensor = tensor + (scaling * (up.float() @ down.float())).to(tensor.dtype)
        plain[name.removeprefix("base_model.model.").replace(".base_layer.", ".")] = tensor
    return plain


def fix_text_only_micro_batch(module: Patched) -> None:
    """A micro-batch without an image crashes under transformers 5, whose vision tower no longer returns a tensor.

    verl runs the tower on a dummy image there, so that FSDP ranks with and without images stay in step, and adds 0
    times its mean. The dummy pass is done here, with the output unpacked.
    """
    import torch

    embed_with_images = module._get_input_embeds
    unpacks = Version(version("transformers")) >= Version("5")

    def _get_input_embeds(
        model: PreTrainedModel,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        if not unpacks or pixel_values is not None or pixel_values_videos is not None:
            return embed_with_images(
                model, input_ids, attention_mask, pixel_values, pixel_values_videos, image_grid_thw, video_grid_thw
            )
        embeddings = model.get_input_embeddings()(input_ids)
        vision = model.config.vision_config
        patch_size = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        blank = torch.zeros((16, patch_size), dtype=model.visual.dtype, device=embeddings.device)
        grid = torch.tensor([[1, 4, 4]], device=embeddings.device)
        features, _ = module.unpack_visual_output(model.visual(blank, grid_thw=grid))
        if attention_mask is not None:
            attention_mask = attention_mask.to(embeddings.device)
        return embeddings + 0.0 * features.mean().to(embeddings.dtype), attention_mask

    module._get_input_embeds = _get_input_embeds
