"""The loss of a packed row and what a step reports about it, as sums that add up over rows and processes.

    function = BatchLoss(settings, batch_pairs=64, batch_tokens=9000, reference={...})     # preference pairs
    function = SupervisedLoss(settings, batch_rows=64, batch_tokens=9000)                  # conversations
    loss, sums = function(log_probs, row)              # called by the engine for each row
    report = function.report(sums_of_all_processes)

Everything is divided by the *global* batch, never by what one process or one row happens to hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from specs_verl.cold_start.loss import (
    LossSettings,
    PairLengths,
    PairLogProbs,
    implicit_rewards,
    preference_loss,
    sft_loss,
)
from specs_verl.cold_start.packing import PackedRow

AVERAGED = {
    "sft_loss": "sft",
    "dpo_loss": "preference",
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "rewards/margin": "margin",
    "rewards/accuracy": "accuracy",
    "logps/chosen": "chosen_logp",
    "logps/rejected": "rejected_logp",
}
"""Reported name -> sum over pairs, for the means over the batch. `dpo_loss` is the preference term, whichever it is."""

NOT_FINITE = "not_finite"
Sums = dict[str, float | list[int]]
"""Sums over the pairs of a row by name; under NOT_FINITE the pairs whose loss is not finite."""


@dataclass(frozen=True)
class BatchLoss:
    """Loss of one global batch, evaluated row by row."""

    settings: LossSettings
    batch_pairs: int
    batch_tokens: int  # chosen tokens of the global batch
    reference: Mapping[int, tuple[float, float]]  # pair -> reference log-probabilities of chosen and rejected

    def __call__(self, log_probs: Tensor, row: PackedRow) -> tuple[Tensor, Sums]:
        """`log_probs` is (pairs, 2): chosen, rejected."""
        if row.padding:
            return log_probs.sum() * 0.0, {}
        device = log_probs.device
        policy = PairLogProbs(log_probs[:, 0], log_probs[:, 1])
        table = torch.tensor([self.reference[pair] for pair in row.pairs], dtype=torch.float32, device=device)
        reference = PairLogProbs(table[:, 0], table[:, 1])
        lengths = PairLengths(*row.lengths.to(device).unbind(1))
        settings = self.settings
        preference = preference_loss(policy, reference, lengths, settings)
        sft = sft_loss(policy, lengths, settings.sft_normalization, self.batch_pairs, self.batch_tokens)
        per_pair = settings.preference_weight * preference + settings.sft_weight * sft
        loss = per_pair.sum() / self.batch_pairs
        with torch.no_grad():
            rewards = implicit_rewards(policy, reference, settings.beta)
            margin = rewards.chosen - rewards.rejected
            sums: Sums = {
                "pairs": float(len(row.pairs)),
                "tokens": float(row.layout.length),
                "sft": sft.sum().item(),
                "preference": preference.sum().item(),
                "chosen_reward": rewards.chosen.sum().item(),
                "rejected_reward": rewards.rejected.sum().item(),
                "margin": margin.sum().item(),
                "accuracy": (margin > 0).float().sum().item(),
                "chosen_logp": policy.chosen.sum().item(),
                "rejected_logp": policy.rejected.sum().item(),
                NOT_FINITE: [p for p, ok in zip(row.pairs, torch.isfinite(per_pair).tolist(), strict=True) if not ok],
            }
        return loss, sums

    def report(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Means over the pairs of the global batch, under the names of metrics.jsonl."""
        means = {name: totals[key] / totals["pairs"] for name, key in AVERAGED.items()}
        loss = self.settings.preference_weight * means["dpo_loss"] + self.settings.sft_weight * means["sft_loss"]
        return {"loss": loss, **means}


@dataclass(frozen=True)
class SupervisedLoss:
    """Loss of one global batch of conversations, evaluated row by row."""

    settings: LossSettings
    batch_rows: int
    batch_tokens: int  # trained tokens of the global batch

    def __call__(self, log_probs: Tensor, row: PackedRow) -> tuple[Tensor, Sums]:
        """`log_probs` is (rows, 1)."""
        if row.padding:
            return log_probs.sum() * 0.0, {}
        said = PairLogProbs(log_probs[:, 0], log_probs[:, 0])
        lengths = PairLengths(*(row.lengths[:, 0].to(log_probs.device),) * 2)
        sft = sft_loss(said, lengths, self.settings.sft_normalization, self.batch_rows, self.batch_tokens)
        finite = torch.isfinite(sft).tolist()
        sums: Sums = {
            "pairs": float(len(row.pairs)),
            "tokens": float(row.layout.length),
            "trained_tokens": float(row.lengths.sum()),
            "sft": sft.sum().item(),
            "log_prob": log_probs.detach().sum().item(),
            NOT_FINITE: [pair for pair, ok in zip(row.pairs, finite, strict=True) if not ok],
        }
        return self.settings.sft_weight * sft.sum() / self.batch_rows, sums

    def report(self, totals: Mapping[str, float]) -> dict[str, float]:
        """The loss, and `nll`: nats per trained token whatever the normalisation of the loss."""
        mean = totals["sft"] / totals["pairs"]
        return {
            "loss": self.settings.sft_weight * mean,
            "sft_loss": mean,
            "nll": -totals["log_prob"] / totals["trained_tokens"],
        }


def add_sums(per_process: Mapping[str, Any]) -> tuple[dict[str, float], list[int]]:
    """The sums of all processes added up, and the rows of all of them whose loss is not finite.

    Args:
        per_process: verl gathers each metric as a list with one entry per process; what is no list is not ours.
    """
    listed = {name: values for name, values in per_process.items() if isinstance(values, list)}
    not_finite = [row for rows in listed.pop(NOT_FINITE, []) for row in rows]
    return {name: sum(values) for name, values in listed.items()}, not_finite
