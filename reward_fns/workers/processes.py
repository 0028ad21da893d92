"""Killable worker processes with one total deadline per job.

    answer = Pool(size=2).run({"kind": "math", "gold": "x", "given": "y"}, seconds=5.0)      # a dict, or TIMEOUT

A job that has used up its slice while fresh ones wait gives way: its worker is killed, and the job waits after the
fresh ones for the rest of its time. So a hostile answer costs its deadline once, and honest answers wait for slices,
not for deadlines. A worker that dies, from its memory cap for instance, is replaced. Safe for threads.

Not here: the pool of this process and what is asked of it (pool.py), what a job does (worker.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from reward_fns.workers.worker import LENGTH, PROCESS_ID

SLICE = 0.2
"""Processor seconds after which a job has to give way to fresh ones; four times as much at each further attempt."""

STARVED = 10
"""A job that gets no processor gives way after this many times its slice in wall time."""

REPLACING = 0.02
"""Seconds of a job's deadline that are kept for ending its worker and starting another."""

START_SECONDS = 120.0
"""How long the template process may take to import its libraries on a busy machine; not part of any deadline."""

Job = Mapping[str, str | None]
"""What a worker is asked, as JSON; see worker.serve."""

Answer = dict[str, Any]
"""JSON from a worker: ``ok`` with the outcome, or ``error`` with what went wrong."""

TIMEOUT = "timeout"
"""Outcome of a job that used up its deadline or its memory."""

_BOOT = (
    "import json, sys; sys.path += [path for path in json.loads(sys.argv[2]) if path not in sys.path]; "
    "from reward_fns.workers.worker import main; main(int(sys.argv[1]))"
)
"""Starts the template in isolated mode, our own paths last: a file math.py beside the user's script must not shadow a
library's import."""


class PoolError(RuntimeError):
    """The worker processes cannot be started or a job cannot be run: an installation fault, not the fault of an
    answer."""


class _Worker:
    """One worker process and the socket it serves."""

    def __init__(self, connection: socket.socket, process_id: int) -> None:
        self.connection = connection
        self.process_id = process_id

    def ask(self, job: Job, seconds: float, gives_way: Callable[[float], bool]) -> Answer | None:
        """The answer, None when it does not come in time or the job has to give way. ConnectionError when the worker
        is dead.

        Args:
            seconds: wall time that the job has left.
            gives_way: asked now and then with the processor seconds that the job has used so far.
        """
        end = monotonic() + seconds
        before = processor_seconds(self.process_id)
        data = json.dumps({**job, "seconds": seconds}).encode()
        self.connection.settimeout(seconds)
        try:
            self.connection.sendall(LENGTH.pack(len(data)) + data)
        except TimeoutError:
            return None
        received = bytearray()
        while True:
            left = end - monotonic()
            if left <= 0:
                return None
            self.connection.settimeout(min(left, SLICE / 2))
            try:
                part = self.connection.recv(1 << 16)
            except TimeoutError:
                if gives_way(processor_seconds(self.process_id) - before):
                    return None
                continue
            if not part:
                raise ConnectionResetError("worker ended")
            received += part
            if len(received) >= LENGTH.size:
                size = LENGTH.unpack(received[: LENGTH.size])[0]
                if len(received) >= LENGTH.size + size:
                    answer: Answer = json.loads(received[LENGTH.size :])
                    return answer


