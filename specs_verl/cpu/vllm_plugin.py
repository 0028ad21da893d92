"""The `vllm.general_plugins` entry point: vLLM calls `register` in each of its processes; it acts on the CPU only.

vLLM's CPU backend repacks the weight of every linear layer when a model is loaded and throws the original away. An RL
trainer loads new weights after every step: they would find no parameter (or, in the LM head, update one that is no
longer read). Here the parameter stays, and is what the layer multiplies with.

vLLM's engine and its worker are two processes, and each spins for up to a second while it waits for the other. On two
cores the one that waits takes the core from those that work: here they sleep until they are notified.
"""

import os
from typing import Any


def register() -> None:
    from specs_verl.cpu.detect import cpu_profile_in_use

    if not cpu_profile_in_use(os.environ):
        return
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    keep_weights()
    wait_without_spinning()


def keep_weights() -> None:
    """Linear layers multiply with their parameter, whatever is loaded into it."""
    import torch
    import vllm.model_executor.layers.utils as layer_utils

    def keep_the_weight(layer: Any, remove_weight: bool) -> None:
        if layer.weight.is_meta or layer.weight.ndim == 2:
            layer.cpu_linear = torch.nn.functional.linear

    layer_utils.dispatch_cpu_unquantized_gemm = keep_the_weight


def wait_without_spinning() -> None:
    """Readers of vLLM's message queue wait for its notification at once; vLLM's own default is to spin for a second."""
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    spinning = SpinCondition.__init__

    def sleeping(self: SpinCondition, *args: Any, **kwargs: Any) -> None:
        spinning(self, *args, **kwargs)
        self.busy_loop_s = 0

    SpinCondition.__init__ = sleeping
