r"""An answer as written to something that can be compared: tree, number, unit, words.

    read(r"$x = \frac{1}{2}\text{ cm}$")  -> Answer(source=..., number=None, tree=("rel", ...), key=...)
    candidates("is $x=5$, because $y=3$") -> "x=5" first

One answer is read once: golds and short answers are cached. Not here: where in a response the answer stands
(answer/places.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from reward_fns.answer.squeeze import squeezed
from reward_fns.answer.wrappers import (
    FONT,
    FONT_COMMANDS,
    FRAMES,
    GROUP,
    MATH_COMMANDS,
    TEXT,
    TEXT_COMMANDS,
    any_of,
    unwrapped,
)
from reward_fns.numbers import numerals
from reward_fns.numbers.numerals import Number
from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.tree import parse


class Answer(NamedTuple):
    """One answer in all the forms in which it can be compared."""

    source: str
    """What was read, without delimiters; goes to math-verify when nothing else decides."""
    number: Number | None
    tree: Node | None
    """None when the notation is beyond the built-in reader."""
    key: str
    """Canonical spelling: equal keys mean equal answers."""


_SPACES = re.compile(r"\s+|\\[,;:! ]|\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\(?=[()\[\]])|[$~]")
_WRAPPED = re.compile(any_of(TEXT_COMMANDS, MATH_COMMANDS, FONT_COMMANDS, FRAMES) + r"\s*" + GROUP)


_APART = re.compile(r"(?<=\d)\s+(?=\d)")
"""1 2 is not 12."""


def key(text: str) -> str:
    """A spelling without layout: the cheapest test of equality."""
    text = unwrapped(text.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac").replace("−", "-"), pattern=_WRAPPED)
    text = text.replace(r"\land", r"\wedge").replace(r"\lor", r"\vee")
    text = _SPACES.sub("", _APART.sub("_", text)).rstrip(".")
    return text.replace("{", "").replace("}", "") if text.count("{") == 0 else text


_LETTER_AFTER = re.compile(r"\d[A-Za-z]$")
_BLANKS = re.compile(r"\s{2,}")
_NUMBERED = re.compile(r"(?:\(\d\)\s*){2,}")


@lru_cache(maxsize=8192)
def read(text: str) -> Answer:
    """``text`` in all forms; never raises on what it says."""
    source = tidied(text)
    number = numerals.parse(source) if "!" not in source else None  # 5! is no 5
    if number is not None and _LETTER_AFTER.search(source):
        number = None  # 2k and 5m are products; "5 m" has a unit
    tree: Node | None = None
    if _NUMBERED.fullmatch(source):  # (1)(3)(4) names statements; it is no product
        return Answer(source, None, ("text", re.sub(r"\s", "", source)), key(source))
    if number is None or number.unit or number.percent:
        try:
            # Runs of blanks are one to the parser; _PARAMETER would take time in the fourth power of their length.
            tree = parse(_PARAMETER.sub("", _BLANKS.sub(" ", source)))
        except (TooHard, RecursionError):
            tree = _named_value(source)
    if tree is None and number is not None:
        tree = ("dec", number.value, number.decimals) if number.decimals else ("num", number.value)
        if number.percent:
            tree = ("percent", tree)
        elif number.unit:
            tree = ("unit", tree, number.unit)
    return Answer(source, number, tree, key(source))


_PARAMETER = re.compile(
    r"(?<=.)(?:,|，|;|\\[ ,;:!]|\\q?quad|"
    + TEXT
    + r"\{[^{}]*\}|\s)*[(（]?\s*(?:(?:"
    + TEXT
    + r"\{)?\s*(?:where|for)\s+(?:any\s+|all\s+)?(?:integers?\s+)?\}?)?\s*[knm]\s*"
    r"(?:(?:\\in|∈)\s*(?:\\mathbb\s*|"
    + FONT
    + r")?\{?\s*[ZNℤℕ]\s*\}?(?:\s*\^?\s*[+*]|_\{?[+0]\}?)?|(?:"
    + TEXT
    + r"\{)?\s*(?:is|be|are|being)\s+(?:an?|any)\s+integers?\s*\}?)\s*[)）]?\s*$"
)
r"""The condition on the integer of a periodic solution: ", k \in \mathbb{Z}", "where n is an integer"."""
_GEOMETRY = re.compile(
    r"(?:m\s?|\\m\s?)?(?:\\(?:measured)?angle|∠|\\triangle|△|\\overline|\\widehat"
    r"|\\overset\{\\frown\}|\\arc|\\measure)(?:[\sA-Z0-9'_{}]|" + FONT + r"|\\circ){0,30}"
)
r"""What names an angle, a segment or an arc: \angle ABC, m\angle 2, \overline{AB}."""


def _named_value(source: str) -> Node | None:
    r"""The tree of "\angle ABC = 70": a name that is no mathematics by itself, and its value."""
    name, equals, rest = source.partition("=")
    if not equals or not _GEOMETRY.fullmatch(name.strip()):
        return None
    try:
        bare = re.sub(r"[^A-Za-z0-9]", "", name.replace("∠", "angle").replace("measured", ""))
        return ("rel", ("=",), (("text", bare.removeprefix("m")), parse(rest.rpartition("=")[2])))
    except (TooHard, RecursionError):
        return None


_ESCAPED_TWICE = re.compile(r"\\\\(?=[A-Za-z]{2})")
_MERIDIEM = re.compile(r"\b([apAP])\.\s?m\.?")
_ROWS = re.compile(r"\\begin\{(align|aligned|gather|gathered|split|eqnarray)\*?\}(.*?)\\end\{\1\*?\}", re.DOTALL)


def last_row(text: str) -> str:
    """What an aligned derivation ends with."""
    return _ROWS.sub(lambda rows: rows[2].rstrip(" \\\n").rpartition("\\\\")[2].replace("&", " "), text)


_PREFIX = re.compile(
    r"^(?:(?:" + TEXT + r"\{)?\s*(?:the\s+)?(?:final\s+|correct\s+)?answer\s*(?:is\b|:|=)\s*:?\s*\}?|\\implies"
    r"|\\Rightarrow|\\therefore|⇒|→|∴|so\s+|thus,?\s+|therefore,?\s+|or\s+|A\s?:\s)\s*",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"(?:[\s.,;:]|\\\\|\\,|\\ |\\qquad|\\quad|\\blacksquare|\\square|\*\*){1,12}$")


def tidied(text: str) -> str:
    """What surrounds an answer taken off: delimiters of mathematics, bold, "The answer is", final stops."""
    text = text.replace("{:}", ":")
    if "\\\\" in text and "begin" not in text:  # escaped once too often, as in JSON
        text = _ESCAPED_TWICE.sub(r"\\", text)
    if ".m" in text:
        text = _MERIDIEM.sub(r"\1m", text)
    if "\\begin{" in text:
        text = last_row(text)
    for _ in range(4):
        before = text
        text = numerals.tidy(text)
        text = _PREFIX.sub("", text)
        text = _SUFFIX.sub("", text)
        if text.count("$") == 2 and text[:1] == "$":  # "$5$ apples", "$28$ %"
            text = text.replace("$", " ").strip()
        if text[:2] in (r"\(", r"\[") and text.count(text[:2]) == 1:
            text = text.replace(r"\(", " ").replace(r"\)", " ").replace(r"\[", " ").replace(r"\]", " ").strip()
        if text == before:
            break
    return text


_SEGMENT = re.compile(
    r"\$\$(.{1,600}?)\$\$|(?<!\\)\$([^$\n]{1,300}?)(?<!\\)\$(?!\d)|\\\((.{1,600}?)\\\)|\\\[(.{1,600}?)\\\]", re.DOTALL
)
_JOINT = re.compile(r"\s*(?:,|and|or|,\s*and|,\s*or|;)\s*", re.IGNORECASE)
_CUT = re.compile(
    r"(?i),?\s+(?:not\s|rather\s|instead\s|because|since|as\s|which|where|when|so\s+that|given"
    r"|for\s+(?:all|any|some)|if\s|by\s|using|after|with\s+a)"
    r"|\s*(?:\(|\[)(?:approx|since|rounded|or\s|i\.e|to\s)|\s+—|\s+-\s|;\s"
)
_PROSE = re.compile(r"(?<![\\A-Za-z])[a-z]{3,}\s+[a-z]{2,}|[.?!]\s")


def mathematics(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the mathematics between dollars or LaTeX brackets; dollars of money are none."""
    if "$" not in text and "\\(" not in text and "\\[" not in text:
        return []
    found = []
    at = 0
    while (match := _SEGMENT.search(text, at)) is not None:
        content = next(group for group in match.groups() if group is not None)
        if match.group(2) is not None and _PROSE.search(_COMMANDS.sub(" ", content)):  # "$5 for the book and $"
            at = match.start() + 1
            continue
        found.append((match.start(), match.end(), content))
        at = match.end()
    return found


_COMMANDS = re.compile(rf"{FONT}\{{[^{{}}]*\}}|\\[A-Za-z]+")


def segments(text: str) -> list[str]:
    """The pieces of mathematics in ``text``; neighbours joined by a comma or "and" are one answer."""
    found: list[tuple[int, str]] = []
    for start, end, content in mathematics(text):
        if found and _JOINT.fullmatch(text, found[-1][0], start):
            found[-1] = (end, f"{found[-1][1]}, {content}")
        else:
            found.append((end, content))
    return [content for _, content in found]


def candidates(text: str) -> Iterator[str]:
    """Readings of a short announced answer, the most literal first: whole, its first mathematics, up to the
    explanation."""
    yield text
    text = squeezed(text)
    inside = segments(text)
    if inside:
        yield inside[0]
    cut = _CUT.search(text)
    if cut is not None and cut.start() > 0:
        yield text[: cut.start()]
