"""Run a long command under watch: its output goes to a file, its progress is shown, it can neither hang nor leak.

    result = supervise(["python", "-m", "verl.trainer.main_ppo", ...], log=Path("run.log"), limits=Limits(stall_s=600))

    specs watch --log run.log -- python -m verl.trainer.main_ppo +specs=nano_grpo ...

Why it is needed: when a vLLM engine dies while verl sends it new weights, verl's sender waits for ever. The watch ends
a command when an engine process has vanished whose parent lives, when its log says that a worker is dead and a worker
process has vanished indeed (a model may write such words, too), or when neither its log nor its metrics have grown for
`stall_s` seconds. Ray and vLLM start processes that outlive their parent; all of them are ended with the command: at
its end, at Ctrl-C (a second one kills them at once), at SIGTERM and SIGHUP. One log belongs to one watch at a time.
Not here: which processes belong to a command (family.py), what signals do to a watch (signals.py).
"""

import argparse
import fcntl
import math
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from reward_fns.workers.parent import ENDS_WITH_PARENT
from specs_verl.errors import UserError
from specs_verl.pipeline.family import MARK, Family
from specs_verl.pipeline.signals import ending_signals

DEAD_WORKER = (
    b"EngineDeadError",
    b"ActorDiedError",
    b"ActorUnavailableError",
    b"RayActorError",
    b"Invocation of collective_rpc method failed",
    b"OutOfMemoryError",
    b"The actor is dead because",
)
"""What the logs of verl, vLLM and Ray say when a worker is gone for good."""

ENGINE = "VLLM::EngineCore"
"""Title of vLLM's engine process."""

WORKER_PROCESS = ("VLLM::", "ray::")
"""How the titles of worker processes begin. Ray names those without work ray::IDLE; they come and go."""

CENSUS_S = 2.0
"""Seconds between two looks at the processes, which cost more than looks at files."""

MEMORY_PAUSE = 50
"""Adding up shared pages walks every page table and holds up the process: at most one part in 50 of the time."""

CLOSE_S = 60.0
"""A worker that vanishes within so many seconds of a sign in the log is what the sign is about."""


@dataclass(frozen=True)
class Limits:
    """When a command is given up.

    Attributes:
        stall_s: seconds without a new byte in the log or the watched files; a third of them when the log holds the sign
            of a dead worker but every worker process that can be seen is there (the worker may be on another node).
        grace_s: seconds a command may go on after a worker's death, to end by itself with a better message.
        poll_s: seconds between two looks.
    """

    stall_s: float = 900.0
    grace_s: float = 20.0
    poll_s: float = 0.5


@dataclass(frozen=True)
class Finished:
    """How a command ended: `code` 0 for success, `seconds` of wall time, `peak_bytes` resident in all its processes."""

    code: int
    seconds: float
    peak_bytes: int


class CommandFailed(Exception):
    """A supervised command ended with an error, or was ended because a worker died or nothing moved."""

    def __init__(self, reason: str, log: Path, code: int = 1):
        super().__init__(f"{reason}. The end of its log, {log}:\n\n{tail(log)}")
        self.reason = reason
        self.log = log
        self.code = code


@dataclass
class _LogWatch:
    """Reads what a log file has gained and remembers the first sign of a dead worker."""

    path: Path
    offset: int = 0
    sign: str | None = None
    carry: bytes = field(default=b"", repr=False)

    def look(self) -> bool:
        """Whether the log has grown."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return False
        if size <= self.offset:
            return False
        with self.path.open("rb") as file:
            file.seek(self.offset)
            fresh = self.carry + file.read(size - self.offset)
        self.offset = size
        self.carry = fresh[-64:]
        if self.sign is None:
            self.sign = next((sign.decode() for sign in DEAD_WORKER if sign in fresh), None)
        return True


def tail(path: Path, lines: int = 25, width: int = 300) -> str:
    """The last lines of a text file, long lines cut; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200_000))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(line[:width] for line in text.splitlines()[-lines:])


@contextmanager
def _own(log: Path) -> Iterator[IO[str]]:
    """The note beside a log that holds the mark of the run: locked, empty, and removed at the end.

    Whoever ran here before and was killed left its mark in it: its processes are ended first.

    Raises:
        UserError: another watch is at work on this log.
    """
    path = log.with_name(log.name + ".running")
    while True:
        with path.open("a+", encoding="utf-8") as note:
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{log}: another watch writes this log. Wait for it, or choose another --log."
                ) from error
            if not (path.exists() and path.stat().st_ino == os.fstat(note.fileno()).st_ino):
                continue  # removed by its owner between our opening and our locking it
            note.seek(0)
            if left := note.read().strip():
                Family(left).end()
            note.truncate(0)
            try:
                yield note
            finally:
                path.unlink(missing_ok=True)
            return


