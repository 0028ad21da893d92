r"""Finding the sentence of a prompt that asks for an output format, and putting another in its place.

    replaced("Find x. Put it in \\boxed{}.", form)             # the sentences with marks of a format go
    replaced(text, form, instruction="Put it in \\boxed{}.")    # this very text goes

What counts as such a sentence: one that names a tag of the trained format, `\boxed`, or one of the words that announce
an answer format in quotation marks. A prompt without any is an error, never a prompt with two formats.
"""

from __future__ import annotations

import re

from specs_verl.errors import UserError
from specs_verl.formats.output_format import TRAINED_MARKS, OutputFormat

MARKS = (*TRAINED_MARKS, "\\boxed", "####", '"Answer:"', "`Answer:", "'Answer:")

KNOWN = (
    r"Please reason step by step, and put your final answer within \boxed{}.",
    r"Let's think step by step and output the final answer within \boxed{}.",
)
"""Instructions of public recipes, word for word: they go as a whole."""

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z<\\`\"'$])")


class NoInstructionError(UserError):
    """A prompt in which no format instruction was found."""


def asks_for_format(text: str) -> bool:
    """Whether a text names the marks of an output format."""
    return any(mark in text for mark in MARKS)


def removed(text: str, instruction: str | None = None) -> str:
    """The text without its format instruction; NoInstructionError where there is none."""
    if instruction is not None:
        if instruction not in text:
            raise NoInstructionError(f"the instruction {instruction[:80]!r} is not in the prompt {text[:80]!r}")
        return text.replace(instruction, "").strip()
    for known in KNOWN:
        if known in text:
            return text.replace(known, "").strip()
    lines = [_without_marks(line) if asks_for_format(line) else line for line in text.split("\n")]
    kept = "\n".join(line for line in lines if line is not None).strip()
    if kept == text.strip():
        raise NoInstructionError(f"no format instruction found in the prompt {text[:80]!r}")
    return kept


def _without_marks(line: str) -> str | None:
    """A line without the stretch of sentences from the first to the last that names a mark; None if that is all."""
    sentences = _SENTENCE_END.split(line)
    marked = [number for number, sentence in enumerate(sentences) if asks_for_format(sentence)]
    kept = [*sentences[: marked[0]], *sentences[marked[-1] + 1 :]]
    return " ".join(kept) if kept else None


def replaced(text: str, form: OutputFormat, instruction: str | None = None, append: bool = False) -> str:
    """The text with the instruction of ``form`` at its end instead of its own.

    Args:
        text: a user turn; `<image>` marks in it stay where they are.
        form: the format to ask for.
        instruction: the text's own instruction, word for word; found by its marks when None.
        append: also where the text has no instruction of its own.
    """
    try:
        kept = removed(text, instruction)
    except NoInstructionError:
        if not append:
            raise
        kept = text.rstrip()
    return f"{kept}{form.gap}{form.instruction}" if kept else form.instruction
