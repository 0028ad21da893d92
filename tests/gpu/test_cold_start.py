"""The cold start on a GPU: bf16 near the CPU's float32, backends alike, resume, freeze, speed and memory of 3B.

The 3B model has the shape of Qwen2.5-VL-3B-Instruct and random weights.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_vlm as tiny
import torch

ROOT = Path(__file__).parents[2]
STEPS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    tiny.write_pairs(folder / "pairs.parquet", [*tiny.rows(8), tiny.row(20, images=2), tiny.row(30, images=0)])
    return folder, tiny.make_model(folder / "model")


def train(world, name: str, *overrides: str, processes: int = 1, cpu: bool = False) -> list[dict]:
    """One run in processes of its own; its metrics."""
    folder, model = world
    start = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    command = [sys.executable, "-m", *start, "specs_verl.cold_start", "+specs=qwen2_5_vl_7b_cold_start"]
    command += [
        f"model.path={model}",
        f"data.train_files={folder / 'pairs.parquet'}",
        f"trainer.default_local_dir={folder / name}",
        f"reference.cache_dir={folder / name}-references",
        "data.train_batch_size=4",
        f"trainer.total_training_steps={STEPS}",
        "optim.lr=1e-4",
        *overrides,
    ]
    environment = {key: value for key, value in os.environ.items() if key != "VERL_PLATFORM"}
    if cpu:
        environment |= {"VERL_PLATFORM": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def bf16(world):
    return train(world, "bf16", "trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")


def assert_near(found: list[dict], exact: list[dict], tolerance: float) -> None:
    for name in ("loss", "sft_loss", "dpo_loss"):
        values = [[line[name] for line in lines] for lines in (found, exact)]
        assert values[0] == pytest.approx(values[1], rel=tolerance), name


def test_bf16_is_near_the_cpus_float32(world, bf16):
    exact = train(world, "cpu", "engine.mixed_precision.param_dtype=fp32", cpu=True)
    assert_near(bf16, exact, 0.02)


@pytest.mark.parametrize("backend", ["segments", "flash", "flex"])
def test_backends_give_the_same_losses(world, bf16, backend):
    if backend == "flash" and find_spec("flash_attn") is None:
        pytest.skip("flash-attn is not installed")
    assert_near(train(world, backend, f"model.attention_backend={backend}"), bf16, 0.01)


def test_a_resumed_run_goes_on(world, bf16):
    out = world[0] / "bf16"
    (out / "complete.json").unlink()
    for folder in sorted((out / "checkpoints").glob("step_*"))[1:]:
        shutil.rmtree(folder)
    assert_near(train(world, "bf16", "trainer.save_freq=2", "trainer.max_ckpt_to_keep=null"), bf16, 1e-3)


def test_two_processes(world, bf16):
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    assert_near(train(world, "two", processes=2), bf16, 0.01)


def test_the_tower_is_left_alone_and_the_rest_is_not(world, bf16):
    from safetensors.torch import load_file

    before, after = (load_file(folder / "model.safetensors") for folder in (world[1], world[0] / "bf16" / "hf"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not [name for name in changed if "visual" in name]


def test_3b(tmp_path, capsys):
    """Speed and memory of the true shape; what the arithmetic of memory.py says is held against the device."""
    from cold_start_world import DataSet, make_model, make_pairs
    from transformers import AutoConfig

    from specs_verl.estimate.training import ModelShape, Setup, estimate

    if torch.cuda.get_device_properties(0).total_memory < 70 * 2**30:
        pytest.skip("3B parameters with Adam in float32 need 80 GB")
    model = make_model(tmp_path / "model", "3b")
    data = DataSet("g448", image=448, images=1, prompts=24, chosen=240, rejected=200)
    make_pairs(tmp_path / "pairs.parquet", model, data)
    (tmp_path / "watched.py").write_text(
        "import atexit, json, pathlib, torch\n"
        "from specs_verl.cold_start.preference_dataset import PreferenceDataset as Watched\n"
        f"peak = pathlib.Path({str(tmp_path / 'peak.json')!r})\n"
        "atexit.register(lambda: peak.write_text(json.dumps(torch.cuda.max_memory_allocated())))\n"
    )
    own = [f"data.custom_cls.path={tmp_path / 'watched.py'}", "data.custom_cls.name=Watched"]
    lines = train((tmp_path, model), "out", "data.max_token_len_per_gpu=8192", "data.train_batch_size=8", *own)
    assert all(line["loss"] < 20 for line in lines) and lines[0]["dpo_loss"] == pytest.approx(0.6931, abs=0.01)
    peak = json.loads((tmp_path / "peak.json").read_text())
    expected = sum(estimate(ModelShape.of(AutoConfig.from_pretrained(model)), Setup(1, 8192)).values())
    last = lines[-1]
    with capsys.disabled():
        print(
            f"\n3B: {last['pairs_per_s']:.1f} pairs/s, {last['tokens_per_s']:.0f} tokens/s, MFU {last['mfu']:.0%}, "
            f"peak memory {peak / 2**30:.1f} GiB (estimated {expected / 2**30:.1f} GiB)"
        )
    assert peak == pytest.approx(expected, rel=0.3)
