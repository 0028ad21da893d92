"""Spikes, dips and groups without variance: planted ones are found, noise and trends are not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from specs_verl.measure.curves import Curve
from specs_verl.measure.stability import groups_without_variance, outliers, residuals, stability


def curve(values, first=1):
    return Curve(tuple(range(first, first + len(values))), tuple(map(float, values)))


def noisy(seed, count=200, trend=0.0):
    return np.random.default_rng(seed).normal(0, 1, count) + trend * np.arange(count)


def test_planted_spikes_are_found_on_a_trend():
    values = noisy(1, trend=0.5)
    values[40] += 15
    values[120] -= 15
    assert outliers(curve(values)) == ((41,), (121,))  # steps count from 1


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_noise_has_no_spikes(seed):
    """Six robust standard deviations: about 2e-9 of normal values; the residuals are a little wider than that."""
    above, below = outliers(curve(noisy(seed)))
    assert len(above) + len(below) <= 1


def test_the_band_is_scipys_median_absolute_deviation():
    values = noisy(5, 60)
    found = residuals(curve(values))
    width = 6 * median_abs_deviation(found, center=lambda x, axis: 0.0, scale="normal")
    expected = tuple(int(at) + 1 for at in np.flatnonzero(found > width))
    assert outliers(curve(values))[0] == expected
    assert found[30] == pytest.approx(values[30] - np.median(values[25:36]))


def test_flat_and_short_curves():
    assert outliers(curve([1.0] * 50)) == ((), ())
    assert outliers(curve([0.0] * 30 + [1.0] + [0.0] * 30)) == ((31,), ())
    assert outliers(curve([0, 9, 0])) == ((), ())


def test_a_run_by_hand():
    form = [0.99] * 40
    form[20], form[30] = 0.80, 0.985  # a dip, and one too shallow to matter
    loss = list(0.01 * noisy(2, 40))
    loss[10] = 3.0
    curves = {"policy_loss": curve(loss), "format": curve(form), "grad_norm": curve([1.0] * 39 + [8.0])}
    found = stability("final", curves, curve([0.5, 0.7]))
    assert found.loss_spikes == (11,) and found.format_dips == (21,)
    assert (found.grad_norm_median, found.grad_norm_max, found.no_variance) == (1.0, 8.0, pytest.approx(0.6))
    assert found.steps == 40
    nothing = stability("other", {})
    assert (nothing.loss_spikes, nothing.format_dips, nothing.no_variance, nothing.steps) == (None, None, None, 0)


def test_groups_without_variance(tmp_path):
    def write(step, groups):
        rows = [{"input": name, "output": "", "score": score} for name, scores in groups.items() for score in scores]
        (tmp_path / f"{step}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"input": "cut')

    write(1, {"a": [1, 1, 1], "b": [0, 1, 0], "alone": [1]})
    write(2, {"a": [1.5, 1.5], "b": [0, 0]})
    (tmp_path / "notes.jsonl").write_text("{}")
    assert groups_without_variance(tmp_path) == Curve((1, 2), (0.5, 1.0))
    assert groups_without_variance(tmp_path / "gone") is None
