"""One piece of work per task, as Ray tasks on all nodes of a cluster: what processes.py does on one machine.

    with connected():
        for task, result in in_ray(work, tasks): ...        # in the order of completion

Results come back to this process, which writes them: only what is read must be on a disk that all nodes share. Ray runs
a task again when its process or node dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from specs_verl.errors import UserError
from specs_verl.ray_cluster import passed_on

AHEAD = 2
"""Tasks under way per CPU of the cluster: enough that none waits, few enough to bound the results in memory."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_ray(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[Task, Result]]:
    """Run `work` on every task; the caller is connected to Ray (ray_cluster.py).

    Args:
        work, tasks: picklable. Work may be done twice.

    Raises:
        UserError: what `work` raised of that kind, or processes that die again and again over a task.
    """
    import ray

    options = {"num_cpus": 1, "runtime_env": {"env_vars": passed_on()}}
    remote = ray.remote(_work_in).options(**options)
    most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    left = list(reversed(tasks))
    running: dict[Any, Task] = {}
    while left or running:
        while left and len(running) < most:
            task = left.pop()
            running[remote.remote(os.getcwd(), work, task)] = task
        for done in ray.wait(list(running))[0]:
            task = running.pop(done)
            try:
                result: Result = ray.get(done)
            except UserError as error:
                raise getattr(error, "cause", error) from None
            except ray.exceptions.WorkerCrashedError as error:
                raise UserError(
                    f"Grading processes on the cluster keep dying, the last time over {task}. Is there enough memory "
                    "on its nodes? What is graded is kept."
                ) from error
            yield task, result


def _work_in(folder: str, work: Callable[[Task], Result], task: Task) -> Result:
    """Work in the caller's folder, where this node has it: paths may be given relative to it."""
    if os.path.isdir(folder):
        os.chdir(folder)
    return work(task)
