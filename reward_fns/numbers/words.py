"""Numbers in words: "three hundred and five", "minus two", "two thirds", "half a dozen", 三只.

find_words("about twenty-one")     -> [Word(value=Fraction(21), start=6, end=16)]
whole("a dozen")                   -> Fraction(12)
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class Word(NamedTuple):
    """A number in words and its place."""

    value: Fraction
    start: int
    end: int
    percent: bool = False


MAGNITUDE = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "millions": 10**6, "billions": 10**9, "trillions": 10**12, "thousands": 10**3, "mn": 10**6, "bn": 10**9,
}  # fmt: skip
_NAMED_AMOUNTS = {
    "half": Fraction(1, 2), "a half": Fraction(1, 2), "one-half": Fraction(1, 2), "a quarter": Fraction(1, 4),
    "a third": Fraction(1, 3), "two-thirds": Fraction(2, 3), "three-quarters": Fraction(3, 4),
    "a dozen": Fraction(12), "dozen": Fraction(12), "half a dozen": Fraction(6),
}  # fmt: skip
_ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)")


def whole(text: str) -> Fraction | None:
    """The value of a text that is nothing but a named amount or an ordinal in digits: "half", "1st"."""
    named = _NAMED_AMOUNTS.get(text.lower())
    if named is not None:
        return named
    match = _ORDINAL.fullmatch(text)
    return Fraction(int(match[1])) if match is not None else None


ONES = {word: value for value, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
))}  # fmt: skip
_TENS = {word: 10 * value for value, word in enumerate((
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
), start=2)}  # fmt: skip
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_ANY_WORD = "|".join([*ONES, *_TENS, "hundred", "thousand", "million", "billion"])
_WORDS = re.compile(
    rf"(?<![\w-])(?P<negative>(?:minus|negative)\s+)?(?P<words>(?:{_ANY_WORD})(?:(?:\s+and\s+"
    rf"|[\s-]+)(?:{_ANY_WORD}))*)(?:[\s-]+(?P<part>{'|'.join(_PARTS)}))?(?![\w])(?P<percent>\s*"
    rf"(?:percent|per cent|%))?",
    re.IGNORECASE,
)


_CHINESE_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九十")} | {"两": 2, "兩": 2}
_CHINESE = re.compile(
    r"(?<![第一-龥])?([零一二两兩三四五六七八九]?十?[一二三四五六七八九]?)(?=[个個只隻条張张人辆本支枝朵棵片块名位匹头架])"
)


def _find_chinese(text: str) -> list[Word]:
    """三只猫 -> 3, 十二个 -> 12: a number below a hundred in front of a counting word."""
    found = []
    for match in _CHINESE.finditer(text):
        tens, ten, ones = match[1].rpartition("十")
        if not match[1] or (not ten and len(ones) > 1):
            continue
        value = (_CHINESE_DIGITS.get(tens, 1) * 10 if ten else 0) + _CHINESE_DIGITS.get(ones, 0)
        found.append(Word(Fraction(value), match.start(), match.end()))
    return found


def find_words(text: str) -> list[Word]:
    found = [] if text.isascii() else _find_chinese(text)
    for match in _WORDS.finditer(text):
        whole = _word_value(re.split(r"[\s-]+", match["words"].lower()))
        if whole is None:
            continue
        value = Fraction(whole)
        if match["part"]:
            value = Fraction(whole, _PARTS[match["part"].lower()])
        if match["negative"]:
            value = -value
        found.append(Word(value, match.start(), match.end(), bool(match["percent"])))
    return found


def _word_value(words: list[str]) -> int | None:
    """three hundred and twenty one -> 321; None when the words do not form one number ("two three")."""
    total = current = 0
    last = 0  # size of the last word, to refuse "two three"
    for word in words:
        if word == "and":
            continue
        if word in ONES:
            if 0 < last < 20 or (last and last < 100 and ONES[word] > 9) or (last == -1 and word == "zero"):
                return None
            current += ONES[word]
            last = ONES[word] or -1
        elif word in _TENS:
            if 0 < last < 100 or last == -1:
                return None
            current += _TENS[word]
            last = _TENS[word]
        elif word == "hundred":
            current = (current or 1) * 100
            last = 100
        else:
            total += (current or 1) * MAGNITUDE[word]
            current, last = 0, 1000
    return total + current
