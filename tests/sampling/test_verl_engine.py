"""verl's rollout servers as the engine, one of them killed in the middle of the run: nothing lost, nothing twice."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from data_prep import nano
from specs_verl.sampling import EngineSettings, Job, SamplingParameters, sample

ROWS, N = 300, 16  # ten shards of 32 rows, so that the kill comes after some and before others


def kill_the_server(out: Path, killed: list[int]) -> None:
    """Wait for the first complete shard, then kill the vLLM server that a Ray actor of this process tree runs."""
    deadline = time.monotonic() + 240
    while not list(out.glob("shards/shard-*.parquet")):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    for process in psutil.Process().children(recursive=True):
        if "vLLMHttpServer" in " ".join(process.cmdline()):
            process.kill()
            killed.append(process.pid)


def carrying(marker: str) -> list[str]:
    """Command lines of processes whose environment has the marker, wherever their parents have gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("SPECS_TEST_MARKER") == marker:
                found.append(" ".join(process.cmdline())[:120])
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.mark.end_to_end
@pytest.mark.skipif("SPECS_SLOW_TESTS" not in os.environ, reason="minutes, and 7 GiB: set SPECS_SLOW_TESTS=1")
def test_a_killed_rollout_server_costs_time_only(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECS_TEST_MARKER", str(tmp_path))
    from data_prep.nano.model import build_model

    checkpoint = tmp_path / "random-nano"
    model, processor = build_model(seed=0)
    model.save_pretrained(checkpoint)
    processor.save_pretrained(checkpoint)
    data = nano.write_data(tmp_path / "data", n_train=ROWS, n_test=6, seed=0)["train"]
    out, killed = tmp_path / "out", []
    watcher = threading.Thread(target=kill_the_server, args=(out, killed), daemon=True)
    watcher.start()
    parameters = SamplingParameters(n=N, max_tokens=48, max_prompt_tokens=128, seed=3)
    run = sample(Job(str(checkpoint), (str(data),), str(out), parameters, engine=EngineSettings(engine="verl")))
    watcher.join(timeout=1)
    assert killed, "the server was to be killed while the run was going on"
    assert [(record["row"], record["sample"]) for record in run.samples()] == [
        (row, number) for row in range(ROWS) for number in range(N)
    ]
    assert run.summary["skipped"] == {} and run.summary["failed_samples"] == 0
    assert len({record["response"] for record in run.samples()}) > ROWS, "every request has its own seed"
    deadline = time.monotonic() + 30
    while left := carrying(str(tmp_path)):
        assert time.monotonic() < deadline, f"Ray and vLLM must end with the run: {left}"
        time.sleep(0.5)
