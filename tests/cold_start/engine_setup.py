"""What tests of the engine need: a table, encoded pairs, verl's engine on one process, and a packed row."""

import os
import socket

import tiny_vlm as tiny
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from specs_verl.cold_start.__main__ import CONFIG
from specs_verl.plugin import recipes


def compose_config(*overrides: str) -> DictConfig:
    """The cold start's config, on the CPU in float32."""
    recipes.install()
    with initialize_config_dir(str(CONFIG), version_base=None):
        config = compose(
            "cold_start",
            overrides=[
                "engine.mixed_precision.param_dtype=fp32",
                "model.enable_gradient_checkpointing=false",
                *overrides,
            ],
        )
    OmegaConf.set_readonly(config, False)
    return config


def one_process() -> None:
    """Pretend that torchrun started this process alone."""
    if "RANK" in os.environ:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def build_engine(model_dir, *overrides: str):
    """verl's training worker and our engine inside it."""
    one_process()
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config import TrainingWorkerConfig
    from verl.workers.engine_workers import TrainingWorker

    from specs_verl.cold_start.engine import MODEL_TYPE

    config = compose_config(
        f"model.path={model_dir}",
        "data.train_files=none",
        "trainer.default_local_dir=none",
        "model.vision_cache_disk_gib=0",  # without a folder of a run there is nowhere to write
        *overrides,
    )
    optimizer = omega_conf_to_dataclass(config.optim)
    optimizer.total_training_steps = 10
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type=MODEL_TYPE,
            model_config=omega_conf_to_dataclass(config.model),
            engine_config=omega_conf_to_dataclass(config.engine),
            optimizer_config=optimizer,
            checkpoint_config=omega_conf_to_dataclass(config.checkpoint),
        )
    )
    worker.reset()
    return worker


class Setup:
    """An engine and the pairs (or conversations) of some rows; `pack` puts them all into one row."""

    def __init__(self, model_dir, rows: list[dict], folder, *overrides: str, table_class: type | None = None) -> None:
        from specs_verl.cold_start.encode import Encoder
        from specs_verl.cold_start.pairs import PairTable

        self.rows = rows
        self.table = (table_class or PairTable).open([str(tiny.write_pairs(folder / "pairs.parquet", rows))])
        self.worker = build_engine(model_dir, *overrides)
        self.engine = self.worker.engine
        model = self.engine.model_config
        self.encoder = Encoder.from_processor(model.processor, model.tokenizer, max_length=4096)
        self.pairs, _ = self.encoder.encode(self.table)
        self.row = None

    def pack(self, shared_prefix: bool = True, batch: list[int] | None = None):
        from specs_verl.cold_start.order import units_of
        from specs_verl.cold_start.packing import Packer

        packer = Packer(self.table, self.encoder.image_rules, self.engine.prompt_positions, shared_prefix)
        batch = list(range(len(self.pairs))) if batch is None else batch
        self.row = packer.pack(units_of(batch, self.pairs, shared_prefix), self.pairs)
        torch.set_grad_enabled(True)
        return self.row
