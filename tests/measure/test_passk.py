"""Unbiased pass@k against counting, exact fractions and a simulation."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs_verl.measure import mean_pass_at_k, pass_at_k, reported_ks


def test_by_hand():
    # 8 responses, 2 right, 4 drawn: 1 - C(6,4) / C(8,4) = 1 - 15/70 = 0.785714...
    assert pass_at_k(8, 2, 4) == pytest.approx(55 / 70, rel=1e-14)
    # k = 1 is the plain accuracy, k = n asks for one right response among all
    assert pass_at_k(8, 2, 1) == pytest.approx(0.25)
    assert pass_at_k(8, 1, 8) == 1.0
    assert pass_at_k(8, 0, 8) == 0.0
    # more draws than wrong responses: a right one must be among them
    assert pass_at_k(8, 5, 4) == 1.0


def test_by_drawing_every_subset():
    right = [True, True, False, False, False, False, False]
    for k in range(1, 8):
        subsets = list(combinations(right, k))
        assert pass_at_k(7, 2, k) == pytest.approx(sum(any(s) for s in subsets) / len(subsets), rel=1e-13)


@given(st.data())
def test_against_exact_fractions(data):
    n = data.draw(st.integers(1, 300))
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(comb(n - c, k), comb(n, k))), rel=1e-10, abs=1e-13)


def test_large_n_stays_finite():
    # C(10000, 5000) has 3,009 digits, beyond any float. With c = 1 pass@k is k / n exactly.
    assert pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5, rel=1e-10)


def test_prompts_come_as_arrays():
    np.testing.assert_allclose(pass_at_k([8, 8, 4], [0, 2, 1], 4), [0.0, 55 / 70, 1.0])
    # (0 + 0.25) / 2 = 0.125 and (0 + 55/70) / 2 = 0.392857
    assert mean_pass_at_k([8, 8], [0, 2], [1, 4]) == pytest.approx({1: 0.125, 4: 0.5 * 55 / 70})


def test_reported_ks():
    assert reported_ks(8) == [1, 2, 4, 8]
    assert reported_ks(6) == [1, 2, 4, 6]
    assert reported_ks(1) == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 1, 8), "needs at least 8 responses per prompt"),
        ((4, 5, 1), "c=5 of n=4"),
        ((4, -1, 1), "c=-1 of n=4"),
        ((4, 1, 0), "k must be a whole number"),
        ((4, 0.5, 1), "c must hold whole numbers"),
    ],
)
def test_bad_counts_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k(*arguments)


def test_no_prompts_is_an_error():
    with pytest.raises(ValueError, match="evaluation is empty"):
        mean_pass_at_k([], [], [1])
