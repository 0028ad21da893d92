"""The processes that a command has started, whatever has become of their parents, their titles or their environment.

    family = Family(mark)            # of a command started in a session of its own, with MARK=mark in its environment
    family.members()                 -> those that are alive, as psutil processes
    family.end(patience_s=5.0)       asks them to end, then kills them

Children inherit the environment variable, also those that outlive their parent, as Ray's do. A process that sets its
title, as vLLM's engine does, overwrites its environment: it is found as a descendant or in the session of one that is
found, and remembered once it was seen. Not here: when to end them (watch.py).
"""

import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil

MARK = "SPECS_SUPERVISED_RUN"
"""Environment variable by which the processes of one supervised command are found again."""

KILLING_ROUNDS = 10
"""A process that forks while it is killed needs another round."""


class Family:
    """All processes of one command.

    Args:
        mark: value of the environment variable.
        variable: its name.
    """

    def __init__(self, mark: str, variable: str = MARK) -> None:
        self.mark = mark
        self.variable = variable
        self._seen: dict[int, psutil.Process] = {}

    def members(self) -> list[psutil.Process]:
        """Those that are alive, by process id; never the caller or a process that it descends from."""
        alive = {process.pid: process for process in psutil.process_iter() if _is_alive(process)}
        parents = {pid: _parent(process) for pid, process in alive.items()}
        outside = _line_of(os.getpid(), parents)
        known = {pid for pid, process in self._seen.items() if alive.get(pid) == process}
        known |= {pid for pid, process in alive.items() if self._is_marked(process)}
        sessions = {pid: _session(pid) for pid in alive}
        of_the_caller = os.getsid(0)
        while True:
            own = {sessions[pid] for pid in known} - {None, of_the_caller}
            led = {session for session in own if session in known or session not in alive}
            found = {pid for pid in alive if pid in known or parents[pid] in known or sessions[pid] in led} - outside
            if found <= known:
                break
            known |= found
        self._seen = {pid: alive[pid] for pid in sorted(known - outside)}
        return list(self._seen.values())

    def end(self, patience_s: float = 5.0, hurry: Callable[[], bool] = lambda: False) -> None:
        """End every process: asked first, killed after ``patience_s`` seconds or as soon as ``hurry``."""
        _send(self.members(), signal.SIGTERM)
        until = time.monotonic() + patience_s
        while self.members() and time.monotonic() < until and not hurry():
            time.sleep(0.1)
        for _ in range(KILLING_ROUNDS):
            left = self.members()
            if not left:
                return
            _send(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=1.0)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(self.variable) == self.mark)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _line_of(pid: int, parents: dict[int, int | None]) -> set[int]:
    """A process and those that it descends from."""
    line: set[int] = set()
    at: int | None = pid
    while at is not None and at not in line:
        line.add(at)
        at = parents.get(at)
    return line


def _send(processes: Iterable[psutil.Process], signal_number: int) -> None:
    for process in processes:
        try:
            process.send_signal(signal_number)
        except psutil.NoSuchProcess:
            continue
