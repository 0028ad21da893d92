"""Nucleus sizes on distributions whose nucleus can be counted by hand."""

import math

import numpy as np
import pytest

from specs_verl.measure import nucleus_sizes, rollout_branching_factor


def logs(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows))


def test_counts_by_hand():
    rows = logs(
        [0.97, 0.01, 0.01, 0.01],  # 0.97 >= 0.95: 1 token
        [0.02, 0.60, 0.35, 0.03],  # 0.60 + 0.35 = 0.95: 2 tokens, in whatever order they stand
        [0.25, 0.25, 0.25, 0.25],  # 0.75 < 0.95: all 4
        [0.90, 0.04, 0.04, 0.02],  # 0.90, 0.94, 0.98: 3
    )
    sizes, cut = nucleus_sizes(rows)
    assert sizes.tolist() == [1, 2, 4, 3]
    assert not cut.any()
    branching = rollout_branching_factor(rows)
    assert branching.factor == pytest.approx((1 + 2 + 4 + 3) / 4)
    assert branching.tokens == 4


def test_mask_keeps_generated_tokens_only():
    rows = logs([0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0])
    assert rollout_branching_factor(rows, mask=np.array([False, True, True])).factor == pytest.approx((1 + 2) / 2)


def test_top_k_log_probs_give_a_lower_bound_that_is_reported():
    # The engine returned only two of many tokens: 0.5 + 0.3 < 0.95, so at least these 2; the padded row knows 1.
    rows = np.array([[math.log(0.5), math.log(0.3)], [math.log(0.6), -math.inf], [math.log(0.96), math.log(0.02)]])
    sizes, cut = nucleus_sizes(rows)
    assert sizes.tolist() == [2, 1, 1]
    assert cut.tolist() == [True, True, False]
    assert rollout_branching_factor(rows).cut == pytest.approx(2 / 3)


def test_stream_of_blocks_weighs_tokens_not_blocks():
    # 3 tokens of size 1 and 1 token of size 4: 7/4, not (1 + 4)/2
    certain, uniform = logs(*[[1.0, 0.0, 0.0, 0.0]] * 3), logs([0.25] * 4)
    assert rollout_branching_factor(iter([certain, uniform])).factor == pytest.approx(7 / 4)


def test_uniform_rows_of_float32_over_a_large_vocabulary():
    # 0.95 of 100,000 equal tokens is 95,000; float32 log-probs must not move that by more than rounding.
    rows = np.full((2, 100_000), -math.log(100_000), dtype=np.float32)
    sizes, _ = nucleus_sizes(rows)
    assert abs(sizes - 95_000).max() <= 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.array([[0.5, 0.5]]), "probabilities or logits"),
        (np.log(np.array([[0.9, 0.9]])), "not log-probs of one distribution"),
        (np.array([[np.nan, -1.0]]), "no NaN"),
        (np.zeros((3,)), "shape"),
    ],
)
def test_what_is_no_log_prob_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        nucleus_sizes(rows)


def test_nothing_generated_is_an_error():
    with pytest.raises(ValueError, match="No generated tokens"):
        rollout_branching_factor(np.zeros((0, 4)))
