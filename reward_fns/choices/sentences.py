r"""What one sentence chooses.

    settled("So it must be (C).", options, several=False)                -> {"C"}
    settled("Option B shows a wave.", options, several=False)            -> None, a mention
    mentions("Option B shows a wave.", options)                          -> {"B"}

A capital letter in prose is an option only where something says so: brackets, bold, "option", or the end of a
concluding phrase. The article "A", the pronoun "I" and the points of a triangle are none. Denied letters ("not B",
"B is wrong") are never chosen. Not here: which sentence counts (reading.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from reward_fns.answer.denial import DENIAL, DENIED_BEFORE, DENIED_IN_CLAUSE
from reward_fns.answer.phrases import THEREFORE
from reward_fns.choices.letters import LETTERS
from reward_fns.choices.options import Options
from reward_fns.choices.phrases import (
    ABOUT_DENIAL,
    BECAUSE,
    BRACKETED,
    BUT,
    CHOOSES,
    DENIED_AFTER,
    DOUBTED,
    ENUMERATED,
    GOES_ON,
    IS_BEST,
    IS_RIGHT,
    IS_RIGHT_IN_CHINESE,
    JOINED,
    LISTED_TOGETHER,
    MENTIONED_BEFORE,
    NONE_OF,
    OR_ANOTHER,
    OTHER_THINGS,
    SMALL_WORDED,
    STOP,
    WORDED,
)


def settled(sentence: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letter that one sentence chooses in so many words; the last one when there are more."""
    best: tuple[int, frozenset[str]] | None = None
    for start, letter in [*_chosen(sentence), *_called_right(sentence)]:
        if letter in options.letters and (best is None or start >= best[0]):
            best = (start, _with_neighbours(sentence, start, letter, options, several))
    return best[1] if best else None


_WEAK_VERB = re.compile(rf"(?:is|are|be|but|=|:|：|say|{THEREFORE}|it's|its|only)", re.IGNORECASE)
"""After these a letter may also name a point or a triangle."""


def _chosen(sentence: str) -> Iterator[tuple[int, str]]:
    """Letters after a verb of choosing: "the answer is B", "so (B)", "not A but B"."""
    for match in CHOOSES.finditer(sentence):
        bracketed = match["bracketed"]
        letter = bracketed or match["bare"]
        start = match.start("bracketed" if bracketed else "bare")
        if not letter.isupper():  # "(b)", and "option b" before a stop
            worded = SMALL_WORDED.search(sentence[max(0, start - 10) : start]) and STOP.match(sentence, match.end())
            if letter == "i" or not (bracketed or worded):
                continue
            letter = letter.upper()
        if _negated(sentence, match.start(), start, match.end()) or _in_passing(sentence, match, start):
            continue
        weak = _WEAK_VERB.fullmatch(match["verb"]) is not None
        if weak and not bracketed and OTHER_THINGS.search(sentence[max(0, start - 24) : start]):
            continue
        yield start, letter


def _in_passing(sentence: str, match: re.Match[str], start: int) -> bool:
    """Whether the letter at ``start`` is mentioned, not chosen: "option B shows ...", "in choice B", "B or C", "among
    A, B, C and D"."""
    if OR_ANOTHER.match(sentence, match.end()):
        return True
    if match["verb"].lower() in ("option", "choice", "answer"):
        before = sentence[max(0, match.start() - 30) : match.start()]
        if MENTIONED_BEFORE.search(before):
            return True
        if (not before.strip(" -*•>#,;:") or before.rstrip()[-1:] in ",;:") and GOES_ON.match(sentence, match.end()):
            return True
    return _enumerated(sentence, start)


def _enumerated(sentence: str, start: int) -> bool:
    """Whether the letter at ``start`` stands in a list of three or more, as the names of all options do."""
    return any(first <= start < end for first, end in _enumerations(sentence))


@lru_cache(maxsize=64)
def _enumerations(sentence: str) -> tuple[tuple[int, int], ...]:
    """Where such lists stand; asked for once per letter, so it is looked for once per sentence."""
    return tuple(found.span() for found in ENUMERATED.finditer(sentence))


def _negated(sentence: str, verb: int, start: int, end: int) -> bool:
    """Whether the choice between ``verb`` and ``start`` is denied before or after."""
    before = sentence[max(0, verb - 24) : start]
    if sentence[verb : verb + 3].strip() in ("is", "are") and ABOUT_DENIAL.search(sentence[:verb]):
        return bool(DENIED_AFTER.match(sentence, end)) and not BECAUSE.match(sentence, end)
    if DENIED_IN_CLAUSE.search(before):
        return True
    return bool(DENIED_AFTER.match(sentence, end)) and not BECAUSE.match(sentence, end)


def _called_right(sentence: str) -> Iterator[tuple[int, str]]:
    """Letters that are called right: "(B) is correct", "Option B seems to be the best answer"."""
    for match in (*IS_RIGHT.finditer(sentence), *IS_BEST.finditer(sentence), *IS_RIGHT_IN_CHINESE.finditer(sentence)):
        bracketed = match["bracketed"]
        letter = bracketed or match["bare"]
        start = match.start("bracketed" if bracketed else "bare")
        before = sentence[max(0, start - 40) : start]
        if not letter.isupper() or DENIAL.search(sentence[start : match.end()]) or DENIED_BEFORE.search(before):
            continue
        if (
            NONE_OF.search(sentence[max(0, start - 80) : start])
            or DOUBTED.search(before)
            or BUT.match(sentence, match.end())
        ):
            continue
        if not bracketed:
            worded = re.search(r"(?i)(?:option|choice|answer|letter)\s*$", before)
            article = letter in "AI" and re.match(
                r"[AI]\s+(?!is\b|seems|appears|would|must|looks|fits|matches|best)[a-z]", sentence[start:]
            )
            if OTHER_THINGS.search(before) or (article and not worded):
                continue
        yield start, letter


@lru_cache(maxsize=64)
def _lists(sentence: str) -> tuple[re.Match[str], ...]:
    return tuple(LISTED_TOGETHER.finditer(sentence))


def _with_neighbours(sentence: str, start: int, letter: str, options: Options, several: bool) -> frozenset[str]:
    """Letters that are listed together with the chosen one: "(A) and (C)"; commas alone join only when several answers
    are asked for."""
    for listed in _lists(sentence):
        if listed.start() <= start < listed.end():
            found = LETTERS.findall(listed.group())
            letters = frozenset(found)
            if len(letters) < len(found):  # "between B and D, D is ..."
                continue
            joined = JOINED.search(listed.group()) and not DENIED_AFTER.match(sentence, listed.end())
            if letters <= options.letters and (several or joined):
                return letters | {letter}
    return frozenset(letter)


def mentions(sentence: str, options: Options) -> frozenset[str]:
    """Formatted letters of a sentence that are not negated."""
    found = set()
    for pattern in (WORDED, BRACKETED):
        for match in pattern.finditer(sentence):
            letter = match.group(1)
            if (
                letter not in options.letters
                or _enumerated(sentence, match.start(1))
                or OR_ANOTHER.match(sentence, match.end())
            ):
                continue
            if DENIED_BEFORE.search(sentence[max(0, match.start() - 40) : match.start(1)]) or DENIED_AFTER.match(
                sentence, match.end()
            ):
                continue
            found.add(letter)
    return frozenset(found)


def mentions_things(before: str) -> bool:
    """Whether the letter after ``before`` names something else: "triangle ", "point "."""
    return OTHER_THINGS.search(before) is not None
