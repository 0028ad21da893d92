"""The pool of this process: hard comparisons, remembered, in worker processes that may be killed.

    outcome = compare(gold=r"\\int_0^1 x dx", given="1/2", seconds=5.0)        # "equal", "different", ..., or TIMEOUT

``compare`` may be called from any thread, from asyncio (through a thread), in Ray actors, and in forked or spawned
processes: every process gets its own pool when it first needs one, and the pool's processes end with it.

Settings, from the environment: REWARD_FNS_WORKERS (processes, default: usable cores, at most 16),
REWARD_FNS_WORKER_MB (memory above the libraries, default 1024). Not here: processes and deadlines (processes.py).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import NamedTuple

from reward_fns.workers.processes import TIMEOUT, Answer, Pool, default_size

REMEMBERED = 4_096
"""Outcomes kept: the samples of a group often state the same answer."""


class Job(NamedTuple):
    """What a worker is asked: hashable, so that it is asked once."""

    kind: str
    fields: tuple[tuple[str, str | None], ...]
    seconds: float

    def as_dict(self) -> dict[str, str | None]:
        return {"kind": self.kind, **dict(self.fields)}


_guard = threading.Lock()
_pool: Pool | None = None
_outcomes: OrderedDict[Job, Answer | str] = OrderedDict()


def shared() -> Pool:
    """This process's pool, made when first needed."""
    global _pool
    with _guard:
        if _pool is None:
            _pool = Pool(default_size())
            atexit.register(close)
        return _pool


def warm_up() -> None:
    """Start the template process now, so that the first hard answer does not wait for imports."""
    shared().start()


def close() -> None:
    """End the pool of this process; the next job starts a new one."""
    global _pool
    with _guard:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


def _forget_in_child() -> None:
    global _guard, _pool
    pool, _pool = _pool, None
    _guard = threading.Lock()
    if pool is not None:
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def compare(gold: str, given: str | None, seconds: float) -> str:
    """What math-verify says: equal, different, gold or given (that side cannot be read), readable (``given`` is None),
    TIMEOUT."""
    answer = ask(Job("math", (("gold", gold), ("given", given)), seconds))
    return answer if isinstance(answer, str) else str(answer.get("ok", "given"))


def ask(job: Job) -> Answer | str:
    """The answer to ``job`` or TIMEOUT; inside a batch, answers are collected first (see ``BatchJobs``).

    Answers are remembered. A timeout is not: it may be the fault of a busy machine, and is tried when asked again.
    """
    jobs_of_batch = _jobs_of_batch.get()
    if jobs_of_batch is not None:
        return jobs_of_batch.answer(job)
    known = _outcomes.get(job)
    if known is None:
        known = shared().run(job.as_dict(), job.seconds)
        if known != TIMEOUT:
            _outcomes[job] = known
        while len(_outcomes) > REMEMBERED:
            with contextlib.suppress(KeyError):
                _outcomes.popitem(last=False)
    return known


class Pending(BaseException):
    """Control flow of a batch: this item needs a worker's answer that is not there yet. Not an Exception, so that no
    verifier catches it."""


class BatchJobs:
    """Jobs that a batch needs, and their answers. While one is open in a context, ``ask`` never waits: it notes the
    job and raises Pending.

    So the verifiers need not know that there are batches: an item is graded, breaks off where it needs a worker, and
    is graded again when all answers of the batch are there.
    """

    def __init__(self) -> None:
        self.wanted: dict[Job, None] = {}
        self.answers: dict[Job, Answer | str] = {}

    def answer(self, job: Job) -> Answer | str:
        known = self.answers.get(job) or _outcomes.get(job)
        if known is None:
            self.wanted[job] = None
            raise Pending
        return known

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        token = _jobs_of_batch.set(self)
        try:
            yield
        finally:
            _jobs_of_batch.reset(token)

    def settle(self) -> None:
        """Run all wanted jobs, on all workers at once."""
        jobs, self.wanted = list(self.wanted), {}
        pool = shared()
        with ThreadPoolExecutor(min(pool.size, len(jobs)) or 1, thread_name_prefix="reward_fns") as threads:
            for job, answer in zip(
                jobs, threads.map(lambda job: pool.run(job.as_dict(), job.seconds), jobs), strict=True
            ):
                self.answers[job] = answer


_jobs_of_batch: ContextVar[BatchJobs | None] = ContextVar("reward_fns_batch", default=None)
