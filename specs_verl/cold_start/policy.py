"""Building verl's training worker, and with it the engine, for one checkpoint.

worker = build_worker(config, model, total_steps=140)       # nothing loaded yet
worker.reset()                                              # loads and shards the weights
"""

import os
import socket

from omegaconf import DictConfig
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.device import get_device_name, get_torch_device
from verl.workers.config import TrainingWorkerConfig
from verl.workers.engine_workers import TrainingWorker

from specs_verl.cold_start.engine import MODEL_TYPE, PairModelConfig


def build_worker(config: DictConfig, model: PairModelConfig, total_steps: int) -> TrainingWorker:
    """A worker of this process for `model`; joins the process group."""
    optimizer = omega_conf_to_dataclass(config.optim)
    optimizer.total_training_steps = total_steps
    return TrainingWorker(
        TrainingWorkerConfig(
            model_type=MODEL_TYPE,
            model_config=model,
            engine_config=omega_conf_to_dataclass(config.engine),
            optimizer_config=optimizer,
            checkpoint_config=omega_conf_to_dataclass(config.checkpoint),
        )
    )


def single_process_defaults() -> None:
    """What torchrun would have set, for one process on a free port; nothing if somebody has set it."""
    if "RANK" in os.environ:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1")
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(port))


def bind_device() -> None:
    """Make this process's own device the current one, before anything is put on the first one by default."""
    if get_device_name() == "cpu":
        return
    devices, number = get_torch_device(), int(os.environ.get("LOCAL_RANK", "0"))
    if number < devices.device_count():  # Ray shows each process its own device only
        devices.set_device(number)
