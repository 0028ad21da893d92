"""Grades shards of samples, in parallel, each once: the grader of distillation and of evaluation.

    tasks = [ShardTask(shard, out / shard.name, key) for shard in run.shards()]
    for task in grade_shards(tasks, partial(grade_mine, ...), workers=2): ...

A graded shard remembers the digest of the samples that it was made from and the task's key: a run that was killed goes
on where it was, and changed samples, rows or reward functions are graded again. Memory is bounded by one shard of text
per process.

Not here: the grades themselves (responses.py), and which columns each stage keeps (distill/grades.py,
measure/evaluate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import pyarrow as pa

from data_prep.files import sweep
from specs_verl.files.derived import is_derived, write_derived
from specs_verl.grading.processes import available_cores, in_processes
from specs_verl.grading.ray_tasks import in_ray
from specs_verl.ray_cluster import connected

MOST_WORKERS = 8
"""Processes at most, unless more are asked for."""

PATIENCE = 4.0
"""Seconds of grading in this process before others are started, which takes about as long."""


@dataclass(frozen=True)
class ShardTask:
    """One shard to grade; crosses a process border."""

    samples: Path
    graded: Path
    key: str
    """Digest of what the grades depend on besides the samples: rows, reward function, judge, version."""

    def __str__(self) -> str:
        return str(self.samples)

    @property
    def done(self) -> bool:
        """Whether the grades of exactly these samples are there."""
        return is_derived(self.graded, self.samples, self.key)


Task = TypeVar("Task", bound=ShardTask)


def grade_shards(
    tasks: Sequence[Task],
    grade: Callable[[Task], pa.Table],
    workers: int | None = None,
    finish: Callable[[Task, pa.Table], pa.Table] = lambda _, table: table,
    on_ray: bool = False,
) -> Iterator[Task]:
    """Grade the shards that are not graded yet; yields every task once its file is there, those done before first.

    Args:
        tasks: what to grade; their folders are made and swept, so the caller must own them.
        grade: makes the grades of one shard; picklable, runs in any process.
        workers: processes. By default as many as cores, up to 8, and only once grading has proved to be much work.
        finish: makes the table that is written out of the grades; runs in this process only, so need not be picklable.
        on_ray: grade on a Ray cluster (ray_tasks.py) instead of in processes of this machine.
    """
    for folder in {task.graded.parent for task in tasks}:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    left = [task for task in tasks if not task.done]
    yield from (task for task in tasks if task not in left)
    if on_ray and left:
        with connected():
            for task, table in in_ray(grade, left):
                _write(task, finish(task, table))
                yield task
        return
    most = workers or min(available_cores(), MOST_WORKERS)
    patience = PATIENCE if workers is None else 0.0

    started = perf_counter()
    while left and (most == 1 or len(left) == 1 or perf_counter() - started < patience):
        task = left.pop(0)
        _write(task, finish(task, grade(task)))
        yield task
    for task, table in in_processes(grade, left, most):
        _write(task, finish(task, table))
        yield task


def _write(task: ShardTask, table: pa.Table) -> None:
    write_derived(task.graded, table, task.samples, task.key)