def supervise(
    command: Sequence[str],
    log: Path,
    limits: Limits | None = None,
    environment: dict[str, str] | None = None,
    watched: Sequence[Path] = (),
    on_poll: Callable[[], None] | None = None,
) -> Finished:
    """Run ``command`` to its end with its output in ``log`` (appended).

    Args:
        command: program and arguments.
        log: text file for standard output and standard error; its folder is made.
        limits: when to give up.
        environment: variables on top of this process's own.
        watched: files whose growth counts as a sign of life, besides the log.
        on_poll: called at every look, for progress bars.

    Raises:
        CommandFailed: the command failed or was given up; the message ends with the end of the log.
    """
    limits = limits or Limits()
    if shutil.which(command[0]) is None:
        raise UserError(f"There is no program {command[0]!r} to run.")
    log.parent.mkdir(parents=True, exist_ok=True)
    family = Family(uuid.uuid4().hex)
    variables = {**os.environ, **(environment or {}), MARK: family.mark, "PYTHONUNBUFFERED": "1"}
    with _own(log) as note:
        note.write(family.mark)
        note.flush()
        watch = _LogWatch(log, offset=log.stat().st_size if log.exists() else 0)
        started = time.monotonic()
        with log.open("ab") as output, ending_signals() as signals:
            process = None
            try:
                process = subprocess.Popen(
                    [*ENDS_WITH_PARENT, str(os.getpid()), *command],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=variables,
                    start_new_session=True,
                )
                peak = _wait(process, watch, watched, limits, on_poll, family, log)
            finally:
                signals.hold()  # from here on a signal only hurries us
                family.end(hurry=signals.came)
                if process is not None:
                    process.wait()
    if process.returncode != 0:
        raise CommandFailed(f"{_name(command)} ended with exit code {process.returncode}", log, process.returncode)
    return Finished(process.returncode, time.monotonic() - started, peak)


def _wait(
    process: subprocess.Popen[bytes],
    watch: _LogWatch,
    watched: Sequence[Path],
    limits: Limits,
    on_poll: Callable[[], None] | None,
    family: Family,
    log: Path,
) -> int:
    """Wait for the end of the process, within the limits; returns the peak of the resident memory in bytes."""
    peak = 0
    alive_at = time.monotonic()
    sign_at: float | None = None
    vanished_at: float | None = None
    workers: dict[int, tuple[str, int]] = {}
    engine_gone = False
    sizes = [_size(path) for path in watched]
    last_census = memory_due = -math.inf
    while process.poll() is None:
        time.sleep(limits.poll_s)
        now = time.monotonic()
        grown = watch.look()
        new_sizes = [_size(path) for path in watched]
        if grown or new_sizes != sizes:
            alive_at, sizes = now, new_sizes
        if watch.sign and sign_at is None:
            sign_at = now
        if now - last_census >= min(CENSUS_S, limits.grace_s):
            last_census = now
            processes = family.members()
            if now >= memory_due:
                peak = max(peak, _resident(processes))
                memory_due = now + MEMORY_PAUSE * (time.monotonic() - now)
            looks = {process.pid: (_title(process), _parent(process)) for process in processes}
            seen = {pid: (title, parent) for pid, (title, parent) in looks.items() if title}
            gone = [(title, parent) for pid, (title, parent) in workers.items() if pid not in seen]
            # At the orderly end of a run an engine goes with the process that started it.
            engine_gone = engine_gone or any(title.startswith(ENGINE) and parent in seen for title, parent in gone)
            vanished_at = now if gone else vanished_at
            workers = {pid: (title, parent) for pid, (title, parent) in seen.items() if _is_worker(title)}
        if on_poll:
            on_poll()
        certain_at = _worker_died_at(sign_at, vanished_at, engine_gone)
        if certain_at is not None and now - certain_at > limits.grace_s:
            raise CommandFailed(f"A worker died ({watch.sign or 'a vLLM engine process has vanished'})", log)
        patience = limits.stall_s if sign_at is None else limits.stall_s / 3
        if now - alive_at > patience:
            said = f", and its log says {watch.sign}" if watch.sign else ""
            raise CommandFailed(f"Nothing has moved for {patience:.0f} s{said}", log)
    return peak


def _worker_died_at(sign_at: float | None, vanished_at: float | None, engine_gone: bool) -> float | None:
    """Since when a worker is dead for certain, or None: words in a log are no proof without a missing process."""
    if vanished_at is None:
        return None
    if engine_gone:
        return vanished_at
    if sign_at is not None and abs(sign_at - vanished_at) <= CLOSE_S:
        return max(sign_at, vanished_at)
    return None


def _is_worker(title: str) -> bool:
    return title.startswith(WORKER_PROCESS) and not title.startswith("ray::IDLE")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _resident(processes: Sequence[psutil.Process]) -> int:
    """Resident bytes of the processes, pages shared among them counted once (proportional set size where readable)."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError, ProcessLookupError):
            continue
    return total


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def _title(process: psutil.Process) -> str:
    """What a process calls itself; nothing once it has ended, even if its parent has not noticed: a dead engine that
    was still counted, under the short name that is left of it, would be missed when it is gone."""
    try:
        words, name = process.cmdline(), process.name()  # the first has no answer for a process that has ended
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
    return name if name.startswith(WORKER_PROCESS) else "".join(words[:1])


def _name(command: Sequence[str]) -> str:
    """How to name a command in a message: the module of `python -m MODULE`, else the program."""
    return command[command.index("-m") + 1] if "-m" in command else Path(command[0]).name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs watch`."""
    parser.add_argument(
        "--log", type=Path, default=Path("run.log"), help="file for the command's output (default: run.log)"
    )
    parser.add_argument(
        "--stall", type=float, default=900.0, metavar="SECONDS", help="give up after so long without a sign of life"
    )
    parser.add_argument("--show", action="store_true", help="also copy the log to the terminal")
    parser.add_argument("command", nargs="+", help="the command to run, after --")


def run(args: argparse.Namespace) -> int:
    """`specs watch`: run a command under watch; exit code 0, or 1 when it failed or was given up."""
    shown = args.log.stat().st_size if args.log.exists() else 0

    def show() -> None:
        nonlocal shown
        with args.log.open("rb") as file:
            file.seek(shown)
            fresh = file.read()
        shown += len(fresh)
        sys.stdout.buffer.write(fresh)
        sys.stdout.flush()

    try:
        supervise(args.command, args.log, Limits(stall_s=args.stall), on_poll=show if args.show else None)
    except CommandFailed as error:
        print(f"specs watch: {error}", file=sys.stderr)
        return 1
    return 0
