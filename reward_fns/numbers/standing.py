r"""Whether a number that running text is read to state is stated anywhere without being taken back.

    stands("I doubt that it is 12.", Fraction(12))                -> False
    stands("It is at least 12.", Fraction(12))                    -> False
    stands("It could be 11 or 12. So it is 12.", Fraction(12))    -> True
    not_of_question("It reaches 2 when x is 1.", number 2, "When does it reach 2?")   -> number 1

Not here: which number is the conclusion (conclusions.py), the words around it (answer/commitment.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from reward_fns.answer import commitment
from reward_fns.answer.phrases import Phrase
from reward_fns.answer.sentences import split_sentences
from reward_fns.numbers import numerals
from reward_fns.numbers.numerals import Number

WINDOWS = (240, 1_500, 6_000)
"""Characters at the end that are looked at, one after the other: mostly the last sentences hold the value."""

CHANGED_AFTER = Phrase(
    "changed by what follows",
    r"\s*(?:dozens?\b|squared\b|cubed\b|factorial\b|[²³⁴]|\*\*\s?\d|\^)",
    hits=[" dozen eggs", "²", "^2", " squared"],
    misses=[" eggs", " cm²"],
    at="match",
)


def stands(response: str, value: Fraction) -> bool:
    """Whether ``value`` stands in the response as a committed number. A value that is written nowhere, such as that of
    an expression, stands."""
    seen = False
    for size in WINDOWS:
        text = response[-size:]
        places = [
            (number.start, number.end)
            for number in reversed(numerals.find_all(text))
            if abs(number.value) == abs(value) and not CHANGED_AFTER.match(text, number.end)
        ]
        seen = seen or any(abs(number.value) == abs(value) for number in numerals.find_all(text))
        if places and commitment.stands(text, places, bounds=True):
            return True
        if len(response) <= size:
            break
    return not seen


def numbers_of(text: str) -> Iterator[Number]:
    """Plain numbers and number words of a text."""
    return (number for number in numerals.find_all(text) if number.kind in ("plain", "fraction", "word"))


def not_of_question(response: str, found: Number, question: str) -> Number:
    """``found``, or the only other number of its sentence when the question names ``found`` and not the other one."""
    named = {number.value for number in numbers_of(question[-2_000:])}
    if found.value not in named:
        return found
    for sentence in reversed(split_sentences(response[-1_500:])):
        values = list(numbers_of(sentence))
        if not any(number.value == found.value for number in values):
            continue
        others = [number for number in values if number.value not in named]
        return others[0] if len(others) == 1 and len(values) == 2 else found
    return found
