"""What a processor made of images, kept by their pixels: siblings of a group ask for the same again and again.

    images.preprocess = PreparedImages(images.preprocess)                       # of a processor's image processor
    module.build_multimodal_processor_inputs = PreparedPrompts(module.build_multimodal_processor_inputs)

The least recently used is forgotten beyond a budget of memory. Threads that ask for the same wait for the one that is
making it. Tensors are shared: do not write into them.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set
from concurrent.futures import Future
from typing import Any

from PIL import Image
from transformers import BatchFeature

BUDGET_BYTES = 2 * 1024**3
"""Of a worker. 64 prompts with an image of a thousand tokens take 1.2 GB of float32 pixel values."""


class Remembered:
    """Results by key, each a mapping that is made once.

    Args:
        budget_bytes: of the tensors that are kept.
        only: names that a result may have to be kept; None for all.
    """

    def __init__(self, budget_bytes: int = BUDGET_BYTES, only: Set[str] | None = None):
        self.budget_bytes = budget_bytes
        self.only = only
        self._kept: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._in_the_making: dict[bytes, Future[dict[str, Any]]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __call__(self, key: bytes, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The result of a key, in a dictionary of the caller's own."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return dict(self._kept[key])
            others = self._in_the_making.get(key)
            if others is None:
                mine = self._in_the_making[key] = Future()
        if others is not None:
            return dict(others.result())
        try:
            made = dict(make())
        except BaseException as error:
            with self._lock:
                del self._in_the_making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._in_the_making[key]
            if self.only is None or made.keys() <= self.only:
                self._keep(key, made)
        mine.set_result(made)
        return dict(made)

    def _keep(self, key: bytes, made: dict[str, Any]) -> None:
        self._kept[key] = made
        self._bytes += _bytes(made)
        while self._bytes > self.budget_bytes:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])


class PreparedImages:
    """An image processor with a memory.

    Args:
        preprocess: the processor's own ``preprocess(images, **options) -> BatchFeature``.
        budget_bytes: of the tensors that are kept.
    """

    def __init__(self, preprocess: Callable[..., BatchFeature], budget_bytes: int = BUDGET_BYTES):
        self.preprocess = preprocess
        self._remembered = Remembered(budget_bytes)

    def __call__(self, images: Any, **options: Any) -> BatchFeature:
        """``preprocess(images, **options)``, or what it gave before."""
        key = digest(images, options)
        if key is None:
            return self.preprocess(images, **options)
        return BatchFeature(data=self._remembered(key, lambda: self.preprocess(images, **options)))


class PreparedPrompts:
    """Tokens and pixel values of prompts, with a memory.

    Args:
        build: verl's ``build_multimodal_processor_inputs(processor, text=, images=, ...) -> BatchFeature``.
        budget_bytes: of the tensors that are kept.
    """

    def __init__(self, build: Callable[..., BatchFeature], budget_bytes: int = BUDGET_BYTES):
        self.build = build
        self._remembered = Remembered(budget_bytes)

    def __call__(
        self, processor: Any, *, images: Any = None, videos: Any = None, audio: Any = None, **more: Any
    ) -> BatchFeature:
        """What verl's function gives, or gave before for the same text, images and options."""

        def build() -> BatchFeature:
            return self.build(processor, images=images, videos=videos, audio=audio, **more)

        key = digest(images, more) if videos is None and audio is None else None
        return build() if key is None else BatchFeature(data=self._remembered(key, build))


def digest(images: Any, options: Mapping[str, Any]) -> bytes | None:
    """Key of a call, or None for images that are not PIL images (verl passes a list of them)."""
    listed = images if isinstance(images, list) else [images]
    if not listed or not all(isinstance(image, Image.Image) for image in listed):
        return None
    found = hashlib.sha256(repr(sorted(options.items())).encode())  # processors have instructions for it
    for image in listed:
        found.update(f"{image.mode} {image.size};".encode())
        found.update(image.tobytes())
    return found.digest()


def _bytes(made: Mapping[str, Any]) -> int:
    return sum(value.nbytes for value in made.values() if hasattr(value, "nbytes"))
