r"""Where sentences end: one splitter for all readers.

    split_sentences("So x = 2.5 cm. It is B.\nDone")      -> ["So x = 2.5 cm.", "It is B.", "Done"]
    split_sentences("A. 12 cm is right.")                  -> ["A. 12 cm is right."], an item marker ends nothing

A sentence ends at a line break, after the stop of Chinese and Japanese, and at a stop that is followed by something
that can begin one: a capital, a bracket, a quote, mathematics, bold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BEGINS = r"(?=[A-Z*$\\(\[\"'“<])"


def _no_marker(then: str = "") -> str:
    """Not after "A." at the start of a line or an item, and what is said to follow it."""
    return rf"(?<!^[A-Z]\.{then})(?<!\n[A-Z]\.{then})(?<![-*•] [A-Z]\.{then})"


SENTENCE_END = re.compile(rf"\n+|(?<=\S[.!?]){_no_marker()}\s+{_BEGINS}|(?<=[。！？])")

_ASCII_END = re.compile(r"\s(?:(?<=\n)\n*|(?<=\S[.!?]\s)" + _no_marker(then=r"\s") + rf"\s*{_BEGINS})")
"""The same in ASCII text, where every end begins with white space: all other characters are skipped at once."""


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` without white space around them, empty ones left out."""
    end = _ASCII_END if text.isascii() else SENTENCE_END
    return [stripped for part in end.split(text) if (stripped := part.strip())]


NEAR_END = 300


def last_sentences(text: str, count: int) -> Iterator[str]:
    """The last ``count`` of ``split_sentences``, the last one first: mostly one or two are asked for, and the end of a
    long text is enough."""
    near = split_sentences(text[-NEAR_END:])[2:] if len(text) > 2 * NEAR_END else []
    yield from reversed(near[-count:])
    if len(near) < count:
        sentences = split_sentences(text)
        yield from reversed(sentences[-count : len(sentences) - len(near)])
