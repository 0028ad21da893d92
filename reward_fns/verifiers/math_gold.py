r"""The gold of ``math``: read once, and compared with an answer that was found.

    read_gold(r"\frac{1}{2}")                          -> Gold(answer=..., letter=None, words="")
    agree(read_gold("0.5"), read(r"\frac{1}{2}"))      -> True
    ask(gold, given, deadline)                         -> a verdict from math-verify, in a killable worker

Not here: which answer a response states (mathematics.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from reward_fns.answer.announced import phrase
from reward_fns.answer.boxed import last_box
from reward_fns.answer.wrappers import TEXT
from reward_fns.choices.letters import undressed
from reward_fns.numbers import numerals, units
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.tolerance import STRICT
from reward_fns.symbolic.compare import same
from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.reading import Answer, read, segments, tidied
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.tree import parse
from reward_fns.texts.normal import normalised
from reward_fns.verdict import GoldError, Verdict, decided
from reward_fns.verifiers.number import same_number
from reward_fns.workers import pool
from reward_fns.workers.processes import TIMEOUT

MAX_GOLD = 200
"""Characters of a ground truth that is an answer; a longer one is a solution and read like a response."""

MAX_HARD = 1_500
"""Longest answer that is given to math-verify; real ones are far shorter."""


class Gold(NamedTuple):
    """A ground truth, read once."""

    answer: Answer
    letter: str | None
    words: str
    """Normalised text, when the answer is words ("no solution", "Tuesday"); else empty."""


_OPTION_GOLD = re.compile(r"\(([A-J])\)(?:(?!\W{1,4}(?:and\W+)?\(?[A-J]\b)\W.*)?|([A-J])|([A-J])[).:]\s.*", re.DOTALL)
"""Golds that name an option: B, (B), B) 12, \\textbf{(B)}\\ 12."""

_OPENS_AS_WORDS = re.compile(rf"{TEXT}|\$")


@lru_cache(maxsize=8192)
def read_gold(text: str) -> Gold:
    """The gold answer; a whole solution as ground truth is read like a response. GoldError when nothing can be made of
    it."""
    stated = last_box(text) or (phrase(text) if "####" in text or len(text) > MAX_GOLD else None) or text
    inside = segments(stated)
    if len(inside) == 1 and _OPENS_AS_WORDS.match(tidied(stated)) is None and len(stated) > len(inside[0]) + 8:
        stated = inside[0]
    answer = read(stated)
    if not answer.key:
        raise GoldError(f"no answer in the ground truth {text[:80]!r}")
    if answer.tree is None and not _worth_asking(answer.source):
        raise GoldError(f"the ground truth cannot be read: {text[:80]!r}")
    letter = None
    match = _OPTION_GOLD.fullmatch(undressed(stated).strip()) if len(stated) <= 200 else None
    if match is not None:
        letter = match[1] or match[2] or match[3]
    words = normalised(answer.source) if answer.tree is None or answer.tree[0] == "text" else ""
    return Gold(answer, letter, words)


def checked(gold: Gold, deadline: float) -> Gold:
    """A gold beyond the built-in reader: math-verify compares it if it can read it, else its spelling alone decides
    ("AB \\perp CD").

    Settled before the response is looked at, so that all samples of a group are graded alike.
    """
    if pool.compare(gold.answer.source, None, deadline) == "readable":
        return gold._replace(words="")
    if not gold.words and not gold.answer.key.strip("\\{}()[]^_.,;:"):
        raise GoldError(f"the ground truth cannot be read: {gold.answer.source[:80]!r}")
    return gold._replace(words=gold.words or gold.answer.key)


def _worth_asking(source: str) -> bool:
    """Whether a gold beyond the built-in reader is at least well formed: balanced braces and something to read."""
    depth = 0
    for sign in source.replace("\\{", "").replace("\\}", ""):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0 and bool(source.strip("\\{}()[]^_.,;:$ ")) and not source.endswith("\\")


_SEVERAL = frozenset(("group", "list", "set", "union", "rel", "ratio", "matrix"))
"""Trees in which a comma between digits may part two values: (1,200)."""

_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


def agree(gold: Gold, given: Answer) -> bool | None:
    """Same answer, another one, or (None) a case for math-verify. Units that clash make answers differ."""
    answer = gold.answer
    if given.key == answer.key:
        return True
    if answer.number is not None and given.number is not None:
        return same_number(given.number, answer.number, digits=STRICT)
    one, two = _with_decimal_point(answer, given), _with_decimal_point(given, answer)
    if one is not None and two is not None:
        return same_number(two, one, digits=STRICT)
    if gold.words:
        return normalised(given.source) == gold.words
    ours, theirs = answer.tree, given.tree
    if ours is None or theirs is None:
        return None
    outcome = _same_with_units(ours, theirs)
    if not outcome and "," in given.source + answer.source and {ours[0], theirs[0]} & _SEVERAL:
        for other in _without_thousands(answer.source, ours), ours:
            again = _same_with_units(other, _without_thousands(given.source, theirs))
            if again:
                return True
    return outcome


def _with_decimal_point(answer: Answer, other: Answer) -> Number | None:
    """The number of an answer; "2,5" is one when it faces a decimal such as 2.5."""
    if other.number is not None and other.number.decimals and _DECIMAL_COMMA.fullmatch(answer.source):
        return numerals.parse(answer.source.replace(",", "."))
    return answer.number


def _same_with_units(gold: Node, given: Node) -> bool | None:
    """Trees with their units: converted when both name one, ignored otherwise."""
    gold, gold_unit = _split_unit(gold)
    given, given_unit = _split_unit(given)
    if gold_unit and given_unit:
        factor = units.conversion(given_unit, gold_unit)
        if factor is None:
            return False
        if factor != 1:
            given = ("mul", (("num", factor), given))
    outcome = same(gold, given)
    return outcome


def _split_unit(tree: Node) -> tuple[Node, str]:
    if tree[0] == "unit":
        return tree[1], tree[2]
    if tree[0] == "ratio" and tree[1][-1][0] == "unit":
        return ("ratio", (*tree[1][:-1], tree[1][-1][1])), tree[1][-1][2]
    if tree[0] == "rel" and tree[2][-1][0] == "unit":
        last = tree[2][-1]
        return ("rel", tree[1], (*tree[2][:-1], last[1])), last[2]
    return tree, ""


def _without_thousands(source: str, otherwise: Node) -> Node:
    """ "1,200" read as two numbers, for points such as (1,200)."""
    try:
        return parse(source, thousands=False)
    except TooHard:
        return otherwise


def ask(gold: Gold, given: str, deadline: float) -> Verdict:
    """math-verify decides, in a worker. Answers of absurd length are no answers."""
    if len(given) > MAX_HARD:
        return decided(False, given[:200])
    outcome = pool.compare(gold.answer.source, given, deadline)
    if outcome == TIMEOUT:
        return Verdict("timeout", 0.0, given[:200])
    return decided(outcome == "equal", given[:200])
