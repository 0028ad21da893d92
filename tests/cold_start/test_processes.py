"""Runs as users start them: one process, two processes, killed in the middle, with mistakes on the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import tiny_vlm as tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(model_dir, tmp_path_factory):
    """Folder with 13 pairs, which no batch size divides; the model; a reference cache."""
    folder = tmp_path_factory.mktemp("processes")
    rows = [
        *tiny.rows(8),
        *(tiny.row(20 + n, images=2) for n in range(3)),
        *(tiny.row(30 + n, images=0) for n in range(2)),
    ]
    tiny.write_pairs(folder / "pairs.parquet", rows)
    return folder, model_dir


def command(world, out: Path, *overrides: str, processes: int = 1) -> tuple[list[str], dict[str, str]]:
    folder, model = world
    python = [sys.executable, "-m"]
    start = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"] if processes > 1 else []
    arguments = [
        "+specs=nano_cold_start",
        f"model.path={model}",
        f"data.train_files={folder / 'pairs.parquet'}",
        f"trainer.default_local_dir={out}",
        "data.train_batch_size=5",
        "data.max_token_len_per_gpu=700",
        "trainer.total_epochs=2",
        "optim.lr=1e-3",
        *overrides,
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "MASTER_PORT")},
        "OMP_NUM_THREADS": "1",
        "VERL_PLATFORM": "cpu",
        "SPECS_CACHE": str(out.parent / f"cache-{out.name}"),
    }
    return [*python, *start, "specs_verl.cold_start", *arguments], environment


def run(world, out: Path, *overrides: str, processes: int = 1, code: int = 0) -> subprocess.CompletedProcess:
    arguments, environment = command(world, out, *overrides, processes=processes)
    done = subprocess.run(arguments, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def metrics(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


COMPARED = ("loss", "sft_loss", "dpo_loss", "rewards/chosen", "rewards/margin", "rewards/accuracy", "grad_norm", "lr")


@pytest.fixture(scope="module")
def straight(world, tmp_path_factory):
    """An uninterrupted run of one process: 6 steps, the third and sixth with 3 pairs instead of 5."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    done = run(world, out)
    return out, done


def test_one_process_says_little(straight):
    out, done = straight
    assert len(metrics(out)) == 6
    lines = (done.stdout + done.stderr).splitlines()
    assert all(line.startswith(("cold start:", "reference log-probs:")) for line in lines), lines


def test_two_processes_compute_what_one_computes(world, straight, tmp_path):
    run(world, tmp_path / "two", processes=2)
    alone, together = metrics(straight[0]), metrics(tmp_path / "two")
    assert len(alone) == len(together) == 6
    for one, two in zip(alone, together, strict=True):
        assert [two[name] for name in COMPARED] == pytest.approx([one[name] for name in COMPARED], rel=2e-5, abs=2e-5)


@pytest.mark.end_to_end
def test_two_ray_actors_compute_what_one_process_computes(world, straight, tmp_path):
    folder = tempfile.mkdtemp(prefix="ray")  # short: Ray puts sockets there, whose paths are limited
    arguments, environment = command(
        world,
        tmp_path / "ray",
        "trainer.n_gpus_per_node=2",
        "ray_kwargs.ray_init.num_cpus=2",
        "+ray_kwargs.ray_init.num_gpus=2",
        "+ray_kwargs.ray_init.include_dashboard=false",
        "+ray_kwargs.ray_init.object_store_memory=100000000",
        f"+ray_kwargs.ray_init._temp_dir={folder}",
    )
    arguments = [argument.replace("specs_verl.cold_start", "specs_verl.cold_start.on_ray") for argument in arguments]
    try:
        done = subprocess.run(arguments, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for one, two in zip(metrics(straight[0]), metrics(tmp_path / "ray"), strict=True):
        assert [two[name] for name in COMPARED] == pytest.approx([one[name] for name in COMPARED], rel=2e-5, abs=2e-5)


def test_a_killed_run_continues_as_if_nothing_had_happened(world, straight, tmp_path):
    out = tmp_path / "killed"
    arguments, environment = command(world, out, "trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")
    process = subprocess.Popen(
        arguments, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "step_000002").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = out / "checkpoints" / "step_000002" / "state.json"
    written = first.stat()
    run(world, out, "trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")
    again = first.stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns), "steps 1 and 2 were done again"
    for one, other in zip(metrics(straight[0]), metrics(out), strict=True):
        assert [other[name] for name in COMPARED] == pytest.approx([one[name] for name in COMPARED], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.path=/nowhere", "/nowhere: no such checkpoint directory"),
        ("data.train_files=/nowhere.parquet", "/nowhere.parquet: no such file"),
        ("+specs=nonsense", "There is no recipe specs=nonsense. Known recipes: cold_start, grpo, nano_cold_start"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(world, tmp_path, override, message):
    done = run(world, tmp_path / "out", override, code=2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "out").exists(), "refused before anything was begun"
