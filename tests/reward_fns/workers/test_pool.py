"""Worker processes: replaced when they die, capped in memory, own ones after fork and spawn, gone with their parent."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from reward_fns import verify
from reward_fns.workers import pool
from reward_fns.workers import processes as process_pool

sys.path.insert(0, str(Path(__file__).parents[2] / "sampling"))
from chat_server import ChatServer

HARD = ("\\boxed{\\int_0^1 x^2 dx}", "\\frac13")


def workers_of(process_id):
    found = []
    for child in psutil.Process(process_id).children(recursive=True):
        try:
            if "reward_fns.workers.worker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:  # ended, or a zombie
            continue
    return found


def wait_until_gone(processes, seconds):
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_worker_and_a_killed_template_are_replaced():
    assert verify(*HARD).status == "right"
    for child in workers_of(os.getpid()):
        child.kill()
    time.sleep(0.2)
    assert verify("\\boxed{\\int_0^1 x^3 dx}", "\\frac14").status == "right"


def test_memory_is_capped(monkeypatch):
    monkeypatch.setenv("REWARD_FNS_WORKER_MB", "200")
    own = process_pool.Pool(1)
    own.start()
    outcome = own.run({"kind": "math", "gold": "5", "given": "\\begin{pmatrix}1\\end{pmatrix}^{" + "9" * 60 + "}"}, 3.0)
    again = own.run({"kind": "math", "gold": "\\frac12", "given": "\\int_0^1 x dx"}, 20.0)
    own.close()
    assert outcome == process_pool.TIMEOUT or outcome["ok"] != "equal"
    assert again == {"ok": "equal"}


def test_a_timeout_is_tried_again_and_an_answer_is_not(monkeypatch):
    outcomes = iter([process_pool.TIMEOUT, {"ok": "equal"}])
    asked = []

    class Scripted:
        def run(self, job, seconds):
            asked.append(job)
            return next(outcomes)

    monkeypatch.setattr(pool, "shared", Scripted)
    question = ("x_{tried again}", "y_{tried again}", 1.0)
    assert [pool.compare(*question) for _ in range(3)] == [process_pool.TIMEOUT, "equal", "equal"]
    assert len(asked) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forked_and_spawned_processes_have_their_own_pool(method):
    assert verify(*HARD).status == "right"  # the parent's pool runs when the child is made
    with multiprocessing.get_context(method).Pool(1) as children:
        assert children.apply(verify, ("\\boxed{\\int_0^1 x^4 dx}", "\\frac15")).status == "right"
    assert verify("\\boxed{\\int_0^1 x^5 dx}", "\\frac16").status == "right"


PROGRAM = """
import os, sys, threading, time
from reward_fns import verify
print(verify("\\\\boxed{\\\\int_0^1 x dx}", "\\\\frac12").status, flush=True)
if sys.argv[1] == "stuck":
    threading.Thread(target=verify, args=("\\\\boxed{9^{9^{9^8}}!}", "x^2"), kwargs={"deadline": 300.0}, daemon=True).start()
    time.sleep(1.0)
    print("stuck", flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("ending", ["normal", "killed"])
def test_no_process_is_left_behind(ending):
    mode = "stuck" if ending == "killed" else "free"
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline().strip() == "right"
    children = workers_of(parent.pid)
    if ending == "killed":
        assert parent.stdout.readline().strip() == "stuck"
        children = workers_of(parent.pid)
        assert children
        os.kill(parent.pid, signal.SIGKILL)
    parent.wait(timeout=60)
    parent.stdout.close()
    assert not wait_until_gone(children, 8.0)


def test_close_ends_everything_and_the_next_answer_starts_anew():
    assert verify(*HARD).status == "right"
    before = workers_of(os.getpid())
    pool.close()
    assert not wait_until_gone(before, 8.0)
    assert verify("\\boxed{\\int_0^1 x^6 dx}", "\\frac17").status == "right"


def test_a_missing_engine_is_an_error_with_advice(monkeypatch):
    monkeypatch.setattr(process_pool, "_BOOT", "raise SystemExit('no module named math_verify')")
    own = process_pool.Pool(1)
    with pytest.raises(process_pool.PoolError, match="pip install math-verify"):
        own.start()


def test_number_of_workers_is_checked(monkeypatch):
    monkeypatch.setenv("REWARD_FNS_WORKERS", "none")
    with pytest.raises(process_pool.PoolError, match="positive number"):
        process_pool.default_size()
    monkeypatch.setenv("REWARD_FNS_WORKERS", "3")
    assert process_pool.default_size() == 3


def test_a_judge_is_asked_from_inside_a_worker(tmp_path):
    """By an isolated verifier of a user: an event loop, its thread and HTTP in a forked process with a memory cap."""
    (tmp_path / "asks.py").write_text(
        "from reward_fns import register\n"
        "from reward_fns.workers.judge_client import Judge\n"
        "@register('asks', isolated=True)\n"
        "def asks(response, ground_truth, *, url):\n"
        "    return Judge(url, 'm').ask('Q', [ground_truth], response, 20.0)\n"
    )
    with ChatServer(lambda body: "yes") as server:
        arguments = json.dumps({"response": "b", "ground_truth": "a", "params": {"url": server.url}})
        job = {"file": str(tmp_path / "asks.py"), "module": "", "name": "asks", "arguments": arguments}
        assert pool.ask(pool.Job("call", tuple(job.items()), 30.0)) == {"ok": [True]}
    assert len(server.bodies) == 1


def test_scripts_with_the_names_of_libraries_do_no_harm(tmp_path):
    (tmp_path / "math.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "random.py").write_text("raise RuntimeError('shadowed')")
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nhere = sys.path.pop(0)\nfrom reward_fns import verify\nsys.path.insert(0, here)\nprint(verify(r'\\boxed{\\int_0^1 x dx}', r'\\frac12').status)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.stdout.strip() == "right", done.stderr
