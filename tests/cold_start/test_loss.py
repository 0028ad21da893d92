"""Every loss against numbers worked out by hand."""

import math

import pytest
import torch
from torch import tensor

from specs_verl.cold_start.loss import (
    LossSettings,
    PairLengths,
    PairLogProbs,
    dpo_loss,
    hinge_loss,
    ipo_loss,
    orpo_loss,
    preference_loss,
    sft_loss,
    simpo_loss,
)

# rewards at beta 0.1: chosen 0.1 * (-10 + 12) = 0.2, rejected 0.1 * (-11 + 9) = -0.2, margin 0.4
POLICY = PairLogProbs(tensor([-10.0]), tensor([-11.0]))
REFERENCE = PairLogProbs(tensor([-12.0]), tensor([-9.0]))
LENGTHS = PairLengths(tensor([5]), tensor([4]))


def test_dpo():
    # -log sigmoid(0.4) = log(1 + exp(-0.4)) = 0.513015
    assert dpo_loss(POLICY, REFERENCE, beta=0.1).item() == pytest.approx(0.513015, abs=1e-6)


def test_dpo_with_label_smoothing():
    # 0.9 * 0.513015 + 0.1 * 0.913015; -log sigmoid(-0.4) = 0.4 + 0.513015
    assert dpo_loss(POLICY, REFERENCE, 0.1, label_smoothing=0.1).item() == pytest.approx(0.553015, abs=1e-6)


def test_ipo():
    # per-token ratios: chosen 2 / 5 = 0.4, rejected -2 / 4 = -0.5; (0.9 - 1 / (2 * 0.5))^2 = 0.01
    assert ipo_loss(POLICY, REFERENCE, LENGTHS, beta=0.5).item() == pytest.approx(0.01, abs=1e-6)


def test_hinge():
    assert hinge_loss(POLICY, REFERENCE, beta=0.1).item() == pytest.approx(0.6, abs=1e-6)  # 1 - 0.4
    assert hinge_loss(POLICY, REFERENCE, beta=1.0).item() == 0.0  # margin 4 is wide enough


def test_simpo():
    # means: -10 / 5 = -2, -11 / 4 = -2.75; 2 * 0.75 - 0.5 = 1; -log sigmoid(1) = 0.313262
    assert simpo_loss(POLICY, LENGTHS, beta=2.0, margin=0.5).item() == pytest.approx(0.313262, abs=1e-6)


def test_orpo():
    # odds: p / (1 - p) with p = exp(-2) and exp(-2.75)
    odds = math.log(math.exp(-2) / (1 - math.exp(-2))) - math.log(math.exp(-2.75) / (1 - math.exp(-2.75)))
    expected = -0.1 * math.log(1 / (1 + math.exp(-odds)))
    assert orpo_loss(POLICY, LENGTHS, beta=0.1).item() == pytest.approx(expected, abs=1e-6)


def test_orpo_survives_a_certain_response():
    chosen = tensor([0.0], requires_grad=True)
    orpo_loss(PairLogProbs(chosen, tensor([-3.0])), LENGTHS, beta=0.1).backward()
    assert torch.isfinite(chosen.grad).all()


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("pair", (10 / 5 + 30 / 10) / 2),  # mean of the two per-token means
        ("token", (10 + 30) / (5 + 10)),  # one mean over all tokens
        ("sum", (10 + 30) / 2),  # summed over tokens, averaged over pairs
    ],
)
def test_sft_normalisations(normalization, expected):
    policy = PairLogProbs(tensor([-10.0, -30.0]), tensor([0.0, 0.0]))
    lengths = PairLengths(tensor([5, 10]), tensor([1, 1]))
    loss = sft_loss(policy, lengths, normalization, batch_pairs=2, batch_tokens=15)
    assert loss.mean().item() == pytest.approx(expected, rel=1e-6)


def test_sft_of_two_halves_adds_up_to_the_whole():
    # two pairs on two processes: each knows the global batch (2 pairs, 15 tokens), and the halves add up
    halves = [
        sft_loss(PairLogProbs(tensor([nll]), tensor([0.0])), PairLengths(tensor([n]), tensor([1])), "token", 2, 15)
        for nll, n in ((-10.0, 5), (-30.0, 10))
    ]
    assert sum(half.item() for half in halves) / 2 == pytest.approx(40 / 15, rel=1e-6)


@pytest.mark.parametrize("preference", ["sigmoid", "ipo", "hinge", "simpo", "orpo"])
def test_a_larger_margin_never_costs_more(preference):
    chosen, rejected = tensor([-10.0], requires_grad=True), tensor([-11.0], requires_grad=True)
    settings = LossSettings(preference=preference, beta=0.1)
    preference_loss(PairLogProbs(chosen, rejected), REFERENCE, LENGTHS, settings).backward()
    assert chosen.grad.item() < 0 < rejected.grad.item()


def test_no_preference_term():
    settings = LossSettings(preference="none", sft_weight=1.0)
    assert preference_loss(POLICY, REFERENCE, LENGTHS, settings).tolist() == [0.0]


@pytest.mark.parametrize(
    "bad",
    [
        {"preference": "kto"},
        {"beta": 0.0},
        {"label_smoothing": 0.5},
        {"label_smoothing": 0.1, "preference": "ipo"},
        {"sft_weight": -1.0},
        {"sft_normalization": "mean"},
        {"preference": "none", "sft_weight": 0.0},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="loss"):
        LossSettings(**bad)
