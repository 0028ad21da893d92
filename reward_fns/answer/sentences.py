r"""Where sentences end: one splitter for all readers.

    split_sentences("So x = 2.5 cm. It is B.\nDone")      -> ["So x = 2.5 cm.", "It is B.", "Done"]
    split_sentences("A. 12 cm is right.")                  -> ["A. 12 cm is right."], an item marker ends nothing

A sentence ends at a line break, after the stop of Chinese and Japanese, and at a stop that is followed by something
that can begin one: a capital, a bracket, a quote, mathematics, bold.
"""

from __future__ import annotations

import re

_NO_MARKER = r"(?<!^[A-Z]\.)(?<!\n[A-Z]\.)(?<![-*•] [A-Z]\.)"
_BEGINS = r"(?=[A-Z*$\\(\[\"'“<])"

SENTENCE_END = re.compile(rf"\n+|(?<=\S[.!?]){_NO_MARKER}\s+{_BEGINS}|(?<=[。！？])")


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` without white space around them, empty ones left out."""
    return [stripped for part in SENTENCE_END.split(text) if (stripped := part.strip())]
