"""The frozen vision tower: every image goes through it once, its features are kept.

    features = FrozenVision(core, cache_bytes=...)     # from now on the model asks it for image features
    with features.of(row.images, device): model(...)

Features are what the model's own `get_image_features` returns, one entry per image (with the deep-stack features of
Qwen3-VL where there are any), kept on the CPU, the least recently used dropped when the bound is reached.
Not here: a tower that trains; it is run by the model itself in every forward pass (engine.py).
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch import Tensor

from specs_verl.cold_start.packing import ImageRef

Features = tuple[Tensor, tuple[Tensor, ...]]
"""(features of one image (tokens, hidden), its deep-stack features, one (tokens, hidden) per layer)."""


class FrozenVision:
    """Stands in for the model's `get_image_features`."""

    def __init__(self, core: torch.nn.Module, cache_bytes: int) -> None:
        self._compute = core.get_image_features
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[bytes, Features] = OrderedDict()
        self._held = 0
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
        fresh = self._run({image.key: image for image in self._wanted if image.key not in self._cache})
        found = []
        for image in self._wanted:
            entry = fresh.get(image.key) or self._cache[image.key]
            if image.key in self._cache:
                self._cache.move_to_end(image.key)
            found.append((entry[0].to(self._device), tuple(layer.to(self._device) for layer in entry[1])))
        for key, entry in fresh.items():
            self._keep(key, entry)
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

    def _keep(self, key: bytes, entry: Features) -> None:
        kept = (entry[0].to("cpu", copy=True), tuple(layer.to("cpu", copy=True) for layer in entry[1]))
        size = _bytes(kept)
        if size > self._cache_bytes:
            return
        self._cache[key] = kept
        self._held += size
        while self._held > self._cache_bytes:
            _, dropped = self._cache.popitem(last=False)
            self._held -= _bytes(dropped)


def _bytes(entry: Features) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (entry[0], *entry[1]))
