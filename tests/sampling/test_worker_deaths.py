"""A vLLM worker that is killed, or that the kernel ends for want of memory, costs time only."""

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


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same samples three times: unbroken, with the worker killed, and with the worker out of memory (left out where
    this user may not limit a process)."""
    from data_prep.nano.model import build_model

    folder = tmp_path_factory.mktemp("deaths")
    model, processor = build_model(seed=0)
    model.save_pretrained(folder / "random-nano")
    processor.save_pretrained(folder / "random-nano")
    path = nano.write_data(folder, n_train=ROWS, n_test=6, seed=1)["train"]
    parameters = SamplingParameters(n=SAMPLES, max_tokens=16, max_prompt_tokens=128, seed=2)

    with memory_group() as group:
        names = ["unbroken", "killed"] + (["starved"] if group else [])
        jobs = {
            name: Job(
                str(folder / "random-nano"),
                (str(path),),
                str(folder / name),
                parameters,
                engine=EngineSettings(workers=1),
            )
            for name in names
        }
        ended = []

        def end_workers():
            worker = worker_of(jobs["killed"])
            worker.kill()
            ended.append("killed")
            if group:
                worker = worker_of(jobs["starved"])
                group.starve(worker.pid)
                psutil.wait_procs([worker], timeout=120)
                ended.extend(["starved"] * group.kills())

        watcher = threading.Thread(target=end_workers, daemon=True)
        watcher.start()
        found = dict(zip(names, sample_all(list(jobs.values())), strict=True))
        watcher.join(timeout=10)
    assert ended == names[1:], "each worker was to end while its run was going on"
    return found


@pytest.mark.parametrize("name", ["killed", "starved"])
def test_a_vllm_worker_that_dies_mid_run_costs_time_only(runs, name):
    if name not in runs:
        pytest.skip("this user may not limit the memory of a process (cgroups)")
    texts = [[(record["row"], record["response"]) for record in runs[key].samples()] for key in ("unbroken", name)]
    assert texts[0] == texts[1] and len(texts[0]) == ROWS * SAMPLES
    assert runs[name].summary["skipped"] == {}
