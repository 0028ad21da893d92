"""``verify_batch``: many answers at once, over all workers.

    verdicts = verify_batch([("\\\\boxed{12}", "12"), ("B", "B", "choice", {"options": ["x", "y"]})])

Everything that needs no worker is decided first, in this process; then all hard comparisons run on all workers at once. Equal questions
are asked once. A hostile answer is stopped after its deadline and delays the others by slices of it only (pool.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reward_fns.grading import GroundTruth, verify
from reward_fns.pool import Book, Pending
from reward_fns.verdict import Verdict

Item = Sequence[object]

MAX_ROUNDS = 32
"""An item asks at most a few questions in a row: can the gold be read, is this candidate equal, and so on for several golds."""


def verify_batch(items: Sequence[Item], verifier: str = "math", **params: object) -> list[Verdict]:
    """Grade many answers.

    Args:
        items: (response, ground_truth), optionally followed by a verifier name and a mapping of its parameters.
        verifier, params: for the items that name none.

    Returns:
        list[Verdict]: in the order of ``items``. ``seconds`` is the time spent in this process; waiting for workers is shared.
    """
    verdicts: list[Verdict | None] = [None] * len(items)
    book = Book()
    left = list(range(len(items)))
    for _ in range(MAX_ROUNDS):
        pending = []
        with book.opened():
            for index in left:
                response, ground_truth, name, own = _unpacked(items[index], index, verifier, params)
                try:
                    verdicts[index] = verify(response, ground_truth, name, **own)
                except Pending:
                    pending.append(index)
        if not pending:
            break
        book.settle()
        left = pending
    else:
        for index in left:
            response, ground_truth, name, own = _unpacked(items[index], index, verifier, params)
            verdicts[index] = verify(response, ground_truth, name, **own)
    return verdicts


def _unpacked(
    item: Item, index: int, verifier: str, params: dict[str, object]
) -> tuple[str, GroundTruth, str, Mapping[str, object]]:
    if isinstance(item, str) or not 2 <= len(item) <= 4:
        raise ValueError(f"item {index} must be (response, ground_truth[, verifier[, params]]), got {str(item)[:80]!r}")
    response, ground_truth = item[0], item[1]
    name = item[2] if len(item) > 2 and item[2] else verifier
    own = item[3] if len(item) > 3 and item[3] is not None else (params if name == verifier else {})
    return response, ground_truth, name, own
