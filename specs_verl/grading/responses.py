"""Responses -> grades, in a bounded number of processes.

    with Grader(workers=2) as grader:
        grades = grader.grade([(prompt, response), ...])        # one Grade per pair, in order

The grader is verl's reward function (`reward_fns.compute_score` unless another is named), so evaluation and training
agree. Formats are checked in this process: the rules are cheap, and the caller's need not be picklable.

Not here: which responses (rollouts.py) and what grades add up to (metrics.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from types import ModuleType

from reward_fns import formats
from specs_verl.errors import UserError
from specs_verl.measure.rollouts import Prompt

DEFAULT_REWARD = "reward_fns:compute_score"
OWN_FORMATS = {"think_answer": formats.think_answer, "think_answer_boxed": formats.think_answer_boxed}
CHUNK = 64  # responses per task: large against the cost of sending them, small against a shard
MOST_WORKERS = 8
PATIENCE = 4.0  # seconds of grading before processes are started, which takes about as long

FormatChecks = Mapping[str, Callable[[str], bool]]
RewardFunction = Callable[..., object]


@dataclass(frozen=True)
class Grade:
    """What the reward function said about one response."""

    acc: float
    score: float
    status: str
    extracted: str | None

    @property
    def right(self) -> bool:
        """Whether the answer counts for pass@k: full credit, or the verifier's own word where credit is graded."""
        return self.status == "right" if self.status in ("right", "wrong") else self.acc >= 1.0 - 1e-9


def load_function(spec: str, what: str) -> Callable[..., object]:
    """The function that "package.module:function" or "path/to/file.py:function" names; ``what`` is for the error."""
    place, _, name = spec.rpartition(":")
    if not place:
        raise UserError(f"{what} {spec!r}: write module:function or file.py:function.")
    try:
        function = getattr(_module_at(place), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{what} {spec!r} cannot be loaded: {error}.") from error
    if not callable(function):
        raise UserError(f"{what} {spec!r} is no function but a {type(function).__name__}.")
    return function


def _module_at(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    if not Path(place).is_file():
        raise ImportError(f"{place} is no Python file")
    spec = importlib.util.spec_from_file_location(f"specs_function_{Path(place).stem}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grade_one(reward: RewardFunction, prompt: Prompt, response: str) -> Grade:
    """Grade one response; what the reward function returns is checked, since metrics are only as good as it is."""
    result = reward(prompt.data_source, response, prompt.ground_truth, prompt.extra_info)
    if isinstance(result, Mapping):
        score = float(result["score"])
        acc = float(result.get("acc", score))
        status = str(result.get("status") or ("right" if acc >= 1.0 - 1e-9 else "wrong"))
        extracted = result.get("pred") or result.get("extracted")
    else:
        score = acc = float(result)
        status, extracted = ("right" if acc >= 1.0 - 1e-9 else "wrong"), None
    if not (math.isfinite(score) and math.isfinite(acc)):
        raise ValueError(
            f"The reward function returned {result!r} for row {prompt.row_id}: score and acc must be finite numbers."
        )
    return Grade(acc, score, status, None if extracted is None else str(extracted))


_reward_of_worker: RewardFunction | None = None


def _start_worker(spec: str) -> None:
    global _reward_of_worker
    # A grading process waits for one symbolic comparison at a time: more workers of reward_fns would only take memory.
    os.environ.setdefault("REWARD_FNS_WORKERS", "1")
    _reward_of_worker = load_function(spec, "Reward function")


def _grade_chunk(pairs: Sequence[tuple[Prompt, str]]) -> list[Grade]:
    return [grade_one(_reward_of_worker, prompt, response) for prompt, response in pairs]


def available_cores() -> int:
    """Cores this process may use, which under taskset or in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Grader:
    """Grades lists of responses: at first in this process, in several once it has proved to be much work."""

    def __init__(self, reward: str = DEFAULT_REWARD, workers: int | None = None) -> None:
        self.workers = max(1, min(workers or available_cores(), MOST_WORKERS if workers is None else workers))
        self._spec = reward
        self._reward = load_function(reward, "Reward function")
        self._pool: ProcessPoolExecutor | None = None
        self._spent = 0.0  # seconds of grading in this process

    def grade(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Grade]:
        """One grade per (prompt, response), in order."""
        grades: list[Grade] = []
        while len(grades) < len(pairs) and (self.workers == 1 or self._spent < PATIENCE):
            started = perf_counter()
            chunk = pairs[len(grades) : len(grades) + CHUNK]
            grades += [grade_one(self._reward, prompt, response) for prompt, response in chunk]
            self._spent += perf_counter() - started
        return grades + self._grade_in_processes(pairs[len(grades) :])

    def _grade_in_processes(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Grade]:
        if not pairs:
            return []
        if self._pool is None:
            # spawn: a forked child would inherit the threads and locks of whatever the caller has running
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(self._spec,)
            )
        chunks = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
        futures: list[Future[list[Grade]]] = [self._pool.submit(_grade_chunk, chunk) for chunk in chunks]
        try:
            return [grade for future in futures for grade in future.result()]
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"A grading process died (out of memory, or killed) while grading with {self._spec}. "
                "Run again with --workers 1 to see the response that does it."
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def checks_for(prompts: Sequence[Prompt], given: FormatChecks | None) -> dict[str, Callable[[str], bool]]:
    """The check of every format that the prompts ask for: training's own rule for its formats, else the caller's."""
    checks = {**(given or {}), **OWN_FORMATS}
    asked = {prompt.asked_format for prompt in prompts}
    unknown = sorted(asked - set(checks))
    if unknown:
        example = next(prompt.row_id for prompt in prompts if prompt.asked_format == unknown[0])
        raise UserError(
            f"Row {example} asks for the format {unknown[0]!r}, for which there is no check. "
            f"Known: {', '.join(sorted(checks))}. Pass a check for it (--format-check module:function)."
        )
    return {name: checks[name] for name in sorted(asked)}