def processor_seconds(process_id: int) -> float:
    """Processor time of a process. A slice is measured in it, so that a busy machine does not take honest answers for
    endless ones."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except OSError:  # no /proc: wall time does
        return monotonic()


_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Pool:
    """The workers of one process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._alive = 0
        self._fresh_waiting = 0
        self._control: socket.socket | None = None
        self._template: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    # ----------------------------------------------------------------------------------------------------------------
    # jobs

    def run(self, job: Job, seconds: float) -> Answer | str:
        """The answer of a worker to ``job`` or TIMEOUT."""
        used = min(REPLACING, seconds / 10)
        attempt = failures = 0
        while used < seconds:
            worker = self._acquire(fresh=attempt == 0)
            started = monotonic()
            answer: Answer | None = None
            usable = False
            try:
                allowed = SLICE * 4**attempt
                answer = worker.ask(job, seconds - used, partial(self._gives_way, allowed, started))
                usable = answer is not None
            except (ConnectionError, BrokenPipeError, ValueError):
                failures += 1
                if failures > 2:  # ends every worker that touches it: memory or a crash in C code
                    return TIMEOUT
            finally:  # also on KeyboardInterrupt and the like: a worker with an unread answer is never used again
                self._release(worker, usable)
            used += monotonic() - started
            if answer is not None:
                return TIMEOUT if answer.get("error") == "memory" else answer
            attempt += 1
        return TIMEOUT

    def _gives_way(self, allowed: float, started: float, processor: float) -> bool:
        """Whether a job that has used ``processor`` seconds since ``started`` must leave its worker to a fresh one."""
        return self._fresh_waiting > 0 and (processor >= allowed or monotonic() - started >= STARVED * allowed)

    def _acquire(self, fresh: bool) -> _Worker:
        """An idle worker, a new one while there is room; fresh jobs go first."""
        with self._changed:
            if fresh:
                self._fresh_waiting += 1
            try:
                while not (self._idle or self._alive < self.size) or (not fresh and self._fresh_waiting):
                    self._changed.wait()
                if self._idle:
                    return self._idle.pop()
                self._alive += 1
            finally:
                if fresh:
                    self._fresh_waiting -= 1
                    self._changed.notify_all()
        try:
            return self._fork()
        except BaseException:
            with self._changed:
                self._alive -= 1
                self._changed.notify_all()
            raise

    def _release(self, worker: _Worker, usable: bool) -> None:
        if not usable:
            self._kill(worker)
        with self._changed:
            if usable:
                self._idle.append(worker)
            else:
                self._alive -= 1
            self._changed.notify_all()

    # -----------------------------------------------------------------------------------------------------------
    # processes

    def start(self) -> None:
        """Start the template process, when it does not run."""
        with self._starting:
            if self._template is not None and self._template.poll() is None:
                return
            ours, theirs = socket.socketpair()
            paths = json.dumps([os.path.abspath(path) for path in sys.path])
            try:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _BOOT, str(theirs.fileno()), paths],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
            finally:
                theirs.close()
            ours.settimeout(START_SECONDS)
            try:
                ready = ours.recv(1)
            except TimeoutError:
                ready = b""
            if ready != b"R":
                process.kill()
                _, errors = process.communicate()
                reason = errors.decode(errors="replace").strip().splitlines()[-1:]
                raise PoolError(
                    f"the worker process for symbolic mathematics did not start ({' '.join(reason) or 'no message'}). "
                    "Try `python -c 'import math_verify'`; install it with pip install math-verify."
                )
            if process.stderr is not None:
                process.stderr.close()
            if self._control is not None:
                self._control.close()
            self._template, self._control = process, ours

    def _fork(self) -> _Worker:
        for attempt in range(2):
            self.start()
            ours, theirs = socket.socketpair()
            try:
                with self._starting:
                    if self._control is None:
                        raise ConnectionResetError("the pool was closed")
                    socket.send_fds(self._control, [b"F"], [theirs.fileno()])
                    answer = self._control.recv(PROCESS_ID.size, socket.MSG_WAITALL)
                if len(answer) < PROCESS_ID.size:
                    raise ConnectionResetError("the template process ended")
                return _Worker(ours, PROCESS_ID.unpack(answer)[0])
            except (OSError, ValueError) as error:  # the template was killed from outside: once more with a new one
                ours.close()
                if self._template is not None:
                    self._template.kill()
                    self._template.wait()
                if attempt:
                    raise PoolError(f"no worker process could be forked: {error}") from error
            finally:
                theirs.close()
        raise PoolError("no worker process could be forked")

    def _kill(self, worker: _Worker) -> None:
        worker.connection.close()
        with self._starting, contextlib.suppress(OSError):
            if self._control is not None:
                self._control.sendall(b"K" + PROCESS_ID.pack(worker.process_id))

    def close(self) -> None:
        """End all processes of the pool."""
        with self._starting:
            for worker in self._idle:
                worker.connection.close()
            self._idle.clear()
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._template is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._template.wait(timeout=3)
                if self._template.poll() is None:
                    self._template.kill()
                    self._template.wait()
                self._template = None

    def forget(self) -> None:
        """In a forked child: drop the parent's sockets without a word to its workers."""
        for worker in self._idle:
            worker.connection.close()
        if self._control is not None:
            self._control.close()
        if self._template is not None:
            self._template.returncode = 0  # not our child: keep subprocess from waiting for it


def default_size() -> int:
    """Worker processes: REWARD_FNS_WORKERS, else the usable cores up to 16."""
    asked = os.environ.get("REWARD_FNS_WORKERS")
    if asked:
        if not asked.isdigit() or int(asked) < 1:
            raise PoolError(f"REWARD_FNS_WORKERS must be a positive number, got {asked!r}")
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)
