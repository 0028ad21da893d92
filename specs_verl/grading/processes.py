"""One piece of work per task, in processes: a killed process costs time only, and none outlives its parent.

    for task, result in in_processes(work, tasks, workers=2): ...       # in the order of completion

Not here: what the work is (shards.py).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from reward_fns.workers.parent import end_with_parent
from specs_verl.errors import UserError

MOST_DEATHS = 3
"""Times that the pool may break, without a task completed in between, before the run ends."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores this process may use, which under taskset or in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Run `work` on every task.

    Args:
        work, tasks: picklable. Work may be done twice: by a process that is killed, and again.
        workers: processes.

    Raises:
        UserError: processes die again and again, which names the task they die over.
    """
    left = dict(enumerate(tasks))
    deaths = 0
    while left:
        # Spawned, not forked: the parent may hold threads.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            min(workers, len(left)), context, initializer=end_with_parent, initargs=(os.getpid(),)
        )
        try:
            running = {pool.submit(work, task): number for number, task in left.items()}
            for future in as_completed(running):
                result = future.result()
                deaths = 0
                yield left.pop(running[future]), result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths >= MOST_DEATHS:
                raise UserError(
                    f"Grading processes keep dying, the last time over {next(iter(left.values()))} or what comes after "
                    "it. Is there enough memory? Fewer processes (--workers) need less; what is graded is kept."
                ) from error
        finally:
            pool.shutdown(cancel_futures=True)
