"""Supervised commands: they end, they leave nothing behind, and their failures say why."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from specs_verl.errors import UserError
from specs_verl.pipeline import watch as module
from specs_verl.pipeline.family import MARK, Family
from specs_verl.pipeline.watch import CommandFailed, Limits, supervise, tail

QUICK = Limits(stall_s=60, grace_s=1, poll_s=0.05)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_that_succeeds(tmp_path):
    finished = supervise(python("print('hello')"), tmp_path / "logs" / "log.txt", QUICK)
    assert finished.code == 0
    assert (tmp_path / "logs" / "log.txt").read_text() == "hello\n"


def test_a_command_that_fails_shows_the_end_of_its_log(tmp_path):
    with pytest.raises(CommandFailed, match=r"(?s)exit code 3.*the reason"):
        supervise(python("import sys; print('the reason'); sys.exit(3)"), tmp_path / "log.txt", QUICK)


def test_a_program_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="no-such-program"):
        supervise(["no-such-program"], tmp_path / "log.txt", QUICK)


def test_a_hanging_command_is_given_up_after_the_stall_limit(tmp_path):
    with pytest.raises(CommandFailed, match="Nothing has moved for 1 s"):
        supervise(python("import time; time.sleep(600)"), tmp_path / "log.txt", Limits(stall_s=1, poll_s=0.05))


def test_a_growing_watched_file_is_a_sign_of_life(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    code = f"""
import time
for step in range(24):
    open({str(metrics)!r}, "a").write("x")
    time.sleep(0.25)
"""
    limits = Limits(stall_s=4, poll_s=0.05)
    # 24 x 0.25 s = 6 s of silence in the log; the limit leaves room for a slow start of Python
    assert supervise(python(code), tmp_path / "log.txt", limits, watched=[metrics]).code == 0
    with pytest.raises(CommandFailed, match="Nothing has moved"):
        supervise(python(code), tmp_path / "log.txt", limits)


WORKER = """
import subprocess, sys, time
worker = subprocess.Popen(["ray::Worker", "-c", "import time; time.sleep({lives})"], executable=sys.executable)
print({text!r}, flush=True)
time.sleep({then})
"""


@pytest.mark.parametrize("sign", [sign.decode() for sign in module.DEAD_WORKER])
def test_a_dead_worker_ends_a_command_that_would_hang(tmp_path, sign):
    code = WORKER.format(lives=3.0, text=f"noise ... {sign}: engine core", then=120)  # seen even on a busy machine
    with pytest.raises(CommandFailed, match=rf"A worker died \({sign}"):
        supervise(python(code), tmp_path / "log.txt", QUICK)


def test_words_about_dead_workers_end_nothing_while_all_workers_live(tmp_path):
    # What a model wrote, printed by the trainer; the worker is there to the end.
    text = "[response] the loop raises torch.OutOfMemoryError: EngineDeadError, The actor is dead because"
    code = WORKER.format(lives=20, text=text, then=3.0) + "worker.kill()"
    limits = Limits(stall_s=60, grace_s=0.2, poll_s=0.05)
    assert supervise(python(code), tmp_path / "log.txt", limits).code == 0


def test_such_words_shorten_the_patience_with_a_command_that_stands_still(tmp_path):
    # The worker may have died on another node: a third of the limit, 2 s of 6
    code = WORKER.format(lives=100, text="ActorDiedError", then=100)
    with pytest.raises(CommandFailed, match="Nothing has moved for 2 s, and its log says ActorDiedError"):
        supervise(python(code), tmp_path / "log.txt", Limits(stall_s=6, grace_s=0.2, poll_s=0.05))


@pytest.mark.parametrize(
    ("sign_at", "vanished_at", "engine_gone", "expected"),
    [
        (None, None, False, None),
        (5.0, None, False, None),
        (None, 5.0, False, None),
        (None, 5.0, True, 5.0),
        (5.0, 8.0, False, 8.0),
        (8.0, 5.0, False, 8.0),
        (500.0, 5.0, False, None),  # long before: a worker that had done its work
    ],
)
def test_when_a_death_is_certain(sign_at, vanished_at, engine_gone, expected):
    assert module._worker_died_at(sign_at, vanished_at, engine_gone) == expected


def test_a_vanished_engine_process_ends_a_command_that_says_nothing(tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    lives = f"import os, time\nwhile not os.path.exists({str(seen)!r}): time.sleep(0.05)"
    code = f"""
