"""Rollouts and one GRPO step on a GPU, with the GPU recipe's settings on the nano world: real vLLM, real verl."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from data_prep.nano import base_checkpoint

ROOT = Path(__file__).parents[2]
PROMPTS = 16


def needs(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def run(*command: str, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "VERL_PLATFORM"}
    environment |= {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "VERL_FILE_LOGGER_PATH": "metrics.jsonl",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rl")
    run("specs_verl.cli", "data", "nano", "--out", "data", "--train", str(PROMPTS), "--test", "8", cwd=folder)
    return folder


def test_vllm_samples_what_is_asked_and_the_same_twice(rows):
    needs("vllm")
    texts = []
    for name in ("one", "two"):
        asked = ["--data", "data/train.parquet", "--out", name, "--n", "4", "--max-tokens", "80", "--seed", "7"]
        run("specs_verl.cli", "sample", "--model", str(base_checkpoint()), *asked, cwd=rows)
        import pyarrow.parquet as pq

        samples = pq.read_table(rows / name / "shards" / "shard-00000.parquet").to_pylist()
        assert len(samples) == 4 * PROMPTS and all(sample["n_vision_tokens"] == 0 for sample in samples)
        texts.append([sample["response"] for sample in samples])
    assert texts[0] == texts[1] and len(set(texts[0])) > PROMPTS


def test_one_grpo_step(rows, capsys):
    needs("verl", "vllm")
    attention = [] if find_spec("flash_attn") else ["+specs/parts/attention=sdpa"]
    run(
        "verl.trainer.main_ppo",
        "+specs=qwen2_5_vl_7b_grpo",
        *attention,
        f"actor_rollout_ref.model.path={base_checkpoint()}",
        "data.train_files=data/train.parquet",
        "data.val_files=data/test.parquet",
        f"data.train_batch_size={PROMPTS}",
        "data.max_prompt_length=96",
        "data.max_response_length=80",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={PROMPTS}",
        "actor_rollout_ref.rollout.n=4",
        "actor_rollout_ref.rollout.max_model_len=192",
        "actor_rollout_ref.rollout.tensor_model_parallel_size=1",
        "actor_rollout_ref.rollout.gpu_memory_utilization=0.3",
        "trainer.n_gpus_per_node=1",
        "trainer.total_training_steps=1",
        "trainer.save_freq=1",
        "trainer.default_local_dir=checkpoints",
        cwd=rows,
    )
    (line,) = [json.loads(text)["data"] for text in (rows / "metrics.jsonl").read_text().splitlines()]
    correlation = line["training/rollout_actor_probs_pearson_corr"]
    with capsys.disabled():
        print(f"\nGRPO step: {line['timing_s/step']:.1f} s, correlation of rollout and actor {correlation:.5f}")
    assert correlation > 0.99
    assert (rows / "checkpoints" / "global_step_1" / "actor" / "huggingface" / "config.json").is_file()
    assert (rows / "checkpoints" / "samples" / "step_000001.html").is_file()
