r"""Patterns that do not tell capitals from small letters, quick where they are not found.

    COPULA = Caseless(r"\b(?:is|are|equals?)\b")
    COPULA.search("The area IS 12")                -> a match, as from re.compile(pattern, re.IGNORECASE)

`re` tries the branches of an alternation one after the other when capitals do not count, and skips those that begin
with another letter when they do: four to seven times as quick for the long lists of words in this package. So an ASCII
text is looked through in small letters, and matched itself only where something was found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise

_SYNTAX = re.compile(r"\\.|\(\?P[<=]\w+[>)]", re.DOTALL)
"""Where a capital is no letter: escapes, and names of groups."""

_CASED = re.compile(r"\(\?[a-z]*-|\\[xuUN1-9]|\(\?P=")
"""Cased parts, letters by their number, groups read again: more than writing the pattern's letters small."""


class Caseless:
    """What `re.compile(pattern, re.IGNORECASE)` is, with the methods that this package uses."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._compiled = re.compile(pattern, re.IGNORECASE)
        self.match = self._compiled.match
        self.fullmatch = self._compiled.fullmatch
        self.split = self._compiled.split

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        if self._small is None or not text.isascii():
            return self._compiled.search(text, start, end)
        found = self._small.search(text.lower(), start, end)
        return found and self._compiled.match(text, found.start(), end)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        if self._small is None or not text.isascii():
            return self._compiled.finditer(text)
        places = self._small.finditer(text.lower())
        return (match for place in places if (match := self._compiled.match(text, place.start())))

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        return text if self.search(text) is None else self._compiled.sub(replacement, text)

    @cached_property
    def _small(self) -> re.Pattern[str] | None:
        """The pattern in small letters; None where that would not find the same in a text of small letters."""
        if _CASED.search(self.pattern):
            return None
        ends = [0, *(end for match in _SYNTAX.finditer(self.pattern) for end in match.span()), len(self.pattern)]
        parts = [self.pattern[start:end] for start, end in pairwise(ends)]
        return re.compile("".join(part if place % 2 else part.lower() for place, part in enumerate(parts)))
