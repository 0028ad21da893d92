"""Several nodes on one machine: the nano GRPO recipe on a Ray cluster of two raylets, a training rank and a vLLM each.

Not part of `make test`: 13 GiB of memory and minutes on two cores. As a check:

    python -m pytest -m cluster tests/end_to_end/test_cluster.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from data_prep.nano import base_checkpoint

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402  (needs ray)

STEPS = 2


@pytest.fixture
def address(monkeypatch):
    """Two raylets, each a node with one logical device; the CPU platform asks Ray for GPU slots."""
    if psutil.virtual_memory().available < 13 * 2**30:
        pytest.skip("13 GiB of free memory are needed")
    node = {"num_cpus": 16, "num_gpus": 1, "object_store_memory": 300_000_000}
    # Ray would note this cluster as the machine's own, for whoever starts a run here.
    monkeypatch.setattr("ray._private.utils.write_ray_address", lambda address, temp_dir=None: None)
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    cluster.wait_for_nodes()
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def test_two_nodes_with_a_rank_and_a_replica_each(address, tmp_path):
    environment = {**os.environ, "RAY_ADDRESS": address, "VERL_FILE_LOGGER_PATH": str(tmp_path / "metrics.jsonl")}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    run("specs_verl.cli", "data", "nano", "--out", str(tmp_path), "--train", "64", "--test", "8")
    output = run(
        "verl.trainer.main_ppo",
        "+specs=nano_grpo",
        "trainer.nnodes=2",
        f"actor_rollout_ref.model.path={base_checkpoint()}",
        f"data.train_files={tmp_path / 'train.parquet'}",
        f"data.val_files={tmp_path / 'test.parquet'}",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=32",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=32",
        "actor_rollout_ref.rollout.n=4",
        f"trainer.total_training_steps={STEPS}",
        f"trainer.save_freq={STEPS}",
        f"trainer.default_local_dir={tmp_path / 'checkpoints'}",
    )
    lines = [json.loads(line)["data"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["training/global_step"] for line in lines] == list(range(1, STEPS + 1))
    # Both replicas sample with the weights that both ranks train.
    assert all(line["training/rollout_actor_probs_pearson_corr"] > 0.99 for line in lines), lines
    saved = tmp_path / "checkpoints" / f"global_step_{STEPS}" / "actor"
    assert {file.name for file in saved.glob("model_world_size_2_rank_*.pt")} == {
        "model_world_size_2_rank_0.pt",
        "model_world_size_2_rank_1.pt",
    }
    assert Path(saved / "huggingface" / "model.safetensors").is_file(), output[-3000:]
