r"""Numbers as people and models write them, read exactly.

    parse("$1,234.50")          -> Number(value=Fraction(2469, 2), decimals=2, ...)
    parse(r"\frac{3}{4}")       -> Number(value=Fraction(3, 4), decimals=None, ...)
    parse("75\\%")              -> Number(value=Fraction(75), percent=True, ...)
    find_all("3 of 12 boys")    -> two numbers with their places

Signs, thousands separators, decimals, scientific notation, fractions, mixed numbers, percent, currency, magnitude
words, number words and trailing units. Values are exact fractions, digits and exponents are bounded, nothing is
evaluated. Not here: which number of a text is the answer (conclusions.py), expressions such as 2\sqrt{3}
(symbolic/).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from reward_fns.answer.wrappers import FONT, GROUP, TEXT
from reward_fns.numbers.signs import SEPARATOR, VULGAR
from reward_fns.numbers.units import is_label
from reward_fns.numbers.words import MAGNITUDE, Word, find_words, whole

MAX_DIGITS = 400
MAX_EXPONENT = 400


class Number(NamedTuple):
    """One number as written."""

    value: Fraction
    decimals: int | None
    """Digits after the decimal point; None for integers and fractions, which are exact."""
    percent: bool = False
    unit: str = ""
    """What stood after the number: "cm", "apples", ..."""
    start: int = 0
    end: int = 0
    kind: str = "plain"
    """plain, fraction, word, ordinal, range, clock or list (an item marker such as "2."): only the first three can be
    answers in running text."""
    currency: bool = False
    scale: int = 1
    """What a word after the number multiplied it by: 10**6 for "1.5 million"."""


_CURRENCY = (
    r"(?:US|CA|AU|A|C|HK|NZ)?\\?\$|[€£¥₹₩₽]|\\(?:pounds|euro|text\{\s*\$\s*\})|(?:USD|EUR|GBP|Rs\.?|RMB|INR)(?=[\s\d])"
)
_INTEGER = rf"\d{{1,3}}(?:{SEPARATOR}\d{{3}})+(?!\d)|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)|\d+"
_DECIMAL = rf"(?:{_INTEGER})(?:\.(?:\d+|(?!\.)(?=\s|$|\}}|\$)))?|\.\d+"
_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺"
_TIMES_TEN = r"\s*(?:\\times|\\cdot|×|·|\*|x|X)\s*10\s*"
_EXPONENT = r"(?:\{\s*([+\-−]?\s*\d{1,4})\s*\}|\(?([+\-−]?\d{1,4})\)?)"
_POWER = (
    rf"(?:{_TIMES_TEN}(?:\^|\*\*)\s*{_EXPONENT}"
    rf"|{_TIMES_TEN}([{_SUPERSCRIPT}]{{1,4}})"
    r"|[eE]([+\-−]?\d{1,4})(?![\w]))"
)
_FRAC = r"\\[dtc]?frac\s*(?:\{\s*([+\-−]?\d{1,40})\s*\}|(\d))\s*(?:\{\s*([+\-−]?\d{1,40})\s*\}|(\d))"
_UNIT = (
    rf"(?:{FONT}\{{\s*([^{{}}]{{1,40}})\}}|"
    + r"\\?(°|′|″)\s*([CF])?|\^\s*\{?\s*(\\circ)\s*\}?\s*(?:(?:"
    + FONT
    + r")?\{?\s*([CF])\b\}?)?|([A-Za-zµμΩ²³][A-Za-z²³/^0-9µμΩ]{0,24}))"
)

_WORDY = r"A-Za-z0-9_\u00b2-\u024f\u0370-\u03ff"
"""Letters that make a number part of a name; Chinese, Japanese and Korean set no blanks around numbers."""

_HYPHENATED = r"-(?=\d{1,6}/\d{1,6}[\s-]?(?:\\(?:text|mathrm)\b|[A-Za-z]{2}))"
"""A hyphen makes a mixed number only before a unit, "2-1/2 inches"; 17-3/5 is a difference."""

_NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![{_WORDY})\]\}}%°.])(?<![\d)\]\}}%°]\s)[-−–+](?=[\d.$€£\\])|(?:^|(?<=[=:(]\s)|(?<=[=:(]))[-−–+]\s?|\b(?:[Mm]inus|[Nn]egative)\s)?
    (?:(?P<currency>{_CURRENCY})\s*(?P<sign2>[-−])?\s*)?
    (?<![{_WORDY}.\\])(?<!\d,)
    (?:
        (?:(?P<whole>\d{{1,12}})\s*)?(?P<frac>{_FRAC})
      | (?P<mixed>\d{{1,12}})(?:\s+|\s*and\s+|{_HYPHENATED})(?P<mnum>\d{{1,6}})\s*/\s*(?P<mden>\d{{1,6}})(?![\d/]|\.\d)
      | (?P<num>\d{{1,40}})\s*/\s*(?P<den>\d{{1,40}})(?![\d/]|\.\d)
      | (?:(?P<vwhole>\d{{1,12}})\s?)?(?P<vulgar>[{"".join(VULGAR)}])
      | (?P<decimal>{_DECIMAL})(?P<power>{_POWER})?
    )
    (?P<ordinal>st|nd|rd|th)?(?![{_WORDY}]*_)
    (?P<percent>\s*(?:\\?%|％|\\\\%|percentage\s+points?\b|percent\b|per\s?cent\b|pct\b|{TEXT}\{{\s*(?:percent|\\?%)\s*\}}))?
    """,
    re.VERBOSE,
)
_AFTER = re.compile(rf"\s{{0,2}}(?:\\[,;: ]|~|-)?\s{{0,2}}{_UNIT}")
_GROUPING = re.compile(r"[,{}\\!\s’'\u202f\u00a0\u2009]")
_SUPER_DIGITS = str.maketrans(_SUPERSCRIPT, "0123456789-+")


