"""What an output format is: how a prompt asks for it, how a response in it is written, and who has obeyed.

    form = FORMATS["answer_line"]
    form.write("2 + 2 = 4.", "4")          # "2 + 2 = 4.\\nAnswer: 4"
    form.read(text)                        # "4", or None when the response is not exactly in this format
    form.complies(text)

Checks are strict about form and take any answer: words, LaTeX, coordinates, JSON. Every one is linear in the length
of the response: strings are searched and split, nothing backtracks, and nothing that a model wrote is evaluated.
Not here: the formats themselves (lines.py, structured.py, tagged.py) and their list (registry.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 200_000
"""Characters; a longer response obeys no format."""

TRAINED_MARKS = ("<think>", "</think>", "<answer>", "</answer>")
"""Tags of the format that training rewards: no other format has them, so a habit is never taken for obedience."""


@dataclass(frozen=True)
class OutputFormat:
    """One way in which a prompt may ask for the answer."""

    name: str
    instruction: str
    """What the prompt says."""

    write: Callable[[str, str], str]
    """A response in this format, from reasoning and answer."""

    _read: Callable[[str], str | None]

    gap: str = "\n"
    """What stands between the question and the instruction."""

    tags: tuple[str, str] | None = None
    """Of a format that is the trained one under other names: what its tags for reasoning and answer are called."""

    def read(self, text: str) -> str | None:
        """The answer of a response that is exactly in this format, white space around it ignored; else None."""
        if len(text) > LONGEST or any(mark in text for mark in TRAINED_MARKS):
            return None
        answer = self._read(text.strip())
        return answer.strip() or None if answer is not None else None

    def complies(self, text: str) -> bool:
        """Whether the whole response has exactly this format."""
        return self.read(text) is not None


def reasoned(reasoning: str, answer: str) -> str | None:
    """The answer, provided that there is reasoning beside it."""
    return answer if reasoning.strip() else None


def between(text: str, opening: str, closing: str) -> tuple[str, str, str] | None:
    """What stands before, inside and after the one pair of marks; None where a mark is missing or there twice."""
    if text.count(opening) != 1 or text.count(closing) != 1:
        return None
    before, _, rest = text.partition(opening)
    inside, found, after = rest.partition(closing)
    return (before, inside, after) if found else None
