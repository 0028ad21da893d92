"""The final number of a response: from the committed places first, else the number that concludes the running text.

    final_number("3 + 4 = 7, so there are 7 apples in 2019.")  -> Number(value=7, ...)

In running text the last concluding sentence decides ("so", "therefore", "in total", an equation), and in it the value after the last
"=" or "is", a bold value, or the last quantity. Ranges, clock times, years with a preposition, list markers and ordinals are no quantities.
"""

from __future__ import annotations

import re

from reward_fns import numerals
from reward_fns.extract import pieces
from reward_fns.numerals import Number

_YEAR_BEFORE = re.compile(r"(?i)\b(?:in|since|from|by|during|until|of|year|before|after|between|and|to|for|years)\s*$")
_LABEL_BEFORE = re.compile(
    r"(?i)\b(?:step|figure|fig\.?|table|question|problem|equation|eq\.?|case|part|chapter|section|theorem|option|choice|example|no\.|row|column|image|page|line|angle|∠|grade|day|group|class)\s*#?\(?$"
)
_CONCLUDES = re.compile(
    r"(?i)\b(?:therefore|thus|hence|so|finally|consequently|in total|altogether|overall|in conclusion|conclude|total|answer|result|we (?:get|have|find)|which (?:is|means|gives|equals)|left|remain\w*|needs?|will)\b|[=≈∴⇒]|\\boxed|\\therefore"
)
_SENTENCES = re.compile(r"\n+|(?<=[.!?])\s+(?=[A-Z*$\\(\"'])")
_ZERO = re.compile(r"(?i)\b(?:none|zero|no (?!matter|doubt|more than|longer|need|idea)\w+|not any|nothing|nobody)\b")
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_EQUATION = re.compile(r"(?:=|≈|\bis\b|\bare\b|\bequals\b|\bwas\b|\bto\b|:)\s*(?:\\?approx(?:imately)?|about|only|\$|\\\(|\*\*)?\s*$", re.IGNORECASE)
_REFUSES = re.compile(
    r"(?i)\b(?:cannot|can't|can not|unable to|not possible to|impossible to|not able to|don't have enough|do not have enough|insufficient|not enough information|not (?:provided|given|clear|enough))\b"
)


def final_number(response: str, answer_after_think: bool = False, zero_words: bool = False) -> Number | None:
    """The number that ``response`` commits to, or None when it states none."""
    for piece in pieces(response, answer_after_think):
        if piece.place == "rest":
            found = concluding_number(piece.text, zero_words)
        else:
            found = final_number_of(piece.text, zero_words)
        if found is not None:
            return found
    return None


def final_number_of(text: str, zero_words: bool = False) -> Number | None:
    """The number of a short committed piece: the piece itself, the bold one, the one after its last "=", else the first quantity."""
    whole = numerals.parse(text)
    if whole is not None:
        return whole
    for bold in _BOLD.findall(text):
        found = numerals.parse(bold)
        if found is not None:
            return found
    head, equals, tail = text.rpartition("=")
    if equals:
        found = numerals.parse(tail) or _first(tail)
        if found is not None:
            return found
    found = _first(text)
    if found is None and zero_words and _ZERO.search(text):
        return numerals.parse("0")
    return found


def _first(text: str) -> Number | None:
    quantities = _quantities(text)
    return quantities[0] if quantities else None


def _quantities(text: str) -> list[Number]:
    """The numbers of ``text`` that can be answers."""
    numbers = numerals.find_all(text)
    kept = [n for n in numbers if n.kind in ("plain", "fraction", "word") and not _LABEL_BEFORE.search(text[max(0, n.start - 16) : n.start])]
    not_years = [n for n in kept if not _is_year(n, text)]
    return not_years or kept


def _is_year(number: Number, text: str) -> bool:
    if number.decimals is not None or number.unit == "years" or not 1500 <= number.value <= 2100:
        return False
    digits = text[number.start : number.end]
    return digits.isdigit() and bool(_YEAR_BEFORE.search(text[max(0, number.start - 12) : number.start]))


def concluding_sentences(text: str) -> list[str]:
    """Sentences of running text, last first."""
    return [s for s in _SENTENCES.split(text) if s and not s.isspace()][-40:][::-1]


def concluding_number(text: str, zero_words: bool = False) -> Number | None:
    """The value that running text ends with."""
    fallback = None
    for place, sentence in enumerate(concluding_sentences(text)):
        if place == 0 and _REFUSES.search(sentence):
            return None
        quantities = _quantities(sentence)
        if not quantities:
            if zero_words and fallback is None and _ZERO.search(sentence):
                return numerals.parse("0")
            continue
        chosen = _best_in_sentence(sentence, quantities)
        if _CONCLUDES.search(sentence):
            return chosen
        fallback = fallback or chosen
    return fallback


def _best_in_sentence(sentence: str, quantities: list[Number]) -> Number:
    for bold in reversed(_BOLD.findall(sentence)):
        inside = numerals.parse(bold)
        if inside is not None:
            return inside
    after_equals = [n for n in quantities if _EQUATION.search(sentence[max(0, n.start - 24) : n.start])]
    if after_equals and "=" in sentence:
        return after_equals[-1]
    return quantities[-1]
