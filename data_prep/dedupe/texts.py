"""How much two questions overlap: 8-grams of normalised words.

    a, b = (grams(words(text)) for text in (one, two))
    overlap(a, b)                 # share of the shorter question's 8-grams that the other one has too, in [0, 1]

Normalised: NFKC, lower case, without marks of images and punctuation; numbers, letters and LaTeX commands stay words,
so that "find x when y = 3" and "find x when y = 4" differ. A question of fewer than eight words is one gram: it
overlaps with an equal one only.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

import numpy as np

Grams = np.ndarray
"""Sorted, distinct hashes of n-grams, uint64."""

N = 8
MOST_WORDS = 4_000

_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"<(?:image|video|audio)>")


def words(text: str) -> list[str]:
    """The normalised words of a question, at most MOST_WORDS."""
    plain = unicodedata.normalize("NFKC", _MARKS.sub(" ", text[: MOST_WORDS * 16])).lower()
    return _WORD.findall(plain)[:MOST_WORDS]


def grams(found: list[str], n: int = N) -> Grams:
    """Hashes of all n-grams; of the whole text when it is shorter; empty for no words."""
    if not found:
        return np.empty(0, np.uint64)
    spans = [" ".join(found[start : start + n]) for start in range(max(1, len(found) - n + 1))]
    hashes = [int.from_bytes(blake2b(span.encode(), digest_size=8).digest(), "little") for span in spans]
    return np.unique(np.array(hashes, np.uint64))


def overlap(one: Grams, two: Grams) -> float:
    """Share of the smaller set that is in both; 1 for two questions without words, 0 for one without."""
    if len(one) == 0 or len(two) == 0:
        return float(len(one) == len(two))
    return len(np.intersect1d(one, two, assume_unique=True)) / min(len(one), len(two))