import subprocess, sys, time
engine = subprocess.Popen(["VLLM::EngineCore", "-c", {lives!r}], executable=sys.executable)
engine.wait()
time.sleep(600)
"""
    title_of = module._title

    def title(process):
        found = title_of(process)
        if found.startswith(module.ENGINE):
            seen.touch()  # it ends as soon as the watch knows of it
        return found

    monkeypatch.setattr(module, "_title", title)
    with pytest.raises(CommandFailed, match="engine process has vanished"):
        supervise(python(code), tmp_path / "log.txt", Limits(stall_s=60, grace_s=0.2, poll_s=0.05))


def test_an_engine_that_dies_while_the_watch_looks_is_missed_by_no_look(tmp_path, monkeypatch):
    code = """
import subprocess, sys, time
titled = "import setproctitle, time; setproctitle.setproctitle('VLLM::EngineCore'); time.sleep(600)"
engine = subprocess.Popen([sys.executable, "-c", titled])
time.sleep(600)
"""
    known: list[int] = []

    def resident(processes):  # called after the processes were listed, before their titles are read
        for process in processes:
            if process.name().startswith(module.ENGINE):
                known.append(process.pid)
                if len(known) == 3:
                    process.kill()
                    while process.status() != psutil.STATUS_ZOMBIE:
                        time.sleep(0.01)
        return 0

    monkeypatch.setattr(module, "_resident", resident)
    monkeypatch.setattr(module, "MEMORY_PAUSE", 0)
    with pytest.raises(CommandFailed, match="engine process has vanished"):
        supervise(python(code), tmp_path / "log.txt", Limits(stall_s=60, grace_s=0.2, poll_s=0.05))


def test_processes_that_left_the_session_are_ended_too(tmp_path):
    code = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
"""
    supervise(python(code), tmp_path / "log.txt", QUICK)
    orphan = int((tmp_path / "log.txt").read_text())
    assert gone(orphan, within_s=5)


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def watching(tmp_path):
    """A watch in a process of its own; returns it and the processes it watches, once they are there."""
    started: list[subprocess.Popen] = []
    watched: list[int] = []

    def start(command: str, log: str = "log.txt") -> tuple[subprocess.Popen, list[int]]:
        code = f"""
import signal
from pathlib import Path
from specs_verl.pipeline.watch import supervise
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with interrupts ignored,
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup with hang-ups ignored
supervise([{sys.executable!r}, "-c", {command!r}], Path({log!r}))
"""
        process = subprocess.Popen(python(code), cwd=tmp_path, stderr=subprocess.DEVNULL)
        started.append(process)
        until = time.monotonic() + 60
        while not ((tmp_path / log).exists() and (tmp_path / log).read_text().endswith("\n")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        pids = [int(word) for word in (tmp_path / log).read_text().split()]
        watched.extend(pids)
        return process, pids

    yield start
    for process in started:
        process.kill()
        process.wait()
    for pid in watched:  # also where a test has failed: nothing outlives it
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1)]
)
def test_a_signal_to_the_watch_ends_even_a_command_that_ignores_signals(watching, tmp_path, number, code):
    process, watched = watching(STUBBORN)
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert all(gone(pid, within_s=5) for pid in watched)
    assert not (tmp_path / "log.txt.running").exists()


def test_more_interrupts_do_not_cut_the_clean_up_short(watching):
    process, watched = watching(STUBBORN)
    for _ in range(5):  # the first ends the wait, the others come during the clean-up
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    process.wait(timeout=60)
    assert all(gone(pid, within_s=5) for pid in watched)


