"""Spread and intervals against closed forms."""

import math
from dataclasses import astuple
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs_verl.measure import mean_interval, mean_intervals, paired_difference, seed_spread


def test_spread_by_hand():
    # mean (0.61 + 0.64 + 0.60) / 3 = 0.616667; squares 0.000044 + 0.000544 + 0.000278 = 0.000867; / 2, root: 0.020817
    spread = seed_spread([0.61, 0.64, 0.60])
    assert (spread.mean, spread.std, spread.n) == (pytest.approx(1.85 / 3), pytest.approx(0.0208167, abs=1e-6), 3)
    assert seed_spread([0.5]).std == 0.0


def test_interval_of_a_mean_matches_the_normal_theory():
    # 400 prompts, half right: standard error sqrt(0.25 / 400) = 0.025, so 95 % is 0.5 +- 1.96 * 0.025 = [0.451, 0.549]
    interval = mean_interval([0.0, 1.0] * 200)
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_pairing_removes_what_the_prompts_share():
    # Prompts differ a lot (0 or 1) but the gain is 0.1 on every one: paired, there is no doubt at all.
    control = np.array([0.0, 0.9] * 100)
    difference = paired_difference(control + 0.1, control)
    assert difference.value == pytest.approx(0.1)
    assert difference.high - difference.low == pytest.approx(0.0, abs=1e-12)


def test_difference_of_two_coins_by_normal_theory():
    # difference +1 on 60, -1 on 40, 0 on 100 prompts: mean 0.1, variance (100/200 - 0.01) / 200, error 0.0495
    treated = [1.0] * 60 + [0.0] * 40 + [1.0] * 100
    control = [0.0] * 60 + [1.0] * 40 + [1.0] * 100
    difference = paired_difference(treated, control, resamples=4000)
    error = math.sqrt((0.5 - 0.01) / 200)
    assert difference.low == pytest.approx(0.1 - 1.96 * error, abs=0.012)
    assert difference.high == pytest.approx(0.1 + 1.96 * error, abs=0.012)


def test_same_seed_same_interval():
    values = list(np.linspace(0, 1, 50))
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_difference([1.0, 0.0], [1.0]), "same prompts"),
        (lambda: mean_interval([]), "non-empty"),
        (lambda: mean_interval([0.1, float("nan")]), "position 1"),
        (lambda: mean_interval([0.1, 0.2], level=95), "between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_several_quantities_at_once_are_each_its_own_interval():
    first, second = [0.0, 1.0, 0.5, 0.25], [1.0, 1.0, 0.0, 1.0]
    together = mean_intervals({"first": first, "second": second})
    for name, values in (("first", first), ("second", second)):
        alone = mean_interval(values)
        assert astuple(together[name]) == pytest.approx(astuple(alone), abs=1e-12)
    with pytest.raises(ValueError, match="one value per prompt"):
        mean_intervals({"first": first, "second": [1.0]})


def test_the_interval_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).random(60)
    ours = mean_interval(values, resamples=4000)
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


SHARES = st.floats(0.0, 1.0, allow_subnormal=False)


@settings(max_examples=15)
@given(st.lists(SHARES, min_size=2, max_size=4))
def test_the_interval_cuts_the_tails_of_every_resample_there_is(values):
    """All n^n resamples of a few prompts give the exact distribution: 2.5 % of it lie below the interval, 2.5 % above.

    Of 2,000 draws a share of 0.025 has a standard deviation of 0.0035.
    """
    exact = np.sort([np.mean(drawn) for drawn in product(values, repeat=len(values))])
    interval = mean_interval(values)
    for edge, share in ((interval.low, 0.025), (interval.high, 0.975)):
        assert np.mean(exact < edge - 1e-9) <= share + 0.015
        assert np.mean(exact <= edge + 1e-9) >= share - 0.015


@settings(max_examples=15)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=30))
def test_exchanging_the_sides_mirrors_the_difference(pairs):
    first, second = zip(*pairs, strict=True)
    one, two = paired_difference(first, second), paired_difference(second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low), abs=1e-9)
    assert one.value == pytest.approx(math.fsum(a - b for a, b in pairs) / len(pairs), abs=1e-9)
    assert min(a - b for a, b in pairs) - 1e-9 <= one.low <= one.high <= max(a - b for a, b in pairs) + 1e-9
