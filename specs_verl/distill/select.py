"""Which of the pairs that could be made go into the data set: duplicates, length balance, number, in this order.

    chosen = select(candidates, Selection(max_pairs=9000, max_length_gap=5.0), seed=0)
    chosen.rows        # rows of the pairs that stay
    chosen.dropped     # {"duplicates": 12, "length gap": 40, "balance": 8113}

Works on a few numbers per pair, never on texts or images.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from specs_verl.errors import UserError

DUPLICATES = ("prompt", "image", "keep")
PASS_RATE_BINS = 4
LENGTH_BINS = 3


@dataclass(frozen=True)
class Selection:
    """What to keep."""

    max_pairs: int | None = None
    """At most so many pairs, balanced over data source, pass rate of the rejected source, length and corruption."""

    max_length_gap: float | None = None
    """Bound, in characters, on how far the mean lengths of chosen and rejected may lie apart (tags not counted)."""

    duplicates: str = "prompt"
    """`prompt` drops pairs whose prompt and images occurred before, `image` those whose images did, `keep` none."""

    def __post_init__(self) -> None:
        if self.max_pairs is not None and self.max_pairs < 1:
            raise UserError(f"max_pairs must be at least 1, got {self.max_pairs}.")
        if self.max_length_gap is not None and self.max_length_gap <= 0:
            raise UserError(f"max_length_gap must be above 0 characters, got {self.max_length_gap}.")
        if self.duplicates not in DUPLICATES:
            raise UserError(f"duplicates is {', '.join(DUPLICATES)}, not {self.duplicates!r}.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What selection knows of a pair."""

    row: int
    data_source: str
    pass_rate: float
    corruption: str
    length: int
    """Characters of both responses together, tags not counted."""

    length_gap: int
    """Characters of the chosen response minus characters of the rejected one, tags not counted."""

    prompt_identity: bytes
    """Digest of prompt and images."""

    image_identity: bytes | None
    """Digest of the images, None without images."""


@dataclass(frozen=True)
class Selected:
    """The outcome."""

    rows: frozenset[int]
    dropped: dict[str, int]


def select(candidates: Iterable[Candidate], selection: Selection, seed: int) -> Selected:
    """Apply the three rules one after another."""
    every = list(candidates)
    unique = without_duplicates(every, selection.duplicates)
    close = within_length_gap(unique, selection.max_length_gap)
    fewer = balanced(close, selection.max_pairs, seed)
    # A smaller choice may lie outside the bound again, by little.
    kept = within_length_gap(fewer, selection.max_length_gap)
    dropped = {
        "duplicates": len(every) - len(unique),
        "length gap": len(unique) - len(close) + len(fewer) - len(kept),
        "balance": len(close) - len(fewer),
    }
    return Selected(frozenset(candidate.row for candidate in kept), dropped)


def without_duplicates(candidates: list[Candidate], rule: str) -> list[Candidate]:
    """The first of every group of duplicates."""
    if rule == "keep":
        return candidates
    seen: set[bytes] = set()
    kept = []
    for candidate in candidates:
        identity = candidate.image_identity if rule == "image" else None
        identity = identity or candidate.prompt_identity
        if identity not in seen:
            seen.add(identity)
            kept.append(candidate)
    return kept


def within_length_gap(candidates: list[Candidate], bound: float | None) -> list[Candidate]:
    """Drop the most lopsided pairs, one from the corruption that has most left at a time, until |mean gap| <= bound."""
    if bound is None or not candidates:
        return candidates
    total = sum(candidate.length_gap for candidate in candidates)
    left = len(candidates)
    side = 1 if total > 0 else -1
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda candidate: (side * candidate.length_gap, candidate.row)):
        groups[candidate.corruption].append(candidate)
    while left and abs(total) > bound * left and side * total > 0:
        helpful = [group for group in groups.values() if group and side * group[-1].length_gap > 0]
        largest = max(helpful, key=lambda group: (len(group), side * group[-1].length_gap))
        total -= largest.pop().length_gap
        left -= 1
    return sorted((kept for group in groups.values() for kept in group), key=lambda candidate: candidate.row)


def balanced(candidates: list[Candidate], at_most: int | None, seed: int) -> list[Candidate]:
    """At most so many pairs, spread as evenly as they allow over corruption, source, pass rate and length."""
    if at_most is None or len(candidates) <= at_most:
        return candidates
    shuffled = sorted(candidates, key=lambda candidate: candidate.row)
    random.Random(seed).shuffle(shuffled)
    bounds = length_bounds(candidates)
    # Shares are rounded in every cell, so what comes last is balanced least; the corruptions must be even.
    keys = (_corruption, _source, _pass_rate_bin, lambda candidate: bisect_left(bounds, candidate.length))
    kept = _spread(shuffled, at_most, keys)
    return sorted(kept, key=lambda candidate: candidate.row)


def length_bounds(candidates: list[Candidate]) -> list[int]:
    """Upper bounds of all length ranges but the last: the ranges hold equally many candidates each."""
    lengths = sorted(candidate.length for candidate in candidates)
    return [lengths[len(lengths) * part // LENGTH_BINS - 1] for part in range(1, LENGTH_BINS)]


def _source(candidate: Candidate) -> str:
    return candidate.data_source


def _pass_rate_bin(candidate: Candidate) -> int:
    return min(PASS_RATE_BINS - 1, int(candidate.pass_rate * PASS_RATE_BINS))


def _corruption(candidate: Candidate) -> str:
    return candidate.corruption


def _spread(
    candidates: list[Candidate], count: int, keys: tuple[Callable[[Candidate], object], ...]
) -> list[Candidate]:
    if not keys or len(candidates) <= count:
        return candidates[:count]
    groups: dict[object, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[keys[0](candidate)].append(candidate)
    quotas = shares(count, {name: len(group) for name, group in groups.items()})
    return [kept for name, group in groups.items() for kept in _spread(group, quotas[name], keys[1:])]


def shares(count: int, available: dict[object, int]) -> dict[object, int]:
    """Split a count over groups as evenly as their sizes allow: what a small group cannot give, the others do."""
    quotas = {}
    left = count
    for position, name in enumerate(sorted(available, key=lambda name: (available[name], str(name)))):
        quotas[name] = min(available[name], left // (len(available) - position))
        left -= quotas[name]
    return quotas
