"""``number`` and ``count``: the last final value that a response states, compared exactly or within a stated tolerance.

    verify("... so the total is 1,234.50 dollars.", "1234.5", "number")                     -> right
    verify("The answer is 3.14159", "3.14", "number", precision=2)                          -> right
    verify("There are three dogs.", "3", "count")                                           -> right

Tolerance: none given -> the rule of numbers/tolerance.py; ``precision`` -> both rounded to that many decimals;
``abs_tol``, ``rel_tol`` -> as in math.isclose. Percent agrees
with its fraction (25 % = 0.25) and with the bare number (25 % = 25), since questions ask "what percent". Units are
converted when both sides name one, and ignored otherwise.
"""

from __future__ import annotations

import re
from fractions import Fraction

from reward_fns.numbers import numerals, units
from reward_fns.numbers.conclusions import MAX_SHORT, final_number
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.standing import not_of_question, stands
from reward_fns.numbers.tolerance import LENIENT, agrees, rounded
from reward_fns.registry import register
from reward_fns.strict.quantity import holds, none_in, number_in
from reward_fns.strict.region import Region, region_to_read, whole_answer
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict, decided

FLOAT = Fraction(1, 10**12)
"""Relative error of a value that was computed in floating point, such as 2\\sqrt{3}."""


