"""Rollout workers of verl that prepare an image once, not three times a response.

    actor_rollout_ref.rollout.agent.agent_loop_manager_class=specs_verl.plugin.rollout_worker.RolloutManager

verl's agent loop calls the image processor for the prompt's tokens, for the reward and for the training inputs of every
response: 3 n times per prompt, two thirds of it in the event loop that also talks to vLLM. Prepared images are kept
here by content, the least recently used forgotten beyond a budget of memory. The RL recipes name this class; a project
without them keeps verl's own.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import ray
from PIL import Image
from transformers import BatchFeature
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

BUDGET_BYTES = 2 * 1024**3
"""Of a worker. 64 prompts with an image of a thousand tokens take 1.2 GB of float32 pixel values."""


class PreparedImages:
    """Remembers what an image processor made of images, by their pixels and the options.

    Args:
        preprocess: the processor's own ``preprocess(images, **options) -> BatchFeature``.
        budget_bytes: of the tensors that are kept.
    """

    def __init__(self, preprocess: Callable[..., BatchFeature], budget_bytes: int = BUDGET_BYTES):
        self.preprocess = preprocess
        self.budget_bytes = budget_bytes
        self._kept: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()  # verl builds prompts in threads

    def __call__(self, images: Any, **options: Any) -> BatchFeature:
        """``preprocess(images, **options)``, or what it gave before. Tensors are shared: do not write into them."""
        key = _digest(images, options)
        if key is None:
            return self.preprocess(images, **options)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return BatchFeature(data=dict(kept))
        made = self.preprocess(images, **options)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = dict(made)
                self._bytes += _bytes(made)
                while self._bytes > self.budget_bytes:
                    self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        return made


def _digest(images: Any, options: dict[str, Any]) -> bytes | None:
    """Key of a call, or None for images that are not PIL images (verl passes a list of them)."""
    listed = images if isinstance(images, list) else [images]
    if not listed or not all(isinstance(image, Image.Image) for image in listed):
        return None
    digest = hashlib.blake2b(repr(sorted(options.items())).encode(), digest_size=16)
    for image in listed:
        digest.update(f"{image.mode} {image.size};".encode())
        digest.update(image.tobytes())
    return digest.digest()


def _bytes(made: Any) -> int:
    return sum(value.nbytes for value in made.values() if hasattr(value, "nbytes"))


class RolloutWorker(AgentLoopWorkerTQ.__ray_metadata__.modified_class):  # the class inside ray's
    """verl's worker with a memory for prepared images."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        images = getattr(self.processor, "image_processor", None)
        if images is not None:
            images.preprocess = PreparedImages(images.preprocess)


class RolloutManager(AgentLoopManagerTQ):
    """verl's manager of these workers."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(RolloutWorker)
