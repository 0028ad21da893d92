"""The walls around a worker process, each with what happens when it is missing: memory, evaluation, time, parents."""

import json
import os
import signal
import time

import psutil
import pytest

from reward_fns.workers.processes import TIMEOUT, Pool
from reward_fns.workers.worker import LENGTH

VERIFIER = """
import time
from reward_fns import register

@register("wall")
def wall(response, ground_truth):
    if response == "memory":
        block = bytearray(int(ground_truth) * 2**20)
        return len(block) > 0
    if response == "evaluate":
        import sympy
        return bool(sympy.sympify(ground_truth))
    time.sleep(600)
"""


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """One worker with 300 MB, and a verifier that does what it is told in it."""
    monkeypatch.setenv("REWARD_FNS_WORKER_MB", "300")
    (tmp_path / "wall.py").write_text(VERIFIER)
    own = Pool(1)
    yield own
    own.close()


def job(tmp_path, response: str, ground_truth: str = "") -> dict:
    arguments = json.dumps({"response": response, "ground_truth": ground_truth, "params": {}})
    return {"kind": "call", "file": str(tmp_path / "wall.py"), "module": "", "name": "wall", "arguments": arguments}


def test_a_worker_gets_the_memory_it_is_granted_and_no_more(pool, tmp_path):
    assert pool.run(job(tmp_path, "memory", "50"), 30.0) == {"ok": [True]}
    # 900 MB are there on any machine that runs these tests: only the cap stands in the way
    assert pool.run(job(tmp_path, "memory", "900"), 30.0) == TIMEOUT
    assert pool.run(job(tmp_path, "memory", "50"), 30.0) == {"ok": [True]}


@pytest.mark.parametrize("text", ["__import__('os').getpid()", "len('ab')", "(1).__class__"])
def test_sympys_string_evaluator_is_closed(pool, tmp_path, text):
    answer = pool.run(job(tmp_path, "evaluate", text), 30.0)
    assert "text is never evaluated here" in answer["error"]


def started(pool, tmp_path, seconds: float) -> psutil.Process:
    """A worker in the middle of a job of ten minutes, which nobody waits for."""
    worker = pool._fork()
    data = json.dumps({**job(tmp_path, "sleep"), "seconds": seconds}).encode()
    worker.connection.sendall(LENGTH.pack(len(data)) + data)
    time.sleep(0.5)
    process = psutil.Process(worker.process_id)
    assert process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    pool.kept_open = worker.connection  # the worker would also end when this closes
    return process


def ended(process: psutil.Process) -> bool:
    """Whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_the_kernel_ends_a_worker_whose_time_is_over(pool, tmp_path):
    # Nobody kills it: its own timer, deadline and grace of half a second each, does
    assert ended(started(pool, tmp_path, seconds=0.6))


def test_a_worker_in_the_middle_of_a_job_ends_with_the_template(pool, tmp_path):
    process = started(pool, tmp_path, seconds=500.0)
    os.kill(process.ppid(), signal.SIGKILL)
    assert ended(process)
