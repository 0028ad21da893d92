"""What verl's platform interface cannot express on a CPU: the process group's backend and pinned memory.

The platform class itself is registered late, too: importing it any earlier would import half of verl.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

OnImport = Callable[[str, Callable[[Any], None]], None]
"""Calls a function on the module of that name once it is imported: specs_verl.plugin.late_patch.on_import."""


def install(on_import: OnImport) -> None:
    on_import("verl.plugin.platform.platform_manager", _register_platform)
    on_import("verl.utils.distributed", _use_gloo)
    on_import("verl.workers.engine.fsdp.transformer_impl", _never_pin_memory)


def _register_platform(module: Any) -> None:
    import specs_verl.cpu.platform  # noqa: F401  (registers itself)


def _use_gloo(module: Any) -> None:
    """verl asks torch for "cpu:gloo,<device>:<backend>"; for the device "cpu" torch rejects the doubled name."""
    import torch.distributed as dist

    initialize_in_ray: Callable[..., None] = module.initialize_global_process_group_ray

    def initialize_global_process_group_ray(timeout_second: int | None = None, backend: str | None = None) -> None:
        initialize_in_ray(timeout_second=timeout_second, backend=backend or "cpu:gloo")

    def initialize_global_process_group(timeout_second: int = 36000) -> tuple[int, int, int]:
        dist.init_process_group(
            "cpu:gloo", timeout=timedelta(seconds=timeout_second), init_method=os.environ.get("DIST_INIT_METHOD")
        )
        return int(os.environ["LOCAL_RANK"]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])

    module.initialize_global_process_group_ray = initialize_global_process_group_ray
    module.initialize_global_process_group = initialize_global_process_group


def _never_pin_memory(module: Any) -> None:
    """Forward-only engines offload with pin_memory=True; pinning is a service of accelerators."""
    policy = module.CPUOffloadPolicy
    module.CPUOffloadPolicy = lambda pin_memory=False: policy(pin_memory=False)
