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
from fractions import Fraction

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
    r"\s*(?:dozens?\b|squared\b|cubed\b|factorial\b|[²³⁴]|±|\\pm|(?:[-−+*×·]|\\times|\\cdot)\s*\\?(?:d?frac|\d)|\*\*\s?\d|\^(?!\s*\{?\s*\\circ))",
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
    kept = [
        (start, end)
        for start, end in reversed(places)
        if not CHANGED_AFTER.match(text, end) and not _equated(text, start, end, found)
    ]
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


_SAME = r"\s*(?:=|≈|\\approx|\\simeq)\s*[$\\( ]*"
_EQUAL_BEFORE = re.compile(rf"(?:^|[=≈.,:;#$])\s*(\d{{1,15}}(?:\.\d{{1,15}})?){_SAME}$")
_EQUAL_AFTER = re.compile(rf"{_SAME}(\d{{1,15}}(?:\.\d{{1,15}})?)(?!\s*[-+*/×·÷^.\d\\])")
_OPERATOR_BEFORE = re.compile(r"[-+*/×·÷^(]\s*$")


def _equated(text: str, start: int, end: int, found: Number) -> bool:
    """Whether a number is equated with another one that differs: 144 ≈ 12."""
    before = _EQUAL_BEFORE.search(text[max(0, start - 40) : start])
    if before is not None and not _near(before[1], found):
        return True
    after = _EQUAL_AFTER.match(text, end)
    alone = _OPERATOR_BEFORE.search(text[max(0, start - 4) : start]) is None
    return after is not None and alone and not _near(after[1], found)


def _near(digits: str, found: Number) -> bool:
    value = abs(found.value)
    return abs(Fraction(digits) - value) <= value / 20


_DIGITS_BEFORE = re.compile(r"(?:\d[.,]?|[\^_]|±\s?)$")
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
