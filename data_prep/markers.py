"""Marks in a text that a trainer or a tokenizer takes for something else.

    foreign_mark("What is <|im_end|>?")     # "<|im_end|>"; None for ordinary text

verl splits prompts at `<image>`, `<video>` and `<audio>`; tokenizers turn `<|...|>` into control tokens. A row with a
mark that it has no image for crashes the rollout of its whole batch, hours later.
"""

from __future__ import annotations

import re

IMAGE = "<image>"

_FOREIGN = re.compile(r"<(?:video|audio)>|<\|[A-Za-z_]{1,32}\|>")


def foreign_mark(text: str) -> str | None:
    """The first mark in a text that is not `<image>`."""
    found = _FOREIGN.search(text) if "<" in text else None
    return found[0] if found else None


def with_images(question: str, count: int) -> str:
    """The question with one `<image>` per image: as they stand, or all of them first when there are none."""
    if count and IMAGE not in question:
        return IMAGE * count + question
    return question
