"""Which worker process runs where: one per core or per GPU, with its cores, threads and environment.

for rank, place in enumerate(placement(job, shards)): start(worker_environment(place))
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from specs_verl.errors import UserError
from specs_verl.sampling.endpoint import is_endpoint
from specs_verl.sampling.parameters import Job

MOST_CPU_WORKERS = 4

TRAINING_PROCESS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells a training process. A worker that such a process starts is no member of its group."""


ENGINE_SETTINGS = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    # OpenMP's threads spin while they wait for each other, also where another program needs the core.
    "OMP_WAIT_POLICY": "passive",
    # The checkpoint is a local directory by now: nothing is to be looked up on a hub.
    "HF_HUB_OFFLINE": "1",
    # Each worker is alone with its engine: its sockets are nobody else's.
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    # The worker binds itself; vLLM would bind every worker to the same cores.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "PYTHONUNBUFFERED": "1",
}
"""What an engine's process is told, wherever it runs."""

NOT_FOR_USERS = ("VLLM_CPU_OMP_THREADS_BIND", "PYTHONUNBUFFERED")
"""Those of them that a user's environment does not change."""


@dataclass(frozen=True)
class Place:
    """Where a worker runs."""

    cores: list[int]
    """Cores it is bound to; empty for no binding."""

    threads: int

    gpus: str | None
    """As CUDA_VISIBLE_DEVICES has them: one, or those that hold a model together."""


def placement(job: Job, shards: int) -> list[Place]:
    """One worker per core on CPU, one per GPU otherwise, or per group of them that holds the model together; never more
    workers than shards.

    Raises:
        UserError: no GPU is visible, or fewer than one model needs.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if is_endpoint(job.model) or job.engine.engine == "verl":
        return [Place([], 1, None)]  # one worker drives what samples elsewhere
    on_cpu = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
    if on_cpu:
        room = max(1, min(len(cores), MOST_CPU_WORKERS) // job.engine.tensor_parallel)
        workers = max(1, min(job.engine.workers or room, shards))
        each = max(1, len(cores) // workers)
        return [Place(cores[rank * each : (rank + 1) * each], each, None) for rank in range(workers)]
    gpus, size = _visible_gpus(), job.engine.tensor_parallel
    groups = [",".join(gpus[first : first + size]) for first in range(0, len(gpus) - size + 1, size)]
    if not groups:
        raise UserError(f"--tensor-parallel {size} asks for {size} GPUs on one machine, and {len(gpus)} can be seen.")
    workers = max(1, min(job.engine.workers or len(groups), shards, len(groups)))
    return [Place([], max(1, len(cores) // workers), groups[rank]) for rank in range(workers)]


def _visible_gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = [gpu.strip() for gpu in visible.split(",") if gpu.strip()]
    else:
        import torch

        gpus = [str(index) for index in range(torch.cuda.device_count())]
    if not gpus:
        raise UserError("No GPU is visible and this is not the CPU profile: set VERL_PLATFORM=cpu to use the CPU.")
    return gpus


def worker_environment(place: Place) -> dict[str, str]:
    """Environment of a worker process."""
    environment = {
        **ENGINE_SETTINGS,
        **os.environ,
        "OMP_NUM_THREADS": str(place.threads),
        **{name: ENGINE_SETTINGS[name] for name in NOT_FOR_USERS},
    }
    for name in TRAINING_PROCESS:
        environment.pop(name, None)
    if place.gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = place.gpus
    return environment
