"""Rollout workers of verl that do once per prompt what its siblings share.

    actor_rollout_ref.rollout.agent.agent_loop_manager_class=specs_verl.plugin.rollout_worker.RolloutManager

verl's agent loop prepares the images of a prompt three times for every response (the prompt's tokens, the reward, the
training inputs), tokenizes the prompt for every response, and has Hydra compose the agent loop of every response, a
quarter of the worker's time for short ones. Here images, prompts and training inputs are kept by content
(prepared.py), and an agent loop that is only named is made by calling its class. The RL recipes name this manager; a
project without them keeps verl's own.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import hydra
import ray
import torch
from verl.experimental.agent_loop import agent_loop
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ
from verl.utils.tokenizer import continuous_token

from specs_verl.plugin.prepared import PreparedImages, PreparedPrompts, Remembered, digest

SAME_FOR_ALL = {"pixel_values", "image_grid_thw", "images_seqlens", "mm_token_type_ids"}
"""Training inputs that depend on the images alone. mm_token_type_ids does not, but with get_rope_index verl takes it
out again, and makes its own of the tokens."""


def instantiate(config: Mapping[str, Any], **given: Any) -> Any:
    """`hydra.utils.instantiate`, which merges everything given into a configuration even where there is none."""
    if set(config) == {"_target_"}:
        return hydra.utils.get_class(config["_target_"])(**given)
    return hydra.utils.instantiate(config, **given)


class RolloutWorker(AgentLoopWorkerTQ.__ray_metadata__.modified_class):  # the class inside ray's
    """verl's worker with a memory for what siblings share."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        agent_loop.hydra = SimpleNamespace(utils=SimpleNamespace(instantiate=instantiate))
        images = getattr(self.processor, "image_processor", None)
        if images is not None:
            images.preprocess = PreparedImages(images.preprocess)
            continuous_token.build_multimodal_processor_inputs = PreparedPrompts(
                continuous_token.build_multimodal_processor_inputs
            )
        self._shared = Remembered(only=SAME_FOR_ALL)

    def _compute_multi_modal_inputs(self, output: Any, input_ids: torch.Tensor) -> dict[str, Any]:
        verls = super()._compute_multi_modal_inputs
        data = output.multi_modal_data or {}
        key = None
        if data.keys() == {"images"} and hasattr(self.processor, "get_rope_index"):
            key = digest(data["images"], {"options": output.mm_processor_kwargs})
        return dict(verls(output, input_ids)) if key is None else self._shared(key, lambda: verls(output, input_ids))


class RolloutManager(AgentLoopManagerTQ):
    """verl's manager of these workers."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(RolloutWorker)
