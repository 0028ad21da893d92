"""Many answers at once, over all workers: ``verify_batch`` for verdicts, ``score_batch`` for rewards.

    verdicts = verify_batch([("\\\\boxed{12}", "12"), ("B", "B", "choice", {"options": ["x", "y"]})])
    scores = score_batch([{"solution_str": "...", "ground_truth": "12", "extra_info": {...}}, ...], format_rule="boxed")

Everything that needs no worker is decided first, in this process; then all hard comparisons run on all workers at
once. Equal questions are asked once. A hostile answer is stopped after its deadline and delays the others by slices
of it only (workers/pool.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from reward_fns.grading import GroundTruth, verify
from reward_fns.scoring import Score, compute_score
from reward_fns.verdict import Verdict
from reward_fns.workers.pool import BatchJobs, Pending

Item = Sequence[object]
Result = TypeVar("Result")

MAX_ROUNDS = 32
"""An item asks at most a few questions in a row: can the gold be read, is this candidate equal, and so on for several
golds."""


def verify_batch(items: Sequence[Item], verifier: str = "math", **params: object) -> list[Verdict]:
    """Grade many answers.

    Args:
        items: (response, ground_truth), optionally followed by a verifier name and a mapping of its parameters.
        verifier, params: for the items that name none.

    Returns:
        list[Verdict]: in the order of ``items``. ``seconds`` is the time spent in this process; waiting for workers is
        shared.
    """
    calls = []
    for index, item in enumerate(items):
        response, ground_truth, name, own = _unpacked(item, index, verifier, params)
        calls.append(partial(verify, response, ground_truth, name, **own))
    return settle_all(calls)


def score_batch(rows: Sequence[Mapping[str, object]], **settings: object) -> list[Score]:
    """``compute_score`` of many rows: mappings with solution_str, ground_truth and, if there are any, data_source and
    extra_info."""
    return settle_all([_scoring(row, settings) for row in rows])


def _scoring(row: Mapping[str, Any], settings: dict[str, Any]) -> Callable[[], Score]:
    """``compute_score`` of one row, which checks what the row holds."""
    return partial(
        compute_score,
        row.get("data_source"),
        row["solution_str"],
        row["ground_truth"],
        row.get("extra_info"),
        **settings,
    )


def settle_all(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """The results of calls that grade: run until each one has the workers' answers that it asks for."""
    results: dict[int, Result] = {}
    left = list(range(len(calls)))
    jobs_of_batch = BatchJobs()
    for _ in range(MAX_ROUNDS):
        pending = []
        with jobs_of_batch.opened():
            for index in left:
                try:
                    results[index] = calls[index]()
                except Pending:
                    pending.append(index)
        left = pending
        if not left:
            break
        jobs_of_batch.settle()
    for index in left:
        results[index] = calls[index]()
    return [results[index] for index in range(len(calls))]


def _unpacked(
    item: Sequence[Any], index: int, verifier: str, params: Mapping[str, object]
) -> tuple[str, GroundTruth, str, Mapping[str, object]]:
    if isinstance(item, str) or not 2 <= len(item) <= 4:
        raise ValueError(f"item {index} must be (response, ground_truth[, verifier[, params]]), got {str(item)[:80]!r}")
    response, ground_truth = item[0], item[1]
    name = item[2] if len(item) > 2 and item[2] else verifier
    own = item[3] if len(item) > 3 and item[3] is not None else (params if name == verifier else {})
    return response, ground_truth, name, own
