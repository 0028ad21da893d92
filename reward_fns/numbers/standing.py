r"""Whether a number that running text is read to state is stated anywhere without being taken back.

    stands("I doubt that it is 12.", number 12)                -> False
    stands("It is at least 12.", number 12)                    -> False
    stands("It could be 11 or 12. So it is 12.", number 12)    -> True
    not_of_question("It reaches 2 when x is 1.", number 2, "When does it reach 2?")   -> number 1

Not here: which number is the conclusion (conclusions.py), the words around it (answer/commitment.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reward_fns.answer import commitment
from reward_fns.answer.phrases import Phrase
from reward_fns.answer.sentences import split_sentences
from reward_fns.numbers import numerals
from reward_fns.numbers.numerals import Number

MAX_TEXT = 6_000
"""Characters at the end that are looked at."""

WINDOW = 600
"""Characters at the end in which a value is looked for that is not written in plain digits."""

CHANGED_AFTER = Phrase(
    "changed by what follows",
    r"\s*(?:dozens?\b|squared\b|cubed\b|factorial\b|[²³⁴]|\*\*\s?\d|\^(?!\s*\{?\s*\\circ))",
    hits=[" dozen eggs", "²", "^2", " squared"],
    misses=[" eggs", " cm²"],
    at="match",
)


def stands(response: str, found: Number) -> bool:
    """Whether the value of ``found`` stands in the response as a committed number. A value that is written nowhere,
    such as that of an expression, stands."""
    text = response[-MAX_TEXT:]
    places = _in_digits(text, found)
    if not places:
        text = response[-WINDOW:]
        places = [(n.start, n.end) for n in numerals.find_all(text) if abs(n.value) == abs(found.value)]
    if not places:
        return True
    kept = [place for place in reversed(places) if not CHANGED_AFTER.match(text, place[1])]
    return bool(kept) and commitment.stands(text, kept, bounds=True)


def _in_digits(text: str, found: Number) -> list[tuple[int, int]]:
    """Where a whole number stands in plain digits."""
    if found.value.denominator != 1:
        return []
    digits = str(abs(found.value.numerator))
    places = []
    at = text.find(digits)
    while at >= 0:
        end = at + len(digits)
        if not (_DIGITS_BEFORE.search(text[max(0, at - 2) : at]) or _DIGITS_AFTER.match(text, end)):
            places.append((at, end))
        at = text.find(digits, end)
    return places


_DIGITS_BEFORE = re.compile(r"\d[.,]?$")
_DIGITS_AFTER = re.compile(r"[.,]?\d")


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