def find_all(text: str) -> list[Number]:
    """All numbers of ``text`` in order, number words included."""
    text = with_points(text)
    found = [number for match in _NUMBER.finditer(text) if (number := _from_match(match, text)) is not None]
    words = [_from_word(word) for word in find_words(text)]
    if words:
        merged = sorted(found + words, key=lambda number: number.start)
        found = [n for i, n in enumerate(merged) if i == 0 or n.start >= merged[i - 1].end]
    return _compounded(found, text) if len(found) > 1 else found


_COMMA_DECIMAL = re.compile(
    r"(?<![\d.,(\[{])(?:"
    r"(\d{1,3}(?:\.\d{3})+,\d+)"  # 1.234,56
    r"|(\d{1,3}(?:[ \u00a0\u202f]\d{3})+,\d{1,2})(?!\d)"  # 12 345,6
    r"|(?<=€)(\d+,\d{1,2})(?![\d,])|(?<=€ )(\d+,\d{1,2})(?![\d,])"
    r"|(\d+,\d{1,2})(?=\s\$(?!\S)|\s?(?:€|EUR\b|Euro|euro|kg\b|g\b|cm|mm\b|km|m\b|m²|m\^|l\b|%|°"
    r"|Grad\b|Prozent\b|Liter\b|Stunden\b))"
    r"|(?<=\bist )(\d+,\d{1,2})(?!\d)|(?<=\bträgt )(\d+,\d{1,2})(?!\d)|(?<=\best )(\d+,\d{1,2})(?!\d)"
    r"|(?<=\bes )(\d+,\d{1,2})(?!\d)"
    r")|(?:(?<=\bes )|(?<=\bist )|(?<=\bson ))(\d{1,3}(?:\.\d{3})+)(?![\d,.])"
)
_TO_POINTS = str.maketrans({".": "'", " ": "'", "\u00a0": "'", "\u202f": "'", ",": "."})


def with_points(text: str) -> str:
    """Numbers with a decimal comma, where the comma is one beyond doubt, in English spelling of the same length:
    "1.234,56 €" -> "1'234.56 €"."""
    if "," not in text and " es " not in text and " ist " not in text and " son " not in text:
        return text
    return _COMMA_DECIMAL.sub(lambda match: match.group().translate(_TO_POINTS), text)


_COMPOUND = {
    ("hour", "minute"): 60,
    ("minute", "second"): 60,
    ("hr", "min"): 60,
    ("h", "min"): 60,
    ("foot", "inch"): 12,
    ("ft", "in"): 12,
}
_SINGULAR = {
    "feet": "foot", "inches": "inch", "hours": "hour", "minutes": "minute", "seconds": "second", "hrs": "hr",
    "mins": "min",
}  # fmt: skip
_BETWEEN = re.compile(r"\s*(?:,|and|,\s*and)?\s*")


def _compounded(numbers: list[Number], text: str) -> list[Number]:
    """ "1 hour 30 minutes" as one quantity in the smaller unit."""
    kept: list[Number] = []
    for number in numbers:
        before = kept[-1] if kept else None
        if before is not None and before.unit and number.unit:
            large, small = (_SINGULAR.get(unit, unit) for unit in (before.unit, number.unit))
            factor = _COMPOUND.get((large, small))
            after = text.find(before.unit, before.end) + len(before.unit)
            if factor and _BETWEEN.fullmatch(text, after, number.start):
                kept[-1] = number._replace(value=before.value * factor + number.value, start=before.start)
                continue
        kept.append(number)
    return kept


