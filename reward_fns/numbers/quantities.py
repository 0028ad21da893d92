r"""The quantities of a sentence, and which of them the sentence is about.

    best("Therefore, it took 3 + 5 = 8 hours to travel 120 miles.")    -> Number(value=8, ...)
    best("3 of the 12 boys")                                           -> Number(value=3, ...)

Every number gets points for what stands around it (evidence.py). Ranges, clock times, item markers, step numbers and
ordinals are no quantities; years only when nothing else is there. Mathematics between dollars is read as a whole:
$\frac{1+\sqrt{5}}{2}$ is one quantity.
Not here: which sentence decides (conclusions.py).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from reward_fns.answer.caseless import Caseless
from reward_fns.answer.wrappers import FONT
from reward_fns.numbers import numerals
from reward_fns.numbers.evidence import Standing, points
from reward_fns.numbers.numerals import Number
from reward_fns.symbolic.reading import last_row, mathematics, read
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.values import Reading, symbols, value

MAX_SENTENCE = 800
"""Characters of a sentence that are searched for numbers: its end, or its beginning after "the answer is"."""

_YEAR_BEFORE = re.compile(
    r"(?i)\b(?:in|since|from|by|during|until|of|year|before|after|between|and|to|for|years|the)\s*$"
)
_NUMBERED = (
    r"step|figure|fig\.?|table|question|problem|equation|eq\.?|case|part|chapter|section|theorem|option|choice|example"
    r"|no\.|row|column|image|page|line|angle|grade|group|class|method|version|triangle|point|room|route|number|player"
    r"|item|rule|law|level"
)
_LABEL_BEFORE = Caseless(rf"(?:\b(?:{_NUMBERED})\s*#?\(?|[#∠\[]|[\^_]\s*\{{?-?)$")
_NOT_QUANTITY_AFTER = re.compile(
    r"(?i)^\s*-?\s*(?:decimal|significant|digits?\b|d\.p|s\.f|sig\b|\]|dimensional|sided|st\b|nd\b|th\b)"
)
_A_VALUE = r"\s*=\s*-?[\d./]+"
_TWO_VALUES = re.compile(
    rf"(?<![A-Za-z\d])(?<!\d )([A-Za-z]){_A_VALUE}[\s$\\()]*(?:,\s*or|,\s*and|,|or|and)[\s$\\()]*\1{_A_VALUE}"
)
"""x = 3 or x = -5: two answers, of which none is to be picked."""
_RANGE_BEFORE = Caseless(r"\b(?:between|from)\s+[\w$.,%]+\s+(?:and|to)\s+\$?$|\b(?:between)\s+\$?$|\d\s+to\s+\$?$")
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")


@lru_cache(maxsize=1024)
def best(sentence: str, early: bool = False, year: bool = False) -> Number | None:
    """The quantity that a sentence is about.

    Args:
        early: of equals the first wins, as after "the answer is".
        year: years count like other quantities.
    """
    sentence = sentence[:MAX_SENTENCE] if early else sentence[-MAX_SENTENCE:]
    quantities = _quantities(sentence, year)
    if not quantities:
        return None
    if len(quantities) == 1:
        return quantities[0]
    bold = [(match.start(1), match.end(1)) for match in _BOLD.finditer(sentence)]
    scored = []
    for rank, number in enumerate(quantities):
        is_bold = any(start <= number.start < end for start, end in bold)
        standing = Standing(sentence, number, rank, quantities[0].end, is_bold, year)
        scored.append((points(standing), -rank if early else rank, number))
    chosen = max(scored, key=lambda entry: entry[:2])[2]
    several = _TWO_VALUES.search(sentence)
    if several is not None and chosen.end > several.start() and chosen.start < several.end():
        return chosen._replace(kind="several")
    return chosen


def _quantities(text: str, year: bool) -> list[Number]:
    """The numbers of ``text`` that can be answers, mathematics between dollars read as a whole."""
    found: list[Number] = []
    numbered: list[Number] = []
    plain = []
    at = 0
    for start, end, content in mathematics(text):
        plain.append(text[at:start])
        plain.append(" " * (end - start))
        number = numerals.parse(content) or expression_number(content)
        if number is None and "=" in content:  # T = 118.6 min = 7.1 s
            number = numerals.parse(content.rpartition("=")[2])
        if number is not None:
            found.append(number._replace(start=start, end=end))
        at = end
    plain.append(text[at:])
    outside = "".join(plain)
    for number in numerals.find_all(outside):
        if number.kind not in ("plain", "fraction", "word"):
            continue
        before, after = outside[max(0, number.start - 24) : number.start], outside[number.end : number.end + 16]
        if (
            _FACTOR_AFTER.match(after)
            or _DENIED_BEFORE.search(before)
            or (_FROM_BEFORE.search(before) and _TO_AFTER.match(after))
        ):
            continue
        if before.rstrip().endswith("number"):
            numbered.append(number)
        if _LABEL_BEFORE.search(before) or _NOT_QUANTITY_AFTER.match(after) or _RANGE_BEFORE.search(before):
            continue
        if (
            number.kind == "word"
            and number.value == 1
            and not number.unit
            and _NO_ONE.match(outside, number.start)
            and not _JUST.search(before)
        ):
            continue
        found.append(number)
    if not found and not numbered:  # "in the 5th week": better than nothing
        return [n._replace(kind="weak") for n in numerals.find_all(outside) if n.kind == "ordinal"]
    found = found or numbered  # "the number 17 is correct", when nothing else is said
    found.sort(key=lambda number: number.start)
    if year:
        return found
    years = [n for n in found if _is_year(n, text)]
    not_years = [n for n in found if not years or not (n in years or _could_be_year(n, text))]
    return not_years or [n._replace(kind="weak") for n in found]


_FACTOR_AFTER = re.compile(r"\s?(?:π|\\pi\b|√|\\sqrt\b)")  # 24π is not 24
_DENIED_BEFORE = Caseless(
    r"(?:\bnot|n't|\brather\s+than|\binstead\s+of)\s+(?:\\?\$|equal\s+to\s+|exactly\s+|just\s+)?$"
)
_FROM_BEFORE = Caseless(r"\b(?:from|between)\s+(?:\\?\$)?$")
_TO_AFTER = re.compile(r"(?i)\s*%?\s*(?:\w+\s+)?(?:to|and|until)\s+(?:\\?\$)?\d")
_JUST = Caseless(r"\b(?:just|only|exactly)\s+$")
_NO_ONE = re.compile(
    r"(?i)one\s+(?:of|can|could|must|has|another|is|by|way|side|should|might|may|would|needs)\b|one[.,]"
)


def _could_be_year(number: Number, text: str) -> bool:
    if number.decimals is not None or number.currency or not 1500 <= number.value <= 2100:
        return False
    return not number.unit.startswith("year") and text[number.start : number.end].isdigit()


def _is_year(number: Number, text: str) -> bool:
    return _could_be_year(number, text) and bool(_YEAR_BEFORE.search(text[max(0, number.start - 12) : number.start]))


_COMMANDS = re.compile(rf"{FONT}\{{[^{{}}]*\}}|\\[A-Za-z]+")
_RANGE = re.compile(r"[\d.,$%\s]+[-–—][\d.,$%\s]+")
_SAYS_MORE = re.compile(r"\b(?!(?:sqrt|sin|cos|tan|log|ln|exp|pi|and)\b)[a-z]{2,}\b(?!\s*=).*\d", re.DOTALL)
"""A word before a number: prose, whose numbers are not factors of each other."""
_ASIDE = re.compile(r"\d\s+\(")  # "0.67 (2/3)" is no product


@lru_cache(maxsize=4096)
def expression_number(text: str) -> Number | None:
    r"""The value of a constant expression or of the last member of an equation: "2\sqrt{3}", "x = 3 + 4 = 7",
    "\frac{10}{4} \text{ cm}"."""
    if "\\begin{" in text:
        text = last_row(text)
    if len(text) > 300 or _ASIDE.search(text) or _RANGE.fullmatch(text) or _SAYS_MORE.search(_COMMANDS.sub(" ", text)):
        return None
    tree = read(text).tree
    if tree is None:
        return None
    unit = ""
    percent = False
    if tree[0] == "rel":
        if any(operator not in ("=", "~", "to") for operator in tree[1]):
            return None
        last = tree[2][-1]
        tree = tree[2][0] if last[0] in ("sym", "text") else last
    if tree[0] == "unit":
        tree, unit = tree[1], tree[2]
    if tree[0] == "percent":
        tree, percent = tree[1], True
    if tree[0] in ("list", "set", "group", "text", "pm", "matrix", "union", "ratio") or symbols(tree):
        return None
    try:
        result = value(tree, Reading())
    except TooHard:
        return None
    if isinstance(result, complex):
        if abs(result.imag) > 1e-12:
            return None
        return Number(Fraction(result.real), None, percent, unit, 0, len(text), "expression")
    decimals = tree[2] if tree[0] == "dec" else None
    return Number(result, decimals, percent, unit, 0, len(text), "fraction")
