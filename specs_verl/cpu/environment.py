"""The environment variables under which verl, vLLM and torch run on a CPU; children and Ray workers inherit them."""

import os
import sys

REQUIRED = {
    # verl's platform registry: our platform (platform.py) ...
    "VERL_PLATFORM": "cpu",
    # ... while its engine registry knows the FSDP engine under the key "cuda" only.
    "VERL_ENGINE_DEVICE": "cuda",
}

DEFAULTS = {
    # Compiling C++ for every shape costs minutes at the start and, on models this small, wins nothing later.
    "TORCHDYNAMO_DISABLE": "1",
    # OpenMP's threads spin while they wait for each other; beside another program, for most of the time.
    "OMP_WAIT_POLICY": "passive",
    # vLLM's model runs inside its engine's process (executor "uni" of the recipes), not in one more that takes half a
    # minute to start; vLLM refuses that on CPUs unless this is said. verl's engine is a process of its own either way.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # TransferQueue sets torch's threads around every message, and warns every time where there are fewer cores.
    "TQ_NUM_THREADS": "1",
    # Forked tokenizer threads warn in every worker.
    "TOKENIZERS_PARALLELISM": "false",
    # Ray would start an agent that reports usage to the network.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray hides CUDA_VISIBLE_DEVICES from actors without GPUs and warns about it; there are no GPUs to hide.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def apply() -> None:
    """Set REQUIRED, and DEFAULTS where the user has not set them."""
    os.environ.update(REQUIRED)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ["TORCHDYNAMO_DISABLE"] == "1" and "torch._dynamo" in sys.modules:
        # Read from the environment when torch._dynamo is imported, which here has happened already.
        sys.modules["torch._dynamo"].config.disable = True
