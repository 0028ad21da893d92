"""The frozen vision tower: every image goes through it once, what comes out is kept.

    vision = FrozenVision(core, FeatureCache(memory_bytes=2**31))     # from now on the model asks it for features
    with vision.of(row.images, device): model(...)

Kept are the features that the model's own `get_image_features` returns, one entry per image (with the deep-stack ones
of Qwen3-VL where there are any). When the aligner (the `merger` layers between tower and language model) trains, it is
what goes *into* the aligner that is kept, and the aligner itself runs in every forward pass, with gradients.
Not here: where features are kept (feature_cache.py), and a tower that trains, which is run by the model itself in every
forward pass (engine.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel
from transformers.vision_utils import get_vision_window_index

from specs_verl.cold_start.feature_cache import FeatureCache, Features
from specs_verl.cold_start.packing import ImageRef


class FrozenVision:
    """Stands in for the model's `get_image_features`."""

    def __init__(self, core: PreTrainedModel, cache: FeatureCache, aligner_trains: bool = False) -> None:
        self._visual = core.visual
        self._compute = core.get_image_features
        self._aligner_trains = aligner_trains
        patches_as_product(core.visual.patch_embed)
        self.cache = cache
        self._wanted: Sequence[ImageRef] = ()
        self._device = torch.device("cpu")
        self.computed = 0  # images that went through the tower, for reports and tests
        core.get_image_features = self

    @contextmanager
    def of(self, images: Sequence[ImageRef], device: torch.device) -> Iterator[None]:
        """Within this context the model's image features are those of `images`."""
        self._wanted, self._device = images, device
        try:
            yield
        finally:
            self._wanted = ()

    def __call__(self, *_: object, **__: object) -> SimpleNamespace:
        """Called by the model's forward pass in place of `get_image_features`."""
        with torch.no_grad():
            found = self._features()
        if self._aligner_trains:
            found = self._aligned(found)
        layers = zip(*(deep for _, deep in found), strict=True)
        return SimpleNamespace(
            pooler_output=tuple(features for features, _ in found),
            deepstack_features=[torch.cat(layer) for layer in layers],
        )

    def _features(self) -> list[Features]:
        """What is kept of the wanted images, on the device."""
        missing: dict[bytes, ImageRef] = {}
        entries: dict[bytes, Features] = {}
        for image in self._wanted:
            entry = self.cache.get(image.key)
            if entry is None:
                missing[image.key] = image
            else:
                entries[image.key] = entry
        fresh = self._run(missing)
        for key, entry in fresh.items():
            self.cache.put(key, entry)
        entries |= fresh
        wanted = [entries[image.key] for image in self._wanted]
        return [(last.to(self._device), tuple(layer.to(self._device) for layer in deep)) for last, deep in wanted]

    def _run(self, images: dict[bytes, ImageRef]) -> dict[bytes, Features]:
        if not images:
            return {}
        refs = list(images.values())
        pixels = torch.cat([ref.load() for ref in refs]).to(self._device)
        self.computed += len(refs)
        merged, deep = (self._into_aligner if self._aligner_trains else self._out_of_aligner)(pixels, refs)
        unit = self._visual.spatial_merge_size**2
        sizes = [ref.grid[0] * ref.grid[1] * ref.grid[2] // unit for ref in refs]
        parts = [layer.split(sizes) for layer in (merged, *deep)]
        return {
            ref.key: (parts[0][number], tuple(layer[number] for layer in parts[1:])) for number, ref in enumerate(refs)
        }

    def _out_of_aligner(self, pixels: Tensor, refs: Sequence[ImageRef]) -> tuple[Tensor, list[Tensor]]:
        """Features (tokens, hidden) of some images, and their deep-stack features."""
        grids = torch.tensor([ref.grid for ref in refs], device=self._device)
        output = self._compute(pixels, grids, return_dict=True)
        return torch.cat(output.pooler_output), list(getattr(output, "deepstack_features", None) or ())

    # ---- an aligner that trains -----------------------------------------------------------------------------------

    def _mergers(self) -> list[torch.nn.Module]:
        """The layers that make language features of tower features: the last one, then those of the deep stack."""
        return [self._visual.merger, *getattr(self._visual, "deepstack_merger_list", ())]

    def _into_aligner(self, pixels: Tensor, refs: Sequence[ImageRef]) -> tuple[Tensor, list[Tensor]]:
        """What each merger is given for some images, (tokens, patches per token * size) in the order of the tokens."""
        grids = torch.tensor([ref.grid for ref in refs])
        order, unit, extra = None, self._visual.spatial_merge_size**2, {}
        if hasattr(self._visual, "window_size"):  # Qwen2.5-VL computes in windows, and merges before it undoes them
            settings = (self._visual.spatial_merge_size, self._visual.window_size, self._visual.patch_size)
            index, offsets = get_vision_window_index(grids, *settings)
            index, offsets = index.to(self._device), offsets.to(self._device)
            order, extra = torch.argsort(index), {"window_index": index, "cu_window_seqlens": offsets}
        given: dict[int, Tensor] = {}
        hooks = [
            merger.register_forward_pre_hook(lambda _, inputs, number=number: given.update({number: inputs[0]}))
            for number, merger in enumerate(self._mergers())
        ]
        try:
            self._compute(pixels, grids.to(self._device), return_dict=True, **extra)
        finally:
            for hook in hooks:
                hook.remove()
        kept = torch.get_autocast_dtype(self._device.type) if torch.is_autocast_enabled(self._device.type) else None
        tokens = [given[number].view(-1, unit * given[number].shape[-1]) for number in range(len(given))]
        tokens = [(layer if order is None else layer[order]).to(kept or layer.dtype) for layer in tokens]
        return tokens[0], tokens[1:]

    def _aligned(self, found: list[Features]) -> list[Features]:
        """Run the mergers over what is kept of some images."""
        sizes = [len(features) for features, _ in found]
        unit = self._visual.spatial_merge_size**2
        outputs = []
        for number, merger in enumerate(self._mergers()):
            kept = torch.cat([(features, *deep)[number] for features, deep in found])
            outputs.append(merger(kept.view(len(kept) * unit, -1)).split(sizes))
        return [(outputs[0][image], tuple(layer[image] for layer in outputs[1:])) for image in range(len(found))]


def patches_as_product(embed: torch.nn.Module) -> None:
    """Make a patch embedding whose convolution sees each patch exactly once the matrix product that it is.

    The convolution kernels that Conv3d uses take several times as long for this shape (and a few releases of cuDNN many
    times as long). Another kind of embedding is left as it is.
    """
    conv = getattr(embed, "proj", None)
    if not isinstance(conv, torch.nn.Conv3d) or conv.kernel_size != conv.stride or any(conv.padding):
        return

    def product(patches: torch.Tensor) -> torch.Tensor:
        return F.linear(patches.flatten(1), conv.weight.flatten(1), conv.bias).view(len(patches), -1, 1, 1, 1)

    # Of this one layer, not of its class.
    conv.forward = product  # type: ignore[method-assign, assignment]
