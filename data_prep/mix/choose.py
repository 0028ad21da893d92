"""How many rows of each set, and which ones.

    counts = shares([Wanted(1000, weight=3), Wanted(500, weight=1, cap=100)], total=None)     # [300, 100]
    chosen(count=100, rows=500, seed=0, name="virl39k")                                       # 100 row numbers

Pure arithmetic; nothing is drawn twice: sets are never repeated to fill a share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from data_prep.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """One set in a mixture."""

    rows: int
    """That it has."""

    weight: float | None = None
    """Its share of the mixture relative to the others; None (for all) takes every row up to the cap."""

    cap: int | None = None
    """So many rows at most."""

    @property
    def available(self) -> int:
        return self.rows if self.cap is None else min(self.rows, self.cap)


def shares(sets: Sequence[Wanted], total: int | None = None) -> list[int]:
    """Rows to take from each set.

    With weights, exactly in their proportion (rounded down), and as many as the scarcest set allows, `total` at most.
    Without weights, all available rows, scaled down together to `total`.
    """
    weighted = [wanted.weight is not None for wanted in sets]
    if any(weighted) != all(weighted):
        raise UserError("Give every set a weight, or none.")
    weights = [float(w.available if w.weight is None else w.weight) for w in sets]
    if min(weights, default=0.0) < 0 or sum(weights) <= 0:
        raise UserError(f"Weights must not be negative, and one must be above 0: {weights}.")
    most = min(wanted.available * sum(weights) / weight for wanted, weight in zip(sets, weights, strict=True) if weight)
    size = most if total is None else min(float(total), most)
    # Guards against 0.1 + 0.2: a share of 99.9999999 rows is one of 100.
    return [int(size * weight / sum(weights) + 1e-6) for weight in weights]


def chosen(count: int, rows: int, seed: int, name: str) -> frozenset[int]:
    """`count` of `rows` row numbers, the same ones for the same seed and name, whatever else is in the mixture."""
    if count >= rows:
        return frozenset(range(rows))
    return frozenset(sorted(range(rows), key=lambda row: _draw(seed, name, row))[:count])


def _draw(seed: int, name: str, row: int) -> bytes:
    return blake2b(f"{seed} {name} {row}".encode(), digest_size=8).digest()


def interleaved(counts: Sequence[int]) -> list[int]:
    """The order of the sets in the file: each spread evenly over its whole length.

    A trainer that reads without shuffling still meets every set in every batch; at [3, 1]: 0, 0, 1, 0.
    """
    turns = [((place + 0.5) / count, number) for number, count in enumerate(counts) for place in range(count)]
    return [number for _when, number in sorted(turns)]
