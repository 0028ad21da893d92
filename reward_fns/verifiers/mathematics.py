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

from reward_fns.choices.options import Options
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.tolerance import STRICT
from reward_fns.registry import register
from reward_fns.strict.grammar import LEFT_OVER, core
from reward_fns.strict.quantity import contradicts, is_bound, number_in
from reward_fns.strict.region import Region, region_to_read, whole_answer
from reward_fns.strict.selection import option_in
from reward_fns.symbolic.reading import read
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, Verdict, decided
from reward_fns.verifiers.math_gold import Gold, agree, ask, checked, read_gold
from reward_fns.verifiers.math_lenient import MAX_WHOLE, against
from reward_fns.verifiers.number import same_number, shown_as

DEADLINE = 5.0
"""Seconds one answer may cost in total."""


@register("math")
def math(
    response: str,
    ground_truth: str | Sequence[str],
    *,
    deadline: float = DEADLINE,
    reading: str = "auto",
    question: str = "",
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the stated answer with ``ground_truth`` (or with any of several).

    Args:
        deadline: seconds that this answer may cost in total.
        reading: strict, lenient or auto (strict where there is an answer block or a box), see reward_fns.strict.
        question: what was asked, if known: a value that it names is not the conclusion of a sentence with another one.
        answer_after_think: ignore what stands inside a think block.
    """
    region = region_to_read(response, reading, answer_after_think)
    whole = whole_answer(response) if region is None else ""
    best = NO_ANSWER
    for text in golds(ground_truth):
        gold = read_gold(text)
        if gold.answer.tree is None:
            gold = checked(gold, deadline)
        if region is not None:
            verdict = _in_region(region, gold, deadline)
        else:
            stated = _is(whole, gold, deadline) if whole else None
            if stated is not None and stated.status == "right":
                return stated
            verdict = against(response, gold, deadline, answer_after_think, question)
        if verdict.status == "right":
            return verdict
        if best.status in ("no_answer",) or verdict.status == "timeout":
            best = verdict
    return best


def golds(ground_truth: str | Sequence[str]) -> list[str]:
    """One gold, or several that are accepted."""
    if isinstance(ground_truth, str):
        return [ground_truth, *_as_tuples(ground_truth)]
    return [str(item) for item in ground_truth]


_NAMED = re.compile(r"\s*([A-Za-z]\w{0,3})\s*=\s*([^=,;]{1,40})")


def _as_tuples(gold: str) -> list[str]:
    """Solutions with named values, "p=5,q=2;p=7,q=2", also as tuples in the order of the names: "(5,2),(7,2)"."""
    if ";" not in gold or "=" not in gold or len(gold) > MAX_NAMED:
        return []
    solutions = [[_NAMED.fullmatch(part) for part in group.split(",")] for group in gold.split(";")]
    matches = [[part for part in group if part is not None] for group in solutions]
    if any(len(found) != len(group) for found, group in zip(matches, solutions, strict=True)):
        return []
    names = [[part[1] for part in group] for group in matches]
    if len(names[0]) < 2 or any(other != names[0] for other in names):
        return []
    return [",".join(f"({','.join(part[2].strip() for part in group)})" for group in matches)]


MAX_NAMED = 400


def _in_region(region: Region, gold: Gold, deadline: float) -> Verdict:
    """The committed region against the gold; several boxes only when together they are a gold of several values."""
    verdict = region.read(lambda text: _is(text, gold, deadline)) or NO_ANSWER
    if verdict.status != "right" and gold.answer.number is None and not gold.words and len(region.boxes()) > 1:
        together = _is(", ".join(region.boxes()), gold, deadline)
        if together is not None and together.status == "right":
            return together
    return verdict


_COMMANDS = re.compile(r"\\[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{3,}")
_JOINTS = frozenset({"or", "and"})
_NO_OPTIONS = Options({})


def _is(text: str, gold: Gold, deadline: float) -> Verdict | None:
    """A text that must be one answer as a whole; None when it is none."""
    number = gold.answer.number
    if text.isdigit() and text.isascii() and len(text) <= MAX_WHOLE and number is not None and _is_whole(number):
        return decided(int(text) == number.value.numerator, text)
    stated = core(text)
    if stated is None:
        return None
    if gold.letter is not None:
        letters = option_in(text, _NO_OPTIONS, several=False)
        if letters is not None:
            return decided(letters == {gold.letter}, ", ".join(sorted(letters)))
        return decided(read(stated).key == gold.answer.key, stated[:200])
    if "?" in stated and "?" not in gold.answer.source:
        return None
    if gold.words:
        said = normalised(stated)
        same = gold.words in (said, said.removeprefix("on "), normalised(text)) or read(stated).key == gold.answer.key
        return (
            decided(True, stated[:200]) if same else None if LEFT_OVER.search(stated) else decided(False, stated[:200])
        )
    found = number_in(text) if number is not None else None
    if (
        number is not None
        and found is not None
        and (found.kind != "expression" or same_number(found, number, digits=STRICT))
    ):
        return decided(same_number(found, number, digits=STRICT), shown_as(found))
    return _expression(stated, gold, deadline)


def _is_whole(number: Number) -> bool:
    """Whether a gold is nothing but a whole number."""
    return number.value.denominator == 1 and number.decimals is None and not number.percent and not number.unit


def _expression(stated: str, gold: Gold, deadline: float) -> Verdict | None:
    """An answer that is no plain number: its words must be the gold's, its equations must hold."""
    given = read(stated)
    if not given.key:
        return None
    if given.key == gold.answer.key:
        return decided(True, given.source[:200])
    if given.tree is not None and given.tree[0] == "text":  # "no solution" for an empty set: the words as a whole
        return decided(bool(agree(gold, given)), given.source[:200])
    single = gold.answer.number is not None
    known = set(_WORD.findall(gold.answer.source.lower())) | (set() if single else _JOINTS)
    left = {match.group().lower() for match in LEFT_OVER.finditer(_COMMANDS.sub(" ", stated))} - known
    if (
        left
        or contradicts(stated)
        or (single and is_bound(stated))
        or (single and _WORD.search(_COMMANDS.sub(" ", stated)))
    ):
        return None
    outcome = agree(gold, given)
    return ask(gold, given.source, deadline) if outcome is None else decided(outcome, given.source[:200])
