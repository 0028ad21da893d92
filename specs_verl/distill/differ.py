"""How far the two sides of a pair differ in substance: pairs are meant to differ in form, their reasoning differs too.

    difference(row, "d8; e1=9; f6=15.", "Quick guess.").reasoning_distance        # 0.94

A set of pairs whose rejected reasoning is hastier teaches care as well as form; the card therefore says how far apart
the sides are. Where rows know the solution (the nano world), it also says how much of each side's reasoning is sound.
Not here: making pairs that differ in form alone (the recipe form_only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from data_prep.nano.soundness import soundness

LONGEST = 8000
"""Characters of a reasoning that are compared; the distance takes time that grows with the square."""


@dataclass(frozen=True)
class Difference:
    """Between the reasoning of the chosen and of the rejected response, tags and answer left out."""

    reasoning_distance: float
    """Edit distance over the length of the longer one: 0 for the same text, 1 for nothing in common."""

    chosen_reasoning: int
    """Characters."""

    rejected_reasoning: int

    chosen_soundness: str | None
    """sound, unsound or none (nothing is claimed: a hasty writer); None where the row does not know its solution."""

    rejected_soundness: str | None


def difference(row: dict[str, Any], chosen: str, rejected: str) -> Difference:
    """Compare two reasonings; white space at their ends does not count."""
    chosen, rejected = chosen.strip(), rejected.strip()
    distance = Levenshtein.normalized_distance(chosen[:LONGEST], rejected[:LONGEST])
    solution = (row.get("extra_info") or {}).get("solution")
    found = [soundness(text, solution) if isinstance(solution, str) else None for text in (chosen, rejected)]
    return Difference(distance, len(chosen), len(rejected), *found)
