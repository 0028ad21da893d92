"""The processes of a command are found whatever they do to their environment, their parents and their sessions."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from specs_verl.pipeline.family import MARK, Family
from specs_verl.pipeline.watch import CommandFailed, Limits, supervise

# What the command starts: its own process id and that of a child follow on one line of its output.
CHILD = "import time; time.sleep(600)"
TITLED = "import setproctitle, time; setproctitle.setproctitle('VLLM::EngineCore ' + 'x' * 5000); time.sleep(600)"


def command(child: str, then: str = "time.sleep(600)", **options: object) -> str:
    settings = "".join(f", {key}={value!r}" for key, value in options.items())
    return f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}]{settings})
print(os.getpid(), child.pid, flush=True)
{then}
"""


@pytest.fixture
def started():
    """Starts a command as `supervise` does; returns its family and the process ids that it prints."""
    families = []

    def start(code: str) -> tuple[Family, list[int]]:
        family = Family(f"specs-test-{os.getpid()}-{len(families)}")
        families.append(family)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, MARK: family.mark},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        line = process.stdout.readline()
        process.stdout.close()
        return family, [int(word) for word in line.split()]

    yield start
    for family in families:
        family.end(hurry=lambda: True)
        assert family.members() == []


def marked(pid: int, family: Family) -> bool:
    return psutil.Process(pid).environ().get(MARK) == family.mark


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def pids(family: Family) -> set[int]:
    return {process.pid for process in family.members()}


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_child_that_overwrites_its_environment_is_found_through_its_parent(started):
    family, (parent, child) = started(command(TITLED))
    wait_for(lambda: psutil.Process(child).name().startswith("VLLM::Engine"))
    assert not marked(child, family)  # what is to be survived: the title lies where the mark was
    assert pids(family) == {parent, child}


def test_so_are_its_own_children_in_sessions_of_their_own(started):
    grandchild = command(CHILD, start_new_session=True, env={})
    code = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {grandchild!r}], env={{}}, stdout=subprocess.PIPE)
print(os.getpid(), *map(int, child.stdout.readline().split()), flush=True)
child.wait()
"""
    family, line = started(code)
    assert [marked(pid, family) for pid in line] == [True, False, False]
    assert pids(family) == set(line)


def test_an_orphan_without_a_mark_is_found_in_the_session_of_the_command(started):
    # The command has ended, and is nobody's parent; a marked brother of the orphan is in the same session.
    brother = f"subprocess.Popen([sys.executable, '-c', {CHILD!r}])"
    family, (parent, child) = started(command(CHILD, brother, env={}))
    wait_for(lambda: has_ended(parent))  # not asked of the family, which would remember the child of a living parent
    assert not marked(child, family)
    found = pids(family)
    assert child in found and len(found) == 2


def test_an_orphan_is_remembered_once_it_was_seen(started):
    family, (parent, child) = started(command(CHILD, start_new_session=True, env={}))
    assert pids(family) == {parent, child}
    psutil.Process(parent).kill()
    wait_for(lambda: pids(family) == {child})


def test_the_caller_its_ancestors_and_its_session_are_no_members(monkeypatch):
    # A marked process in the session of the caller: only it is a member, not what runs beside it.
    family = Family(f"specs-test-{os.getpid()}-own")
    process = subprocess.Popen([sys.executable, "-c", CHILD], env={**os.environ, MARK: family.mark})
    bystander = subprocess.Popen([sys.executable, "-c", CHILD])
    try:
        assert pids(family) == {process.pid}
        family.end()
        assert process.wait(timeout=10) != 0 and bystander.poll() is None
    finally:
        for one in (process, bystander):
            one.kill()
            one.wait()


def test_the_death_of_an_engine_that_set_its_title_ends_a_command_that_would_hang(tmp_path):
    log = tmp_path / "log.txt"
    looks = 0

    def kill_what_was_seen():
        """Twenty looks after it has its title: one of them was at the processes."""
        nonlocal looks
        pids = [int(word) for word in log.read_text().split()]
        if pids and psutil.pid_exists(pids[1]) and psutil.Process(pids[1]).name().startswith("VLLM::Engine"):
            looks += 1
            if looks == 20:
                os.kill(pids[1], signal.SIGKILL)

    with pytest.raises(CommandFailed, match="engine process has vanished"):
        limits = Limits(stall_s=60, grace_s=0.2, poll_s=0.05)
        supervise([sys.executable, "-c", command(TITLED)], log, limits, on_poll=kill_what_was_seen)


def test_an_engine_that_goes_with_its_parent_ends_nothing(tmp_path):
    # as at the end of sampling, after which a command may go on for long
    ends = "import os; from reward_fns.workers.parent import end_with_parent; end_with_parent(os.getppid()); "
    worker = command(ends + TITLED, "time.sleep(2)")
    code = f"""
import subprocess, sys, time
subprocess.run([sys.executable, "-c", {worker!r}])
time.sleep(2)
"""
    limits = Limits(stall_s=60, grace_s=0.2, poll_s=0.05)
    assert supervise([sys.executable, "-c", code], tmp_path / "log.txt", limits).code == 0
