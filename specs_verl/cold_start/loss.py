"""Preference and SFT losses as pure functions of log-probabilities.

    loss, rewards = preference_loss(policy, reference, lengths, settings)     # one number per pair, not reduced

All arguments are float32 vectors with one entry per pair; nothing here knows about models, devices or data. Nothing is
averaged here either: the caller divides by the *global* number of pairs, so that gradient accumulation, several
processes and an uneven last batch give the loss of one big batch.
Not here: the reference log-probabilities (reference.py) and the forward pass that makes them (engine.py).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Preference = Literal["sigmoid", "ipo", "hinge", "simpo", "orpo", "none"]
SFTNormalization = Literal["pair", "token", "sum"]


@dataclass(frozen=True)
class PairLogProbs:
    """Summed log-probabilities of the two responses of each pair, in nats."""

    chosen: Tensor  # (pairs,)
    rejected: Tensor  # (pairs,)


@dataclass(frozen=True)
class PairLengths:
    """Number of response tokens (end-of-turn token included) in each summed log-probability."""

    chosen: Tensor  # (pairs,)
    rejected: Tensor  # (pairs,)


@dataclass(frozen=True)
class LossSettings:
    """Which loss, with which constants; the `loss` section of the config."""

    preference: Preference = "sigmoid"
    beta: float = 0.1
    label_smoothing: float = 0.0
    preference_weight: float = 1.0
    sft_weight: float = 1.0
    sft_normalization: SFTNormalization = "pair"
    simpo_margin: float = 0.5

    def __post_init__(self) -> None:
        _require(
            self.preference in ("sigmoid", "ipo", "hinge", "simpo", "orpo", "none"),
            f"loss.preference={self.preference}: use sigmoid, ipo, hinge, simpo, orpo or none.",
        )
        _require(
            self.sft_normalization in ("pair", "token", "sum"),
            f"loss.sft_normalization={self.sft_normalization}: use pair, token or sum.",
        )
        _require(self.beta > 0, f"loss.beta={self.beta}: must be above 0.")
        _require(0 <= self.label_smoothing < 0.5, f"loss.label_smoothing={self.label_smoothing}: must be in [0, 0.5).")
        _require(self.sft_weight >= 0, f"loss.sft_weight={self.sft_weight}: must not be negative.")
        _require(
            self.label_smoothing == 0 or self.preference == "sigmoid",
            f"loss.label_smoothing={self.label_smoothing} is only defined for loss.preference=sigmoid.",
        )
        _require(
            self.preference != "none" or self.sft_weight > 0,
            "loss.preference=none and loss.sft_weight=0 leave nothing to train on.",
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def implicit_rewards(policy: PairLogProbs, reference: PairLogProbs, beta: float) -> PairLogProbs:
    """beta * log(pi / pi_ref) of both responses, Rafailov et al. 2023, eq. 5 without the partition function."""
    return PairLogProbs(beta * (policy.chosen - reference.chosen), beta * (policy.rejected - reference.rejected))


def dpo_loss(policy: PairLogProbs, reference: PairLogProbs, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """Sigmoid DPO loss per pair, Rafailov et al. 2023, eq. 7; with label smoothing, Mitchell 2023 ("conservative DPO").

    Args:
        policy, reference: summed response log-probabilities, shape (pairs,).
        beta: inverse temperature of the implicit reward, > 0.
        label_smoothing: probability that a label is flipped, in [0, 0.5).
    """
    rewards = implicit_rewards(policy, reference, beta)
    margin = rewards.chosen - rewards.rejected
    return -(1 - label_smoothing) * F.logsigmoid(margin) - label_smoothing * F.logsigmoid(-margin)


def ipo_loss(policy: PairLogProbs, reference: PairLogProbs, lengths: PairLengths, beta: float) -> Tensor:
    """IPO loss per pair, Azar et al. 2023, eq. 17, beta playing their tau.

    Log-ratios are per-token means, as the authors advise for language models and as TRL does: with sums the target
    margin 1 / (2 beta) would mean another thing for long responses than for short ones.
    """
    chosen = (policy.chosen - reference.chosen) / lengths.chosen
    rejected = (policy.rejected - reference.rejected) / lengths.rejected
    return (chosen - rejected - 1 / (2 * beta)) ** 2


def hinge_loss(policy: PairLogProbs, reference: PairLogProbs, beta: float) -> Tensor:
    """Hinge loss per pair on the DPO margin: SLiC-HF, Zhao et al. 2023, normalised as in RSO, Liu et al. 2023."""
    rewards = implicit_rewards(policy, reference, beta)
    return F.relu(1 - (rewards.chosen - rewards.rejected))


def simpo_loss(policy: PairLogProbs, lengths: PairLengths, beta: float, margin: float) -> Tensor:
    """SimPO loss per pair, Meng et al. 2024, eq. 6: mean log-probabilities as rewards, no reference."""
    chosen, rejected = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
    return -F.logsigmoid(beta * (chosen - rejected) - margin)


def orpo_loss(policy: PairLogProbs, lengths: PairLengths, beta: float) -> Tensor:
    """Odds-ratio term of ORPO per pair, Hong et al. 2024, eq. 7, times beta (their lambda); eq. 6 adds the SFT term."""
    chosen, rejected = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
    log_odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
    return -beta * F.logsigmoid(log_odds)


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0; the clamp keeps a response of probability 1 from giving an infinite gradient."""
    return torch.log(-torch.expm1(x.clamp(max=-1e-7)))


def preference_loss(
    policy: PairLogProbs, reference: PairLogProbs, lengths: PairLengths, settings: LossSettings
) -> Tensor:
    """The preference term that the settings name, per pair; zero (without a gradient) for `none`.

    `reference` is read by sigmoid, ipo and hinge alone.
    """
    match settings.preference:
        case "sigmoid":
            return dpo_loss(policy, reference, settings.beta, settings.label_smoothing)
        case "ipo":
            return ipo_loss(policy, reference, lengths, settings.beta)
        case "hinge":
            return hinge_loss(policy, reference, settings.beta)
        case "simpo":
            return simpo_loss(policy, lengths, settings.beta, settings.simpo_margin)
        case "orpo":
            return orpo_loss(policy, lengths, settings.beta)
        case "none":
            return torch.zeros_like(policy.chosen)


def sft_loss(
    policy: PairLogProbs, lengths: PairLengths, normalization: SFTNormalization, batch_pairs: int, batch_tokens: int
) -> Tensor:
    """Negative log-likelihood of the chosen responses per pair, scaled so that the *mean over pairs* is the SFT loss.

    Args:
        normalization: `pair`: mean over pairs of the per-token mean (LLaMA-Factory's pref_ftx);
            `token`: mean over all chosen tokens of the batch (TRL);
            `sum`: mean over pairs of the summed NLL (the formula as printed in the SPECS paper).
        batch_pairs, batch_tokens: pairs and chosen tokens of the *global* batch.
    """
    nll = -policy.chosen
    match normalization:
        case "pair":
            return nll / lengths.chosen
        case "token":
            return nll * (batch_pairs / batch_tokens)
        case "sum":
            return nll
