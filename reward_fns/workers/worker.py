"""The worker program: compares hard answers with math-verify, in processes that may be killed at any moment.

    main(control_fd)        # in a process that reward_fns/workers/processes.py starts, and nobody else

One *template* process imports sympy and math-verify once and then forks a worker for every socket it is handed; a
replacement for a killed worker is there in milliseconds, and the memory of the libraries is shared. Commands to the
template, one byte each with operands:
    b"F" + one socket   fork a worker that serves this socket; answers with its process id (8 bytes)
    b"K" + id (8 bytes) kill that worker
The template ends with its parent, and every worker ends with the template, even when both are killed without warning.
A worker that is stuck in C code ends by a kernel timer. Jobs are JSON, framed by a 4-byte length; see ``serve``.

Nothing that a model wrote is evaluated: the LaTeX grammar of latex2sympy is used alone, and sympy's string evaluator
is disabled.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from reward_fns.workers.parent import end_with_parent

LENGTH = struct.Struct("<I")
PROCESS_ID = struct.Struct("<q")
GRACE = 0.5
"""Seconds after the deadline at which a worker that nobody killed ends itself."""


# ----------------------------------------------------------------------------------------------------------- template


def template(control: socket.socket) -> None:
    """Fork workers on command until the parent is gone."""
    parent = os.getppid()
    children: set[int] = set()
    control.sendall(b"R")  # ready: everything is imported
    while True:
        readable, _, _ = select.select([control], [], [], 1.0)
        _reap(children)
        if os.getppid() != parent:
            break
        if not readable:
            continue
        try:
            command, fds, _, _ = socket.recv_fds(control, 1, 1)
        except ConnectionError:
            break
        if not command:
            break
        if command == b"F":
            child = os.fork()
            if child == 0:
                control.close()
                connection = socket.socket(fileno=fds[0])
                _become_worker(connection)
                os._exit(0)
            children.add(child)
            os.close(fds[0])
            control.sendall(PROCESS_ID.pack(child))
        elif command == b"K":
            target = PROCESS_ID.unpack(_exactly(control, PROCESS_ID.size))[0]
            if target in children:
                os.kill(target, signal.SIGKILL)
                os.waitpid(target, 0)
                children.discard(target)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _reap(children: set[int]) -> None:
    """Collect workers that ended on their own, so that none stays as a zombie."""
    for child in list(children):
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            children.discard(child)


# ------------------------------------------------------------------------------------------------------------- worker


def _become_worker(connection: socket.socket) -> None:
    """Set limits, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends the pool
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends a worker whose timer runs out, whatever it is doing
    with contextlib.suppress(OSError, AttributeError):  # where Linux does not do it, `serve` looks for the template
        end_with_parent(os.getppid())
    megabytes = int(os.environ.get("REWARD_FNS_WORKER_MB", "1024"))
    limit = _address_space() + megabytes * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(3_000)
    serve(connection)


def _address_space() -> int:
    """Bytes of address space in use now."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**29


def serve(connection: socket.socket) -> None:
    """Answer jobs until the other end closes.

    A job is {"kind": "math", "gold": str, "given": str, "seconds": float} or {"kind": "call", "file": ...,
    "arguments": ...}; the answer is {"ok": outcome} or {"error": text}.
    """
    parent = os.getppid()
    while True:
        readable, _, _ = select.select([connection], [], [], 2.0)
        if not readable:
            if os.getppid() != parent:
                return
            continue
        try:
            size = LENGTH.unpack(_exactly(connection, LENGTH.size))[0]
            job = json.loads(_exactly(connection, size))
        except ConnectionError:
            return
        signal.setitimer(signal.ITIMER_REAL, job["seconds"] + GRACE)
        try:
            answer = {"ok": JOBS[job["kind"]](job)}
        except MemoryError:
            answer = {"error": "memory"}
        except Exception as error:  # a job may fail in any way; the caller learns how and decides
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        data = json.dumps(answer).encode()
        connection.sendall(LENGTH.pack(len(data)) + data)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("closed")
        parts += part
    return bytes(parts)


# --------------------------------------------------------------------------------------------------------------- jobs


def compare(job: Mapping[str, Any]) -> str:
    """equal, different, gold (the gold cannot be read) or given (the response cannot be read)."""
    from math_verify import verify

    gold = _parsed(job["gold"])
    if not gold:
        return "gold"
    if job.get("given") is None:
        return "readable"
    given = _parsed(job["given"])
    if not given:
        return "given"
    return "equal" if verify(list(gold), list(given), timeout_seconds=None) else "different"


@lru_cache(maxsize=256)
def _parsed(latex: str) -> tuple[object, ...]:
    """What latex2sympy makes of ``latex``; its plain-text branch, which evaluates strings, is not used."""
    from math_verify import LatexExtractionConfig, parse

    found = parse(f"${latex}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
    return tuple(item for item in found if not isinstance(item, str))


def call(job: Mapping[str, Any]) -> list[object]:
    """Run a user's own verifier, loaded from where it was registered."""
    function = _loaded(job["file"], job["module"], job["name"])
    arguments = json.loads(job["arguments"])
    outcome = function(arguments["response"], arguments["ground_truth"], **arguments["params"])
    return list(outcome) if isinstance(outcome, tuple) else [outcome]


@lru_cache(maxsize=64)
def _loaded(file: str, module: str, name: str) -> Callable[..., object]:
    """The verifier registered as ``name`` by ``module``, or by ``file`` when it is no importable module."""
    from reward_fns.registry import lookup

    try:
        if not module:
            raise ImportError("loaded by path")
        importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(f"reward_fns_user_{abs(hash(file))}", file)
        if spec is None or spec.loader is None:
            raise ImportError(f"the verifier's file {file} is no Python file") from None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded
        spec.loader.exec_module(loaded)
    return lookup(name).function


WARM_UP = (
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\int_0^1 x^2 dx", r"\frac{1}{3}"),
    (r"\sum_{k=1}^{3} k", "6.0"),
    (r"\{1, \sqrt{2}\}", r"\{\sqrt{2}, 1\}"),
    (r"x^2 + 3x + 2 = 0", "x=-1"),
    (r"1 < x < 2", "(1,2)"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}"),
    (r"\sin(2x)", r"2\sin x\cos x"),
)
"""Compared in the template before the first fork: sympy imports much of itself on first use."""

JOBS: dict[str, Callable[[Mapping[str, Any]], object]] = {"math": compare, "call": call}


_NUMBER = re.compile(r"\s*(Integer|Float)\s*\(\s*'?(\d{0,2000}\.?\d{0,2000}(?:[eE][+-]?\d{1,4})?)'?\s*\)\s*")


def _number_only(code: str, *environment: object, **keywords: object) -> object:
    """Stands in for sympy's string evaluator, which sympy also uses to read "12": numbers are read, anything else is
    refused."""
    from sympy import Float, Integer

    match = _NUMBER.fullmatch(str(code))
    if match is None:
        raise ValueError("text is never evaluated here")
    return Integer(int(match[2])) if match[1] == "Integer" else Float(match[2])


def main(control_fd: int) -> None:
    """Import what jobs need, close the door to string evaluation, become the template."""
    import logging

    import sympy.parsing.sympy_parser as sympy_parser

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    sympy_parser.eval_expr = _number_only
    for gold, given in WARM_UP:
        compare({"gold": gold, "given": given})
    gc.collect()
    gc.freeze()  # sympy's hundred thousand objects are never garbage: no worker looks through them, or copies them
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        template(control)
    except (BrokenPipeError, ConnectionError):  # the parent ended in the middle of a command: so do we
        return
