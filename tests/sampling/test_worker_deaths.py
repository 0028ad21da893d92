"""A vLLM worker that the kernel ends for want of memory costs time only."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from data_prep import nano
from specs_verl.sampling import EngineSettings, Job, SamplingParameters, sample_all

from .memory_group import memory_group

pytestmark = pytest.mark.end_to_end

ROWS, SAMPLES = 160, 8  # 5 shards of 32 rows


def worker_of(job):
    """The process with the vLLM engine in it, after the first complete shard of a job."""
    deadline = time.monotonic() + 240
    while not list(Path(job.out).glob("shards/shard-*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (worker,) = (
        process
        for process in psutil.Process().children(recursive=True)
        if "specs_verl.sampling.worker" in process.cmdline()
    )
    return worker


def test_a_vllm_worker_that_dies_mid_run_costs_time_only(tmp_path):
    """Out of memory, or killed where this user may not limit the memory of a process (cgroups)."""
    from data_prep.nano.model import build_model

    model, processor = build_model(seed=0)
    model.save_pretrained(tmp_path / "random-nano")
    processor.save_pretrained(tmp_path / "random-nano")
    path = nano.write_data(tmp_path, n_train=ROWS, n_test=6, seed=1)["train"]
    parameters = SamplingParameters(n=SAMPLES, max_tokens=16, max_prompt_tokens=128, seed=2)
    settings = {"parameters": parameters, "engine": EngineSettings(workers=1)}
    jobs = [Job(str(tmp_path / "random-nano"), (str(path),), str(tmp_path / name), **settings) for name in ("a", "b")]

    with memory_group() as group:
        ended = []

        def end_worker():
            worker = worker_of(jobs[1])
            if group is None:
                worker.kill()
            else:
                group.starve(worker.pid)
            psutil.wait_procs([worker], timeout=120)
            ended.append(1 if group is None else group.kills())

        watcher = threading.Thread(target=end_worker, daemon=True)
        watcher.start()
        runs = sample_all(jobs)
        watcher.join(timeout=10)
    assert ended == [1], "the worker was to end while its run was going on"
    whole, broken = ([(record["row"], record["response"]) for record in run.samples()] for run in runs)
    assert whole == broken and len(whole) == ROWS * SAMPLES
    assert runs[1].summary["skipped"] == {}
