r"""``math``: mathematical answers of any kind, the cheapest sufficient way first.

    verify(r"so $x = \boxed{\frac{1}{2}}$", "0.5")      -> right

Tiers: the same text; the same number; (more to follow).
"""

from __future__ import annotations

from reward_fns import numerals
from reward_fns.extract import pieces
from reward_fns.final_value import final_number
from reward_fns.registry import register
from reward_fns.verdict import NO_ANSWER, Verdict, decided
from reward_fns.verifiers.number import same_number, shown_as
from reward_fns.verifiers.text import normalised


@register("math")
def math(response: str, ground_truth: str, *, answer_after_think: bool = False) -> Verdict:
    gold = str(ground_truth)
    number = numerals.parse(gold)
    if number is not None:
        found = final_number(response, answer_after_think)
        if found is None:
            return NO_ANSWER
        return decided(same_number(found, number, None, None, None, ""), shown_as(found))
    for piece in pieces(response, answer_after_think):
        return decided(normalised(piece.text) == normalised(gold), piece.text[:200])
    return NO_ANSWER