def test_hurry_does_not_wait_for_those_that_ignore_a_signal(tmp_path):
    mark = "specs-test-hurry"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(python(code), env={**os.environ, MARK: mark}, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    Family(mark).end(patience_s=3600, hurry=lambda: True)  # an hour if it did not hurry
    assert gone(process.pid, within_s=5)
    process.stdout.close()


def test_a_second_watch_on_a_log_is_refused_and_leaves_the_first_alone(watching, tmp_path):
    process, watched = watching(STUBBORN)
    with pytest.raises(UserError, match="another watch writes this log"):
        supervise(python("pass"), tmp_path / "log.txt", QUICK)
    assert process.poll() is None and not any(gone(pid, within_s=0) for pid in watched)
    assert supervise(python("pass"), tmp_path / "other.txt", QUICK).code == 0


def test_a_killed_supervisor_takes_its_command_along_and_the_next_run_ends_the_rest(tmp_path):
    # The command starts a process in a session of its own, which no signal to the command reaches.
    code = f"""
from pathlib import Path
from specs_verl.pipeline.watch import supervise
command = '''
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
'''
supervise([{sys.executable!r}, "-c", command], Path("log.txt"))
"""
    supervisor = subprocess.Popen(python(code), cwd=tmp_path)
    log = tmp_path / "log.txt"
    until = time.monotonic() + 60
    while not (log.exists() and log.read_text().strip()):
        assert time.monotonic() < until
        time.sleep(0.05)
    supervisor.kill()
    supervisor.wait()
    command, grandchild = map(int, log.read_text().split())
    assert gone(command, within_s=10)
    assert not gone(grandchild, within_s=0)
    supervise(python("pass"), log, QUICK)
    assert gone(grandchild, within_s=10)


def gone(pid: int, within_s: float) -> bool:
    """Whether the process has ended, or ends in time."""
    until = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_an_old_log_is_appended_to_and_its_old_errors_are_not_read_again(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("EngineDeadError of the last attempt\n")
    # a worker of this attempt ends in its time: with the old words it would be the one that died
    code = WORKER.format(lives=1.0, text="training", then=3.0)
    assert supervise(python(code), log, Limits(grace_s=0.1, poll_s=0.05)).code == 0
    assert log.read_text().startswith("EngineDeadError of the last")


def test_adding_up_memory_takes_a_fiftieth_of_the_time_at_most(tmp_path, monkeypatch):
    asked = []

    def slow(processes):
        asked.append(len(processes))
        time.sleep(0.2)  # so that the next is due after 0.2 * 50 = 10 seconds
        return 7

    monkeypatch.setattr(module, "_resident", slow)
    limits = Limits(poll_s=0.05, grace_s=0.1)
    finished = supervise(python("import time; time.sleep(1.5)"), tmp_path / "log.txt", limits)
    assert len(asked) == 1 and finished.peak_bytes == 7


def test_peak_memory_counts_the_children(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_PAUSE", 0)  # the block lives for three seconds only
    # 200 MB in a child process, touched page by page
    code = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; block = bytearray(200_000_000); time.sleep(3)"])
"""
    finished = supervise(python(code), tmp_path / "log.txt", QUICK)
    assert 200e6 < finished.peak_bytes < 400e6


def test_tail_cuts_long_lines_and_survives_bad_bytes(tmp_path):
    file = tmp_path / "log.txt"
    file.write_bytes(b"\xff\xfe broken\n" + b"x" * 1000 + b"\n")
    first, second = tail(file, width=10).splitlines()
    assert first.endswith("broken"[: 10 - 3]) and len(second) == 10
    assert tail(tmp_path / "missing") == ""


def test_the_mark_is_not_inherited_from_an_outer_run(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "outer")
    supervise(python(f"import os; print(os.environ[{MARK!r}])"), tmp_path / "log.txt", QUICK)
    assert (tmp_path / "log.txt").read_text().strip() != "outer"
    assert os.environ[MARK] == "outer"
