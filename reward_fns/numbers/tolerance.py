r"""The one rule for when two values are the same number, for ``number``, ``math`` and the structured verifiers.

What decides is the gold and the value of the response, never how the response spells it (2.46, 123/50 and
\sqrt{6.0516} are one value):

A *rounded* gold is a decimal of two significant digits or more. It stands for every value that rounds to it.
    gold 2.5     2.46, 123/50 and \sqrt{6.0516} are right, 2.55 rounds to 2.6 and is wrong
    gold 3.14    \pi, 22/7 and 3.1416 are right, 3.1 and 3.149 are wrong
A decimal of one significant digit is too coarse for that (0.05 would take 10 % to either side), and exact.
    gold 0.05    1/20 is right, 0.04899 and \sqrt{0.0024} are wrong
An *exact* gold (an integer, a fraction, an expression) wants its own value.
    gold 12      12.0 is right, 12.0001 and 11.9999 are wrong
    gold 2023/2024  2024/2025 is wrong, although it differs by 0.0000002 only
An exact gold that is no integer also takes a decimal number, which can only be a rounded value, if it agrees in the
first ``digits`` significant digits, and in two decimals at least.
    gold 1/3, 4 digits         0.3333 is right, 0.333 and 0.3334 are wrong
    gold 1000\sqrt{2}, 4 digits   1414.21 is right, 1414.2 is wrong

``number`` asks for LENIENT digits and also takes a gold of two decimals or more for one that was cut off instead of
rounded (gold 0.66 for 2/3), as text books do; ``math`` asks for STRICT ones. Tolerances that a row names (abs_tol,
rel_tol, precision) replace this rule: verifiers/number.py.
"""

from __future__ import annotations

from fractions import Fraction

LENIENT = 2
STRICT = 4


def agrees(gold: Fraction, given: Fraction, gold_decimals: int | None, given_is_decimal: bool, digits: int) -> bool:
    """Whether ``given`` states the value ``gold``.

    Args:
        gold_decimals: digits after the point of a gold that is a decimal number; None or 0 when it is exact.
        given_is_decimal: whether the response is a decimal number, which may be rounded; a fraction is not.
        digits: LENIENT or STRICT.
    """
    if gold == given:
        return True
    if gold_decimals:
        if abs(gold) * 10**gold_decimals < 10:  # one significant digit
            return False
        cut_off = digits <= LENIENT and gold_decimals >= 2 and _is_cut(given, gold, gold_decimals)
        return cut_off or rounded(given, gold_decimals) == gold
    if gold_decimals == 0 or not given_is_decimal or gold.denominator == 1:
        return False
    return abs(gold - given) <= Fraction(1, 2) / Fraction(10) ** max(2, digits - 1 - _magnitude(gold))


def _is_cut(value: Fraction, gold: Fraction, decimals: int) -> bool:
    """Whether ``gold`` is ``value`` without its further decimals."""
    scale = 10**decimals
    return value * gold > 0 and abs(value) * scale // 1 == abs(gold) * scale


def rounded(value: Fraction, decimals: int) -> Fraction:
    """Half away from zero, as people round."""
    scale = 10**decimals
    scaled = abs(value) * scale
    whole = (scaled.numerator * 2 + scaled.denominator) // (scaled.denominator * 2)
    return Fraction(whole if value >= 0 else -whole, scale)


def _magnitude(value: Fraction) -> int:
    """The power of ten of the first significant digit: 0 for 3.14, -2 for 0.05."""
    value = abs(value)
    power = len(str(value.numerator)) - len(str(value.denominator))
    return power if value >= Fraction(10) ** power else power - 1
