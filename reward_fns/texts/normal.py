r"""Short texts in one spelling, so that equal answers are equal strings.

    normalised(r"The \text{Eiffel} Tower.")   -> "eiffel tower"

Not here: how near two texts are (distances.py).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from reward_fns.answer.wrappers import unwrapped

MAX_CHARS = 4_000
"""Characters that are read of a text."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s%$€£¥°+\-./:']|_")
_LOOSE = re.compile(r"(?<!\d)[./:'\-](?!\d)|(?<=\d)[./:'\-](?!\d)|(?<!\d)[/:'](?=\d)|(?<=\w)'(?=\w)")


@lru_cache(maxsize=8192)
def normalised(text: str, case_sensitive: bool = False) -> str:
    """Unicode folded, LaTeX text wrappers, articles, punctuation and repeated white space removed, lower case unless
    asked otherwise."""
    text = unwrapped(text[:MAX_CHARS])
    text = unicodedata.normalize("NFKC", text).replace("\\", " ")
    folded = text if case_sensitive else text.casefold()
    folded = _PUNCTUATION.sub(" ", folded.replace("$", " ") if folded.count("$") == 2 else folded)
    folded = _LOOSE.sub(" ", folded)
    without = " ".join(_ARTICLES.sub(" ", folded).split())
    return without or " ".join(folded.split())
