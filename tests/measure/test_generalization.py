"""The Generalization Factor against numbers worked out by hand and against the paper's figure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs_verl.measure import factor_from_gains, generalization, generalization_factor

GAINS = st.floats(-1.0, 1.0, allow_nan=False)


@pytest.mark.parametrize(
    ("id_score", "ood_score", "published"),
    # Step 25 of the paper's figure, read off by eye, hence the tolerance: SFT, DPO, DPO + SFT.
    [(98.0, 69.2, 73.5), (98.8, 89.6, 91.4), (98.8, 94.6, 95.2)],
)
def test_matches_the_papers_figure(id_score, ood_score, published):
    assert generalization_factor(id_score, ood_score) == pytest.approx(published, abs=0.25)


def test_scalars_by_hand():
    # 5 * 98 * 69.2 / (4 * 98 + 69.2) = 33908 / 461.2 = 73.521249
    assert generalization_factor(98.0, 69.2) == pytest.approx(33908 / 461.2, rel=1e-12)
    # beta 1 is the harmonic mean: 2 * 0.5 * 0.3 / 0.8 = 0.375
    assert generalization_factor(0.5, 0.3, beta=1) == pytest.approx(0.375)


def test_scalar_baselines_are_subtracted():
    # gains 0.95 - 0.40 = 0.55 and 0.80 - 0.70 = 0.10: 5 * 0.055 / (4 * 0.55 + 0.10) = 0.275 / 2.3 = 0.119565
    assert generalization_factor(0.95, 0.80, id_baseline=0.40, ood_baseline=0.70) == pytest.approx(0.275 / 2.3)


def test_curve_is_measured_against_its_own_step_0():
    # step 1, gains 0.2 and 0.1: 5 * 0.02 / (0.8 + 0.1) = 0.1 / 0.9
    # step 2, gains 0.5 and 0.2: 5 * 0.10 / (2.0 + 0.2) = 0.5 / 2.2
    curve = generalization_factor([0.4, 0.6, 0.9], [0.7, 0.8, 0.9])
    assert isinstance(curve, np.ndarray)
    np.testing.assert_allclose(curve, [0.0, 0.1 / 0.9, 0.5 / 2.2], rtol=1e-12)


def test_ood_is_a_weighted_mean_over_sets():
    # (3 * 0.6 + 1 * 0.2) / 4 = 0.5 against a baseline of (3 * 0.2 + 1 * 0.2) / 4 = 0.2: gain 0.3; ID gain 0.6.
    # 5 * 0.18 / (2.4 + 0.3) = 0.9 / 2.7 = 1/3
    result = generalization(
        0.6,
        {"json": 0.6, "yaml": 0.2},
        ood_baseline={"json": 0.2, "yaml": 0.2},
        ood_weights={"json": 3, "yaml": 1},
    )
    assert result.ood_gain == pytest.approx(0.3)
    assert result.factor == pytest.approx(1 / 3)
    # Without weights the sets count the same, whatever their size: (0.6 + 0.2) / 2 = 0.4.
    assert generalization(0.6, {"json": 0.6, "yaml": 0.2}).ood_gain == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("id_gain", "ood_gain", "expected"),
    [
        (0.0, 0.0, 0.0),  # nothing learned: the plain formula would be 0/0
        (0.5, 0.0, 0.0),
        (0.0, 0.5, 0.0),
        (0.5, -0.2, -0.2),  # out of distribution lost 0.2: that loss is the factor
        (-0.1, 0.5, -0.1),
        (-0.1, -0.3, -0.3),
        (0.05, -0.2, -0.2),  # the pole of the plain formula: 4 * 0.05 - 0.2 = 0
    ],
)
def test_rules_for_gains_that_are_not_positive(id_gain, ood_gain, expected):
    assert factor_from_gains(id_gain, ood_gain) == pytest.approx(expected)


@given(GAINS, GAINS, st.floats(0, 0.5))
def test_never_falls_when_a_gain_rises_and_lies_between_the_gains(id_gain, ood_gain, more):
    factor = factor_from_gains(id_gain, ood_gain)
    assert math.isfinite(factor)
    assert factor_from_gains(id_gain + more, ood_gain) >= factor - 1e-12
    assert factor_from_gains(id_gain, ood_gain + more) >= factor - 1e-12
    assert factor <= max(id_gain, ood_gain, 0.0) + 1e-12
    assert factor >= min(id_gain, ood_gain, 0.0) - 1e-12


@given(st.floats(1e-12, 1e3), st.floats(1e-12, 1e3), st.floats(0.1, 10))
def test_positive_gains_are_the_weighted_harmonic_mean(id_gain, ood_gain, beta):
    # The F-measure in its other form: (1 + b^2) / (b^2 / ood + 1 / id).
    expected = (1 + beta**2) / (beta**2 / ood_gain + 1 / id_gain)
    assert factor_from_gains(id_gain, ood_gain, beta) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generalization_factor(float("nan"), 0.5), "ID score is not a finite number"),
        (lambda: generalization_factor([0.1, 0.2], [0.1, float("inf")]), r"OOD score .* position \[1\]"),
        (lambda: generalization_factor([0.1, 0.2], [0.1]), "both need a value for every step"),
        (lambda: generalization_factor([], []), "non-empty"),
        (lambda: generalization_factor(0.5, {}), "name no set"),
        (lambda: generalization_factor(0.5, {"a": 0.1}, ood_weights={"b": 1}), "same sets"),
        (lambda: generalization_factor(0.5, {"a": 0.1}, ood_weights={"a": 0}), "not all zero"),
        (lambda: generalization_factor(0.5, 0.4, ood_weights={"a": 1}), "need OOD scores by set name"),
        (lambda: generalization_factor(0.5, 0.4, beta=0), "beta must be positive"),
        (lambda: generalization_factor([0.1, 0.2], {"a": [0.1, 0.2], "b": [0.1]}), "different numbers of steps"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