@register("number")
def number(
    response: str,
    ground_truth: str,
    *,
    precision: int | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    unit: str = "",
    answer_type: str = "",
    reading: str = "auto",
    question: str = "",
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the final number of ``response`` with ``ground_truth``.

    Args:
        precision: decimals to which both values are rounded before they are compared.
        abs_tol, rel_tol: accepted difference, absolute and relative to the gold value.
        unit: unit of the gold value, when the ground truth does not name it.
        answer_type: "integer" (a fractional value is wrong), "float", "percent" or "" for any.
        reading: strict, lenient or auto (strict where there is an answer block or a box), see reward_fns.strict.
        question: what was asked, if known: a value that it names is not the conclusion of a sentence with another one.
        answer_after_think: ignore what stands inside a think block.
    """
    gold = read_gold(ground_truth)
    region = region_to_read(response, reading, answer_after_think)
    found = committed_number(response, region, answer_after_think, year=_like_a_year(gold), question=question)
    if found is None:
        return NO_ANSWER
    if answer_type == "percent" and not gold.percent:
        gold = gold._replace(percent=True)
    shown = shown_as(found)
    if answer_type in ("integer", "int") and found.value.denominator != 1 and gold.value.denominator == 1:
        return decided(False, shown)
    right = same_number(found, gold, precision, abs_tol, rel_tol, unit)
    return NO_ANSWER if right and region is None and _taken_back(response, found) else decided(right, shown)


@register("count")
def count(
    response: str,
    ground_truth: str,
    *,
    abs_tol: float | None = None,
    reading: str = "auto",
    question: str = "",
    answer_after_think: bool = False,
) -> Verdict:
    """How many: a whole number, in digits or words; "none" and "no cats" count as 0. ``reading`` as in ``number``."""
    gold = read_gold(ground_truth)
    if gold.value.denominator != 1 or gold.value < 0:
        raise GoldError(f"a count must be a whole number that is not negative, got {ground_truth!r}")
    region = region_to_read(response, reading, answer_after_think)
    found = committed_number(response, region, answer_after_think, zero_words=True, question=question)
    if found is None:
        return NO_ANSWER
    right = same_number(found, gold, abs_tol=abs_tol)
    return NO_ANSWER if right and region is None and _taken_back(response, found) else decided(right, shown_as(found))


def _taken_back(response: str, found: Number) -> bool:
    """Whether a value that running text was read to state is denied, hedged or only a bound wherever it stands."""
    return not (holds(whole_answer(response)) and stands(response, found))


def committed_number(
    response: str,
    region: Region | None,
    answer_after_think: bool,
    zero_words: bool = False,
    year: bool = False,
    question: str = "",
) -> Number | None:
    """The number that the committed region is, or that a response without one states.

    Args:
        zero_words: "none" and "no cats" state 0 wherever they stand; otherwise only "there are no cats" does.
        year: a year may be asked for.
        question: values that it names are no conclusion where another value stands beside them.
    """
    if region is not None:
        return region.read(_stated)
    whole = whole_answer(response).removesuffix("!")
    found = (_stated if zero_words else number_in)(whole) if whole else None
    if found is not None and found.kind != "expression":
        return found
    found = final_number(response, answer_after_think, zero_words, year)
    if found is not None and question:
        found = not_of_question(response, found, question)
    if found is None and len(response) <= MAX_SHORT and _THERE_IS_NONE.search(response):
        return numerals.parse("0")
    return found


def _stated(text: str) -> Number | None:
    """The number that a text is, "none" and "there are no cats" included."""
    return numerals.parse("0") if none_in(text) else number_in(text)


def _like_a_year(gold: Number) -> bool:
    value = gold.value
    return value.denominator == 1 and 1500 <= value.numerator <= 2100 and not gold.unit and not gold.percent


_THERE_IS_NONE = re.compile(
    r"(?i)\bthere (?:is|are|was|were) (?:no|not any)\s+(?!way|information|data|image|picture|mention"
    r"|indication|need|answer|solution|enough|clear|specific|sufficient|visible|such|doubt)\w+"
)


def read_gold(ground_truth: str) -> Number:
    """The gold number; a ground truth that states none is the row's fault."""
    gold = numerals.parse(str(ground_truth))
    if gold is None:
        found = final_number(str(ground_truth))
        if found is None:
            raise GoldError(f"no number in the ground truth {str(ground_truth)[:80]!r}")
        return found
    return gold


def shown_as(found: Number) -> str:
    """The value as people read it: exact, decimals where they were written, percent kept."""
    value = found.value
    if value.denominator == 1:
        text = str(value.numerator)
    elif found.decimals is not None:
        text = f"{float(value):.{min(found.decimals, 12)}f}"
    else:
        text = f"{value.numerator}/{value.denominator}"
    return f"{text}%" if found.percent else text


def same_number(
    found: Number,
    gold: Number,
    precision: int | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    unit: str = "",
    digits: int = LENIENT,
) -> bool:
    """Whether ``found`` states the value of ``gold``, percent and units taken into account.

    Args:
        digits: LENIENT or STRICT, see numbers/tolerance.py.
    """
    if found.value == gold.value and found.percent == gold.percent and not (found.unit and (gold.unit or unit)):
        return True
    if found.scale >= 10**6 and gold.scale == 1 and abs(gold.value) < 10**6:  # a table in billions
        found = found._replace(value=found.value / found.scale, scale=1)
    bare = not (found.percent or gold.percent or found.unit or gold.unit) and found.kind == gold.kind == "plain"
    if bare and found.decimals is gold.decimals is precision is abs_tol is rel_tol is None:
        return False  # two whole numbers
    if found.percent == gold.percent:
        scales: tuple[Fraction, ...] = (Fraction(1),)
    elif found.percent:  # 25 % for 0.25, or for a bare 25
        scales = (Fraction(1), Fraction(1, 100))
    else:  # 0.25 or 25 for 25 %
        scales = (Fraction(1), Fraction(100))
    gold_unit = gold.unit or unit
    factor = units.conversion(found.unit, gold_unit) if found.unit and gold_unit else Fraction(1)
    if factor is None:
        return False
    return any(close(_scaled(found, scale * factor), gold, precision, abs_tol, rel_tol, digits) for scale in scales)


def _scaled(found: Number, factor: Fraction) -> Number:
    """``found`` in other units; a percentage as a share has two more decimals."""
    decimals = found.decimals + 2 if found.decimals is not None and factor == Fraction(1, 100) else found.decimals
    return found._replace(value=found.value * factor, decimals=decimals)


def close(
    found: Number, gold: Number, precision: int | None, abs_tol: float | None, rel_tol: float | None, digits: int
) -> bool:
    """Whether the value of ``found`` (as it was written) equals the gold value within the tolerance that was asked
    for."""
    value, target = found.value, gold.value
    if value == target:
        return True
    difference = abs(value - target)
    if precision is not None:
        return rounded(value, precision) == rounded(target, precision)
    if abs_tol is not None or rel_tol is not None:
        return difference <= max(Fraction(abs_tol or 0), Fraction(rel_tol or 0) * abs(target))
    computed = "expression" in (found.kind, gold.kind)
    if computed and difference <= abs(target) * FLOAT:
        return True
    exact = gold.decimals is None
    near_integer = computed and abs(target - round(target)) <= FLOAT
    return agrees(
        Fraction(round(target)) if exact and near_integer else target,
        value,
        gold.decimals,
        found.decimals is not None,
        digits,
    )
