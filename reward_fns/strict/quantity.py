r"""One number in a committed region: the value, written once or in several ways that agree, and its unit.

number_in("12 cm")                 -> Number(12, unit="cm")
number_in("x = 3 * 4 = 12")        -> Number(12)
number_in("1/3 (about 0.33)")      -> Number(1/3)
number_in("12 or 11"), number_in("at least 12"), number_in("11 = 12"), number_in("12 dozen")   -> None
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from reward_fns.answer.wrappers import unwrapped
from reward_fns.numbers import numerals, units
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.quantities import expression_number
from reward_fns.strict.grammar import LEFT_OVER, core, is_unit

MAX_PLAIN = 15
_NO_THING = r"no\s+(?!more|less|fewer|one\b|idea|answer|way|option)[a-z]+(?:\s+[a-z]+){0,2}"
_NONE = re.compile(rf"(?i)(?:none|nothing|nil|zero|{_NO_THING}|not\s+any|none\s+of\s+them)")
_SAME = r"=|≈|≃|≅|\\(?:approx|simeq|cong)(?![a-z])"
_EQUALS = re.compile(rf"\s*(?:{_SAME}|\bequals\b)\s*(?:about\s+|approximately\s+)?")
_BETWEEN = re.compile(rf"\s*(?:{_SAME}|\bequals\b|\bor\b|\bi\.e\.,?|\bthat\s+is,?)\s*(?:about\s+|approximately\s+)?")
_NAMED_LAST = re.compile(r"=\s*[A-Za-z]$")
_ASIDE = re.compile(r"(?P<value>.*\S)\s*[(\[](?P<aside>[^()\[\]]{1,60})[)\]]")
_NAME = re.compile(
    r"(?:\\?[A-Za-zθαβγλμσφωΔ]{1,12}(?:_\{?\w{1,4}\}?)?'?|m?\s?\\?(?:angle|∠|triangle|overline)\s*\{?[A-Za-z\s]{1,5}\}?"
    r"|[A-Za-z]\s*\([^()]{1,12}\)|\\frac\{d\w\}\{d\w\}|(?:[A-Za-z]+\s+){1,6}[A-Za-z]+|\|[A-Z]{1,3}\||[A-Z]{2,3})"
)
_BOUND_SIGN = re.compile(r"[<>≤≥⩽⩾±∓~?]|\\(?:ge|le|geq|leq|gt|lt|pm|mp|ne|neq)(?![a-z])")
_BOUNDED = re.compile(r"\s*(?:\w\s*)?(?:[<>≤≥⩽⩾±]|\\(?:ge|le|geq|leq|pm)(?![a-z]))\s*-?\d|\s*\d+\s*(?:±|\\pm)")
_TWO_NUMBERS = re.compile(r"(?<!_)(?<!_\{)\d\s+\d(?!\s*/)")
_GROUPED = re.compile(r"\D{0,3}\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d).{0,40}")
_RAISED = re.compile(r"\d[})]?\s*(?:[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]|\^|!|\*\*)")
_POWER_OF_TEN = re.compile(r"(?:\\times|\\cdot|×|·|\*|x)\s*10\s*\^")


@lru_cache(maxsize=8192)
def number_in(text: str) -> Number | None:
    """The number that a region is; None when it is none, more than one, a bound, or has words that are no unit."""
    if text.isdigit() and text.isascii() and len(text) <= MAX_PLAIN:
        return numerals.parse(text)
    bare = core(text)
    if bare is None:
        return None
    members = _members(bare.lstrip("=≈~ "))
    if (
        len(members) > 1
        and _NAME.fullmatch(unwrapped(members[0]).strip())
        and not LEFT_OVER.search(members[0])
        and _one(members[0]) is None
    ):
        members = members[1:]
    elif len(members) == 2 and _NAMED_LAST.search(bare):  # 5 = x
        members = members[:1]
    numbers = [number for member in members if (number := _one(member)) is not None]
    if len(numbers) < len(members) or not numbers:
        return None
    if not all(_agree(numbers[0], other) for other in numbers[1:]):
        return None
    return max(numbers, key=_exactness)


def is_bound(text: str) -> bool:
    """Whether a text has signs of a bound, or gives a value with a margin."""
    return _BOUND_SIGN.search(text.lstrip("~≈ ")) is not None


def contradicts(text: str) -> bool:
    """Whether an equation has two sides that are numbers and differ: 11 = 12, x = 11 ≈ 12."""
    numbers = [number for side in _EQUALS.split(text) if (number := _one(side.strip())) is not None]
    return any(not _agree(numbers[0], other) for other in numbers[1:])


def holds(text: str) -> bool:
    """Whether a short text, if it is an equation of numbers, is a true one, and no bound."""
    stated = [side.strip() for side in _EQUALS.split(core(text) or "")]
    if len(stated) == 1:
        return _BOUNDED.match(text) is None
    sides = [_one(side) for side in stated]
    numbers = [number for number in sides if number is not None]
    equation = len(numbers) >= len(sides) - (sides[0] is None)
    return not equation or all(_agree(numbers[0], other) for other in numbers[1:])


def none_in(text: str) -> bool:
    """Whether a region says that there is none: "none", "no cats", "There are no cats"."""
    if text.isdigit():
        return False
    bare = core(text)
    return bare is not None and _NONE.fullmatch(bare) is not None


_JOINTS = ("=", "\\", "or", "equals", "i.e", "that")
"""One of these, or a sign beyond ASCII, stands in every text that _BETWEEN splits; plain search is quicker."""


def _members(text: str) -> list[str]:
    """The sides of equations, values joined by "or", a value in brackets after another one."""
    aside = _ASIDE.fullmatch(text) if text.endswith((")", "]")) else None
    if (
        aside is not None
        and any(sign.isdigit() for sign in aside["aside"])
        and any(s.isdigit() for s in aside["value"])
    ):
        return [*_members(aside["value"]), *_members(aside["aside"])]
    if not any(map(text.__contains__, _JOINTS)) and text.isascii():
        return [text.strip()]
    return [part.strip() for part in _BETWEEN.split(text)]


def _exactness(number: Number) -> tuple[bool, int]:
    return (bool(number.unit or number.percent), 100 if number.decimals is None else number.decimals)


def _agree(one: Number, two: Number) -> bool:
    """Whether two spellings are of one value, the one with fewer decimals rounded."""
    left, right = ((n.value / 100 if n.percent and one.percent != two.percent else n.value) for n in (one, two))
    if one.unit and two.unit:
        factor = units.conversion(two.unit, one.unit)
        if factor is None:
            return False
        right *= factor
    decimals = [n.decimals + 2 * n.percent for n in (one, two) if n.decimals is not None]
    return left == right or (bool(decimals) and abs(left - right) <= Fraction(6, 10 ** (min(decimals) + 1)))


_NEXT_SENTENCE = re.compile(r"[.:;!]\s+[A-Z][a-z]")
_PROSE = re.compile(r"\b(?:the|of|are|there|have|has|with|that|this|because|which|from)\b")
"""Words that no expression has; to read one costs many times more."""


@lru_cache(maxsize=4096)
def _one(text: str) -> Number | None:
    """One spelling of one number."""
    if not text or is_bound(text) or (_TWO_NUMBERS.search(text) and not _GROUPED.fullmatch(text)):
        return None
    if _NEXT_SENTENCE.search(text):
        return None
    if not _RAISED.search(text) or _POWER_OF_TEN.search(text):
        number = numerals.parse(text)
        if number is not None:
            return number if is_unit(number.unit) else None
    number = expression_number(text) if "\\" in text or not _PROSE.search(text) else None
    if number is None or not is_unit(number.unit):
        return None
    return None if LEFT_OVER.search(text) else number
