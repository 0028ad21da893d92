"""Three bugs of verl that strike on any device, mended while the installed verl has them.

Each acts only where verl would crash or mix rows up, so a project without our recipes keeps what it has.
Each fix names the bug; delete it, and its test, when AFFECTED no longer covers a supported verl.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import version

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from specs_verl.plugin.late_patch import on_import

AFFECTED = SpecifierSet(">=0.9.0,<0.9.2")
"""verl versions that have these bugs (0.9.1 was read; later releases must be looked at)."""


def install() -> None:
    if version("verl") in AFFECTED:
        on_import("verl.utils.tensordict_utils", fix_equal_length_position_ids)
        on_import("verl.models.transformers.qwen2_vl", fix_text_only_micro_batch)
        on_import("verl.utils.import_utils", fix_trl_without_value_head)


def fix_equal_length_position_ids(module) -> None:
    """M-RoPE position ids of a batch whose sequences all have one length are taken apart along the wrong dimension.

    TransferQueue packs B tensors (4, L) of equal length as a nested tensor that is ragged in dimension 1: values
    (B * 4, L), offsets 0, 4, 8, ... verl then declares dimension 2 the ragged one, which fits (4, sum of L) only.
    """

    def maybe_fix_3d_position_ids(data) -> None:
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


def fix_trl_without_value_head(module) -> None:
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


def fix_text_only_micro_batch(module) -> None:
    """A micro-batch without an image crashes under transformers 5, whose vision tower no longer returns a tensor.

    verl runs the tower on a dummy image there, so that FSDP ranks with and without images stay in step, and adds 0
    times its mean. The dummy pass is done here, with the output unpacked.
    """
    import torch

    embed_with_images = module._get_input_embeds
    unpacks = Version(version("transformers")) >= Version("5")

    def _get_input_embeds(
        model,
        input_ids,
        attention_mask=None,
        pixel_values=None,
        pixel_values_videos=None,
        image_grid_thw=None,
        video_grid_thw=None,
    ):
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
