"""How near two normalised texts are, from 0 (nothing shared) to 1 (the same).

    similarity("stop 24", "stop 25")   -> 0.857

Not here: what counts as the same spelling (normal.py), from which value an answer is right (verifiers/text.py).
"""

from __future__ import annotations

from collections import Counter

from rapidfuzz.distance import Levenshtein


def similarity(answer: str, gold: str) -> float:
    """1 - Levenshtein distance / longer length: the NLS of ANLS (Biten et al. 2019). Two empty texts are the same."""
    return Levenshtein.normalized_similarity(answer, gold)


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall over words, with multiplicity."""
    given, wanted = answer.split(), gold.split()
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def contains(answer: str, gold: str) -> float:
    """Whether the gold stands in the answer as whole words."""
    return float(f" {gold} " in f" {answer} ")
