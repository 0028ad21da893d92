r"""``math``: mathematical answers of any kind, the cheapest sufficient way first.

    verify(r"so $x = \boxed{\frac{1}{2}}$", "0.5")                                  -> right
    verify("The solutions are x = 2 and x = 1", r"\{1, 2\}")                         -> right
    verify(r"\boxed{(-\infty, 3)}", "x < 3")                                        -> right

Tiers: the same spelling; the same number; trees compared in this process (symbolic/); math-verify in a killable
worker (workers/pool.py) when the built-in reader gives up. The form of the answer follows the gold: a letter, words, a
value, a list, an interval, an equation, a matrix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from reward_fns.answer.announced import phrase
from reward_fns.answer.boxed import last_box
from reward_fns.answer.places import Piece, stated_pieces
from reward_fns.answer.wrappers import TEXT, unwrapped
from reward_fns.choices.letters import undressed
from reward_fns.choices.options import Options
from reward_fns.choices.reading import read_piece, read_prose
from reward_fns.numbers import numerals, units
from reward_fns.numbers.conclusions import concluding_number, sentences_from_end, stated_number
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.tolerance import STRICT
from reward_fns.registry import register
from reward_fns.symbolic.compare import same
from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.reading import Answer, candidates, mathematics, read, segments, tidied
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.tree import parse
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict, decided
from reward_fns.verifiers.number import same_number, shown_as
from reward_fns.workers import pool
from reward_fns.workers.processes import TIMEOUT

DEADLINE = 5.0
"""Seconds one answer may cost in total."""

MAX_GOLD = 200
"""Characters of a ground truth that is an answer; a longer one is a solution and read like a response."""

MAX_WHOLE = 15
"""Digits of the whole numbers, by far the commonest answers, that are compared without reading anything."""

MAX_HARD = 1_500
"""Longest answer that is given to math-verify; real ones are far shorter."""

_NO_OPTIONS = Options({})


class Gold(NamedTuple):
    """A ground truth, read once."""

    answer: Answer
    letter: str | None
    words: str
    """Normalised text, when the answer is words ("no solution", "Tuesday"); else empty."""


@register("math")
def math(
    response: str, ground_truth: str | Sequence[str], *, deadline: float = DEADLINE, answer_after_think: bool = False
) -> Verdict:
    """Compare the stated answer with ``ground_truth`` (or with any of several).

    Args:
        deadline: seconds that this answer may cost in total.
        answer_after_think: ignore what stands inside a think block.
    """
    best = NO_ANSWER
    for text in golds(ground_truth):
        gold = read_gold(text)
        if gold.answer.tree is None:
            gold = _checked(gold, deadline)
        verdict = _against(response, gold, deadline, answer_after_think)
        if verdict.status == "right":
            return verdict
        if best.status in ("no_answer",) or verdict.status == "timeout":
            best = verdict
    return best


def golds(ground_truth: str | Sequence[str]) -> list[str]:
    """One gold, or several that are accepted."""
    if isinstance(ground_truth, str):
        return [ground_truth]
    return [str(item) for item in ground_truth]


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


def _checked(gold: Gold, deadline: float) -> Gold:
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


def _against(response: str, gold: Gold, deadline: float, answer_after_think: bool) -> Verdict:
    for piece in stated_pieces(response, answer_after_think):
        if gold.letter is not None:
            verdict = _letter(piece, gold)
        elif piece.place == "rest":
            verdict = _conclusion(piece.text, gold, deadline)
        else:
            verdict = _stated(piece, gold, deadline)
        if verdict is not None:
            return verdict
    return NO_ANSWER


def _letter(piece: Piece, gold: Gold) -> Verdict | None:
    """The gold is the letter of an option."""
    if piece.place == "rest":
        letters = read_prose(piece.text, _NO_OPTIONS, several=False)
    else:
        letters = read_piece(piece.text, _NO_OPTIONS, several=False)
        if letters is None and read(piece.text).key == gold.answer.key:
            return decided(True, gold.letter)
    if letters is None:
        return None if piece.place in ("rest", "phrase") else decided(False, tidied(piece.text)[:200])
    return decided(letters == {gold.letter}, ", ".join(sorted(letters)))


def _stated(piece: Piece, gold: Gold, deadline: float) -> Verdict | None:
    """A committed piece against the gold; None when it holds nothing of the kind."""
    if piece.text.isdigit() and piece.text.isascii() and len(piece.text) <= MAX_WHOLE:
        number = gold.answer.number
        if number is not None and number.value.denominator == 1 and number[1:4] == (None, False, ""):
            return decided(int(piece.text) == number.value.numerator, piece.text)
    hard: str | None = None
    first: Answer | None = None
    for text in candidates(piece.text):
        given = read(text)
        if not given.key:
            continue
        if gold.answer.number is not None and _wordy(given) and given.key != gold.answer.key:
            first = first or given  # its last or only number, found below, not its words as factors
            continue
        outcome = agree(gold, given)
        if outcome:
            return decided(True, given.source[:200])
        if outcome is None:
            hard = hard or given.source
        if first is None:
            first = given
            if outcome is False and not _wordy(given) and not _CUT_OFF.search(given.source):
                break
    if first is None:
        return None
    if gold.answer.number is not None and _wordy(first):
        found = stated_number(piece.text)
        if found is not None:
            return decided(same_number(found, gold.answer.number, digits=STRICT), shown_as(found))
        if piece.place == "phrase":
            return None
    if gold.words and piece.place != "boxed" and _mentions(piece.text, gold.words):
        return decided(True, first.source[:200])
    if hard is not None and (piece.place == "boxed" or not _wordy(first)):
        return _ask(gold, hard, deadline)
    if hard is not None:
        inside = segments(piece.text)
        return _ask(gold, inside[-1] if inside else hard, deadline)
    return decided(False, first.source[:200])


_CUT_OFF = re.compile(r"(?i)\s(?:not|because|since|rather|instead)\s")
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_WORDS = re.compile(r"[A-Za-z]{2,}")


def _wordy(answer: Answer) -> bool:
    """Whether a piece is prose around an answer rather than an answer."""
    source = _COMMANDS.sub(" ", answer.source)
    return len(_WORDS.findall(source)) > 2 or _IDEOGRAPHS.search(source) is not None


_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}")
_SAYS = re.compile(r"[A-Za-z]{2}.*\d|\d.*\b[A-Za-z]{2}|[\u0400-\u1fff\u3000-\uffef]|\n", re.DOTALL)
"""A number among words: the number that they conclude with is the answer."""

_CONDITION = re.compile(r"(?i)\b(?:for|where|when|if|with|all|any|every|since|because)\s*$")
_COPULA = re.compile(r"\b(?:is|are|be|get|obtain|have|equals)\b")
_YES_NO = frozenset({"yes", "no", "true", "false"})


def _mentions(text: str, words: str) -> bool:
    """Whether a short sentence states the gold words as its answer: at its start or end, or behind "is"; yes
    and no only at its start."""
    said = normalised(_COMMANDS.sub(" ", unwrapped(text, r" \1 ")))
    if len(said) > 200 or words not in said:
        return False
    if words in _YES_NO:
        first = re.split(r"[,.;:!\s]", text.strip(" *_$\\([{\"'"), maxsplit=1)[0]
        return first.lower() == words and not re.match(r"(?i)no (?!because|since|it|the)\w", text.strip(" *_$"))
    padded = f" {said} "
    at = padded.rfind(f" {words} ")
    before = padded[:at].split()
    if at < 0 or any(word in ("not", "no", "neither", "never", "isn't") for word in before[-3:]):
        return False
    return (
        at == 0
        or padded.endswith(f" {words} ")
        or before[-1] in ("is", "are", "was", "be", "called", "on", "named", "namely")
    )


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


def _ask(gold: Gold, given: str, deadline: float) -> Verdict:
    """math-verify decides, in a worker. Answers of absurd length are no answers."""
    if len(given) > MAX_HARD:
        return decided(False, given[:200])
    outcome = pool.compare(gold.answer.source, given, deadline)
    if outcome == TIMEOUT:
        return Verdict("timeout", 0.0, given[:200])
    return decided(outcome == "equal", given[:200])


def _conclusion(text: str, gold: Gold, deadline: float) -> Verdict | None:
    """Running text without a committed piece: the whole of a short one, else the last mathematics of its conclusion."""
    whole = read(text) if len(text) <= 300 else None
    said = gold.answer.number is not None and _SAYS.search(_COMMANDS.sub(" ", text)) is not None
    if whole is not None and whole.key:
        outcome = None if said and whole.key != gold.answer.key else agree(gold, whole)
        if outcome or (outcome is False and not _wordy(whole)):
            return decided(bool(outcome), whole.source[:200])
        if outcome is None and not _wordy(whole) and not said:
            return _ask(gold, whole.source, deadline)
    if gold.answer.number is not None:
        found = concluding_number(text)
        if found is None:
            return None
        return decided(same_number(found, gold.answer.number, digits=STRICT), shown_as(found))
    for sentence in sentences_from_end(text):
        if gold.words and _mentions(sentence, gold.words):
            return decided(True, gold.words)
        inside = [content for start, _, content in mathematics(sentence) if not _CONDITION.search(sentence[:start])]
        joined = segments(sentence)
        if inside:
            given = read(joined[-1] if joined[-1].endswith(inside[-1]) else inside[-1])
            outcome = agree(gold, given)
            if outcome is None:
                return _ask(gold, given.source, deadline)
            return decided(outcome, given.source[:200])
        _, equals, tail = sentence.rpartition("=")
        given = read(tail if equals else _COPULA.split(sentence)[-1])
        if given.tree is not None and given.tree[0] != "text":
            return decided(bool(agree(gold, given)), given.source[:200])
    return decided(False, None) if whole is not None and whole.key else None
