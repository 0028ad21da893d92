"""Tries composed answers on a verifier, or on anybody's reward function, and keeps those that are paid.

    attack("choice", tries=1_000_000, seed=0, progress=print)
    attack_function(my_compute_score, "number", tries=10_000, seed=0)

An attempt is a find when it is right for two golds that exclude each other, or right for a gold that it denies, doubts
or only bounds. Of a reward function, right means: paid as much as the honest answer in the same wrapper, and more than
another honest one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import NamedTuple

from reward_fns.attack.golds import GOLDS, Golds
from reward_fns.attack.grammar import Attempt, draw
from reward_fns.grading import verify
from reward_fns.registry import ALIASES
from reward_fns.verdict import CallError

Paid = Callable[[Attempt, str, Golds], bool]
RewardFunction = Callable[..., "float | Mapping[str, object]"]

MAX_FINDS = 1_000
"""Finds that are kept; further ones are counted."""


class Find(NamedTuple):
    """An answer that was paid and must not be."""

    response: str
    golds: tuple[str, ...]
    """For which it was right."""

    why: str


class Report(NamedTuple):
    """What a search came to."""

    verifier: str
    tried: int
    distinct: int
    """Different responses among them."""

    paid: int
    found: tuple[Find, ...]


def attack(
    verifier: str, tries: int, seed: int = 0, reading: str = "auto", progress: Callable[[int], None] | None = None
) -> Report:
    """Try ``tries`` composed answers on a verifier.

    Args:
        reading: as in ``verify``.
        progress: called with the number of attempts so far, every thousand.
    """

    def paid(attempt: Attempt, gold: str, golds: Golds) -> bool:
        return verify(attempt.response, gold, verifier, reading=reading, **golds.params).status == "right"

    return _search(verifier, paid, tries, seed, progress)


def attack_function(
    function: RewardFunction,
    verifier: str,
    tries: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Try composed answers on a reward function in verl's signature.

    Args:
        function: (data_source, solution_str, ground_truth, extra_info) -> a score, or a mapping with ``score``.
        verifier: whose golds are used; its name and parameters stand in ``extra_info``.
    """
    name = ALIASES.get(verifier, verifier)

    def pay(response: str, gold: str, golds: Golds) -> float:
        info = {"verifier": name, "params": dict(golds.params)}
        outcome = function("attack", response, gold, info)
        score = outcome.get("acc", outcome.get("score")) if isinstance(outcome, Mapping) else outcome
        return float(score) if isinstance(score, int | float) else 0.0

    @lru_cache(maxsize=4096)
    def honest(wrapper: str, stated: str, gold: str, index: int) -> float:
        return pay(wrapper.format(stated), gold, sets[index])

    sets = _golds_of(verifier)

    def paid(attempt: Attempt, gold: str, golds: Golds) -> bool:
        index = sets.index(golds)
        other = next(value for value in golds.values if value != gold)
        full = honest(attempt.wrapper, gold, gold, index)
        return full > honest(attempt.wrapper, other, gold, index) and pay(attempt.response, gold, golds) >= full

    return _search(verifier, paid, tries, seed, progress)


def _golds_of(verifier: str) -> tuple[Golds, ...]:
    name = ALIASES.get(verifier, verifier)
    if name not in GOLDS:
        raise CallError(f"there are no golds to attack {verifier!r} with; known: {', '.join(sorted(GOLDS))}.")
    return GOLDS[name]


def _search(verifier: str, paid: Paid, tries: int, seed: int, progress: Callable[[int], None] | None) -> Report:
    rng = Random(seed)
    sets = _golds_of(verifier)
    seen: set[int] = set()
    found: list[Find] = []
    count = 0
    for tried in range(1, tries + 1):
        golds = rng.choice(sets)
        attempt = draw(rng, golds.values, golds.numeric)
        mark = hash((attempt.response, golds.values))
        if mark not in seen:
            seen.add(mark)
            right = tuple(gold for gold in dict.fromkeys(attempt.golds) if paid(attempt, gold, golds))
            if len(right) > (0 if attempt.denies else 1):
                count += 1
                why = "right while taking it back" if attempt.denies else "right for golds that exclude each other"
                if len(found) < MAX_FINDS:
                    found.append(Find(attempt.response, right, why))
        if progress is not None and tried % 1_000 == 0:
            progress(tried)
    return Report(verifier, tries, len(seen), count, tuple(found))