_PLAIN = re.compile(r"[+\-−]?\d{1,15}")
_SPACED = re.compile(r"[+\-−]?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_ZERO_COMMA = re.compile(r"[+\-−]?0,\d+")


@lru_cache(maxsize=8192)
def parse(text: str) -> Number | None:
    """The number that ``text`` as a whole states (with currency, unit, percent), else None."""
    stripped = text.strip()
    if _PLAIN.fullmatch(stripped):  # by far the commonest case
        return Number(Fraction(int(stripped.replace("−", "-"))), None)
    cleaned = with_points(tidy(stripped).rstrip("!"))
    if "±" in cleaned or "\\pm" in cleaned:
        return None
    if not cleaned or len(cleaned) > MAX_DIGITS + 100:
        return None
    if cleaned[:1] + cleaned[-1:] in ("()", "[]", "{}") and not any(sign in cleaned[1:-1] for sign in "()[]{},;"):
        cleaned = cleaned[1:-1].strip()
    named = whole(cleaned)
    if named is not None:
        return Number(named, None, kind="word")
    if _SPACED.fullmatch(cleaned):  # 12 345.6
        cleaned = cleaned.replace(" ", "")
    elif _ZERO_COMMA.fullmatch(cleaned):  # 0,5: a decimal comma beyond doubt
        cleaned = cleaned.replace(",", ".")
    match = _NUMBER.match(cleaned)
    if match is not None and match.end() > 0:
        number = _from_match(match, cleaned)
        if number is None or number.kind not in ("plain", "fraction"):
            return None
        rest = cleaned[number.end :].strip()
        if number.unit and _ANOTHER.search(rest):
            found = find_all(cleaned)
            return found[0] if len(found) == 1 and found[0].unit != number.unit else None
        return number._replace(unit=rest) if not rest or is_label(rest) else None
    words = [_from_word(word) for word in find_words(cleaned)]
    if len(words) == 1 and words[0].start == 0:
        rest = cleaned[words[0].end :].strip()
        return words[0]._replace(unit=rest) if not rest or is_label(rest) else None
    return None


_ANOTHER = re.compile(r"(?:^|\s)\d")


_WRAPPED = re.compile(rf"(?:{FONT}|\\displaystyle)?{GROUP}")


def tidy(text: str) -> str:
    r"""What surrounds a short answer taken off: dollars that delimit mathematics, bold, quotes, final stops,
    \text{...} around it all."""
    text = text.strip()
    for _ in range(6):
        before = text
        if len(text) > 1 and text[0] == "$" and text[-1] == "$":
            text = text[1:-1].strip("$")
        if text[:2] in (r"\(", r"\[") and text[-2:] in (r"\)", r"\]"):
            text = text[2:-2]
        text = text.strip(" \t\n\r*_`\"'“”‘’;:。✅✓✔")
        if text[-2:] in (r"\,", r"\;", r"\:", r"\!", "\\ "):
            text = text[:-2]
        if text[:2] in (r"\,", r"\;", r"\:", r"\!", "\\ "):
            text = text[2:]
        text = (text if text.endswith("...") else text.rstrip(".,")).strip()
        if text.endswith("$") and text.count("$") == 1 and len(text) > 1:
            text = text[:-1]
        if text.endswith("}") and (wrapped := _WRAPPED.fullmatch(text)) is not None:
            text = wrapped[1]
        for wrapper in (
            r"\displaystyle",
            r"\approx",
            "≈",
            "~",
            r"\sim",
            "about ",
            "approximately ",
            "roughly ",
            "around ",
            "exactly ",
            "=",
        ):
            if text.startswith(wrapper):
                text = text[len(wrapper) :].lstrip()
        if text == before:
            break
    return text


def _from_word(word: Word) -> Number:
    return Number(word.value, None, word.percent, "", word.start, word.end, "word")


def _from_match(match: re.Match[str], text: str) -> Number | None:
    value, decimals, kind = _value(match)
    if value is None:
        return None
    sign = (match["sign"] or "") + (match["sign2"] or "")
    if sign and sign.strip()[:1] in "-−–mMnN":
        value = -value
    start = match.start("currency") if match["currency"] else match.start()
    if match["sign"] and match.start("sign") >= 0:
        start = match.start("sign")
    end = match.end()
    if match["ordinal"]:
        kind = "ordinal"
    unit = ""
    scale = 1
    if not match["percent"] and kind != "ordinal":
        after = _AFTER.match(text, end)
        if after is not None:
            unit = next((group for group in after.groups() if group), "").strip()
            scale = MAGNITUDE.get(unit.lower(), 1)
            if scale > 1:
                value, end = value * scale, after.end()
                unit = ""
            elif text[end : end + 1].isalpha() and len(unit) > 4 and not after.group(1):
                kind = "list" if kind == "plain" else kind  # glued to a word: "3rdparty", "7eleven"
    if kind == "plain":
        kind = _context(text, start, end)
    return Number(value, decimals, bool(match["percent"]), unit, start, end, kind, bool(match["currency"]), scale)


def _value(match: re.Match[str]) -> tuple[Fraction | None, int | None, str]:
    """Exact value, digits after the point and kind of one match."""
    if match["frac"]:
        _, _, n1, n2, d1, d2 = [match[name] for name in ("frac", "whole")] + list(_frac_groups(match))
        top, bottom = _integer(n1 or n2), _integer(d1 or d2)
        if bottom == 0:
            return None, None, ""
        whole = int(match["whole"]) if match["whole"] else 0
        return whole + Fraction(top, bottom), None, "fraction"
    if match["mixed"]:
        whole, top, bottom = (int(match[name]) for name in ("mixed", "mnum", "mden"))
        if bottom == 0:
            return None, None, ""
        if top >= bottom and _GROUPED.fullmatch(match[0].strip()):  # 43 689/359: thousands, no mixed number
            return Fraction(int(match["mixed"] + match["mnum"]), bottom), None, "fraction"
        return whole + Fraction(top, bottom), None, "fraction"
    if match["num"]:
        bottom = int(match["den"])
        return (Fraction(int(match["num"]), bottom), None, "fraction") if bottom else (None, None, "")
    if match["vulgar"]:
        return int(match["vwhole"] or 0) + Fraction(*VULGAR[match["vulgar"]]), None, "fraction"
    digits = _GROUPING.sub("", match["decimal"])
    if len(digits) > MAX_DIGITS:
        return None, None, ""
    before, _, decimals = digits.partition(".")
    value = Fraction(int(before or "0")) + (Fraction(int(decimals), 10 ** len(decimals)) if decimals else 0)
    places = len(decimals) if decimals else None
    if match["power"]:
        exponent = _integer(next(group for group in _power_groups(match) if group).translate(_SUPER_DIGITS))
        if abs(exponent) > MAX_EXPONENT:
            return None, None, ""
        value = value * Fraction(10) ** exponent
        places = None if places is None and exponent >= 0 else max(0, (places or 0) - exponent)
    return value, places, "plain"


_GROUPED = re.compile(r"[-−–+]?[1-9]\d{0,2}[ \u00a0]\d{3}\s*/\s*\d+")


def _integer(text: str) -> int:
    return int(text.replace("−", "-").replace(" ", ""))


_FRAC_FIRST = _NUMBER.groupindex["frac"] + 1
_POWER_FIRST = _NUMBER.groupindex["power"] + 1


def _frac_groups(match: re.Match[str]) -> tuple[str | None, ...]:
    return match.group(*range(_FRAC_FIRST, _FRAC_FIRST + 4))


def _power_groups(match: re.Match[str]) -> tuple[str | None, ...]:
    return match.group(*range(_POWER_FIRST, _POWER_FIRST + 4))


_CLOCK_AFTER = re.compile(r":\d")
_RANGE_AFTER = re.compile(r"\s?[-–—~]\s?\$?\d")
_RANGE_BEFORE = re.compile(r"\d\s?[–—~]\s?\$?$|\d-\$?$")
_ITEM_AFTER = re.compile(r"[.)]\s+\S")


def _ends_open(before: str) -> bool:
    """A quick look before _RANGE_BEFORE is tried."""
    return before[-1:] in ("-", "–", "—", "~", "$") or before[-1:].isspace()


def _context(text: str, start: int, end: int) -> str:
    """Whether the place of a plain number says that it is no quantity: part of a range, a clock time, an item
    marker."""
    before, after = text[max(0, start - 12) : start], text[end : end + 8]
    if _CLOCK_AFTER.match(after) or (before.endswith(":") and before[-2:-1].isdigit()):  # 10:30, 4:9
        return "clock"
    if _RANGE_AFTER.match(after) or (_ends_open(before) and _RANGE_BEFORE.search(before)):
        return "range"
    if (
        _ITEM_AFTER.match(after)
        and (not before.strip(" *#") or before.rstrip(" *#").endswith("\n"))
        and end - start <= 2
    ):
        return "list"
    return "plain"
