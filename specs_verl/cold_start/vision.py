"""The frozen vision tower: every image goes through it once, its features are kept.

    features = FrozenVision(core, FeatureCache(memory_bytes=2**31))     # from now on the model asks it for features
    with features.of(row.images, device): model(...)

Features are what the model's own `get_image_features` returns, one entry per image (with the deep-stack features of
Qwen3-VL where there are any). Not here: where they are kept (feature_cache.py), and a tower that trains, which is run
by the model itself in every forward pass (engine.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from specs_verl.cold_start.feature_cache import FeatureCache, Features
from specs_verl.cold_start.packing import ImageRef


class FrozenVision:
    """Stands in for the model's `get_image_features`."""

    def __init__(self, core: torch.nn.Module, cache: FeatureCache) -> None:
        self._compute = core.get_image_features
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

    @torch.no_grad()
    def __call__(self, *_: object, **__: object) -> SimpleNamespace:
        """Called by the model's forward pass in place of `get_image_features`."""
        known = {image.key: self.cache.get(image.key) for image in self._wanted}
        fresh = self._run({image.key: image for image in self._wanted if known[image.key] is None})
        for key, entry in fresh.items():
            self.cache.put(key, entry)
        found = []
        for image in self._wanted:
            features, deep = fresh.get(image.key) or known[image.key]
            found.append((features.to(self._device), tuple(layer.to(self._device) for layer in deep)))
        layers = zip(*(deep for _, deep in found), strict=True)
        return SimpleNamespace(
            pooler_output=tuple(features for features, _ in found),
            deepstack_features=[torch.cat(layer) for layer in layers],
        )

    def _run(self, images: dict[bytes, ImageRef]) -> dict[bytes, Features]:
        if not images:
            return {}
        refs = list(images.values())
        pixels = torch.cat([ref.load() for ref in refs]).to(self._device)
        grids = torch.tensor([ref.grid for ref in refs], device=self._device)
        output = self._compute(pixels, grids, return_dict=True)
        self.computed += len(refs)
        sizes = [len(features) for features in output.pooler_output]
        deep = [layer.split(sizes) for layer in getattr(output, "deepstack_features", None) or ()]
        return {
            ref.key: (features, tuple(layer[number] for layer in deep))
            for number, (ref, features) in enumerate(zip(refs, output.pooler_output, strict=True))
        }


def patches_as_product(embed: torch.nn.Module) -> None:
    """Make a patch embedding whose convolution sees each patch exactly once the matrix product that it is.

    The convolution kernels behind Conv3d take several times as long for this shape (and a few releases of cuDNN many
    times as long). Another kind of embedding is left as it is.
    """
    conv = getattr(embed, "proj", None)
    if not isinstance(conv, torch.nn.Conv3d) or conv.kernel_size != conv.stride or any(conv.padding):
        return

    def product(patches: torch.Tensor) -> torch.Tensor:
        return F.linear(patches.flatten(1), conv.weight.flatten(1), conv.bias).view(len(patches), -1, 1, 1, 1)

    conv.forward = product
