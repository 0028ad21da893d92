"""The tolerance rule: every example of its docstring, whatever spelling the value has."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_fns import verify
from reward_fns.numbers.tolerance import LENIENT, STRICT, agrees, rounded

QUICK = settings(max_examples=150, derandomize=True, deadline=None)
RIGHT, WRONG = "right", "wrong"

# gold, spellings of one value, verdict of number, verdict of math
TABLE = [
    ("2.5", ["2.46", "123/50", r"\frac{123}{50}", r"\sqrt{6.0516}", "2.460"], RIGHT, RIGHT),  # rounds to 2.5
    ("2.5", ["2.45", "49/20", r"\frac{49}{20}"], RIGHT, RIGHT),  # half a unit rounds up
    ("2.5", ["2.55", "51/20", r"\sqrt{6.5025}"], WRONG, WRONG),  # rounds to 2.6
    ("2.5", ["2", "3"], WRONG, WRONG),
    ("3.14", [r"\pi", "22/7", "3.1416"], RIGHT, RIGHT),
    ("3.14", ["3.1", "31/10", "3.15", "63/20"], WRONG, WRONG),
    ("3.14", ["3.149", "3149/1000"], RIGHT, WRONG),  # cut off after two decimals, not rounded
    ("3.14", ["3.131", "3131/1000"], WRONG, WRONG),  # neither
    ("0.66", ["2/3", r"\frac{2}{3}", "0.6667"], RIGHT, WRONG),
    ("0.05", ["0.05", "1/20", r"\sqrt{0.0025}", r"5\%"], RIGHT, RIGHT),  # one significant digit: exact
    ("0.05", ["0.04899", r"\sqrt{0.0024}", "6/125"], WRONG, WRONG),
    ("-2.5", ["-2.46", "-123/50", r"-\sqrt{6.0516}"], RIGHT, RIGHT),
    ("-2.5", ["2.46", "-2.55"], WRONG, WRONG),
    ("12", ["12.0", "12.00", "24/2", r"\sqrt{144}"], RIGHT, RIGHT),
    ("12", ["12.0001", "11.9999", r"\sqrt{144.01}"], WRONG, WRONG),
    (r"\sqrt{2} \cdot \sqrt{2}", ["2", "2.0"], RIGHT, RIGHT),
    (r"\sqrt{2} \cdot \sqrt{2}", ["2.0001"], WRONG, WRONG),  # an integer, however it was computed
    (r"\frac{2023}{2024}", [r"\frac{2024}{2025}", "2024/2025"], WRONG, WRONG),  # 0.9995059 and 0.9995062
    (r"\frac{2023}{2024}", ["0.9995", "0.99951"], RIGHT, RIGHT),
    ("1/3", ["0.3333", "0.33333"], RIGHT, RIGHT),
    ("1/3", ["0.33", "0.333", "0.3334"], RIGHT, WRONG),
    ("1/3", ["0.3", "0.34"], WRONG, WRONG),
    (r"1000\sqrt{2}", ["1414.21"], RIGHT, RIGHT),  # 1414.2136: half a unit of the second decimal is 0.005
    (r"1000\sqrt{2}", ["1414.2", "1414"], WRONG, WRONG),
    (r"\pi", ["3.1416", "3.142"], RIGHT, RIGHT),
    (r"\pi", ["3.14"], RIGHT, WRONG),
]


@pytest.mark.parametrize(
    ("gold", "response", "number", "math"),
    [(gold, response, number, math) for gold, spellings, number, math in TABLE for response in spellings],
)
def test_the_value_decides_and_not_its_spelling(gold, response, number, math):
    boxed = f"\\boxed{{{response}}}"
    assert (verify(boxed, gold, "number").status, verify(boxed, gold, "math").status) == (number, math)


@QUICK
@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=10**6), st.integers(0, 8))
def test_rounding_agrees_with_the_decimal_module(value, places):
    exact = Decimal(value.numerator * 10 ** (places + 1) // value.denominator) / Decimal(10 ** (places + 1))
    if exact * 10 ** (places + 1) != value * 10 ** (places + 1) and value < 0:
        exact += Decimal(1) / Decimal(10 ** (places + 1))  # floor division cuts towards minus infinity
    wanted = exact.quantize(Decimal(1) / Decimal(10**places), ROUND_HALF_UP)  # half away from zero
    assert rounded(value, places) == Fraction(wanted)


@pytest.mark.parametrize("digits", [LENIENT, STRICT])
@QUICK
@given(value=st.fractions(min_value=-99, max_value=99, max_denominator=10**4))
def test_every_value_agrees_with_itself_and_not_with_a_far_one(digits, value):
    decimal = Fraction(round(value * 100), 100)
    for gold, places in ((value, None), (decimal, 2)):
        assert agrees(gold, gold, places, False, digits)
        for far in (gold + 1, gold - Fraction(1, 50), -gold - Fraction(1, 50)):
            if far != gold:
                assert not agrees(gold, far, places, True, digits)
