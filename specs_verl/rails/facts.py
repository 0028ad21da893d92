"""What one training step says about itself, for the alarms: read from verl's metrics and from the rollouts' lengths.

    facts = facts_of(step=12, metrics=metrics, scores=scores_by_key, lengths=[80, 41, ...], longest=80)

Two shares are counted here and not taken from verl 0.9.1: its `response_length/clip_ratio` compares with the longest
response *of the batch*, so that at least one response is always at the "cap".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

CORRELATION = "training/rollout_actor_probs_pearson_corr"
"""verl's correlation of the probabilities that vLLM sampled with and those that the actor computes."""

FORMAT = "reward/format/mean"
"""Mean format reward of the step's rollouts, logged by plugin/reward_log.py."""

MUST_BE_FINITE = ("actor/", "critic/", "reward/")
"""Metrics of the optimisation; others (MFU on a machine that verl does not know) may well be no number."""


@dataclass(frozen=True)
class Facts:
    """One step; None for what the run does not measure."""

    step: int
    correlation: float | None = None
    flat_groups: float | None = None
    """Share of groups whose responses all have one reward: they give no gradient."""

    format: float | None = None
    at_cap: float | None = None
    """Share of responses that are as long as allowed."""

    not_finite: tuple[str, ...] = ()
    """Names of metrics that are NaN or infinite."""

    def as_metrics(self) -> dict[str, float]:
        """What verl does not log itself."""
        shares = {"rails/flat_groups": self.flat_groups, "rails/at_cap": self.at_cap}
        return {name: value for name, value in shares.items() if value is not None}


def facts_of(
    step: int, metrics: Mapping[str, object], scores: Mapping[str, float], lengths: Sequence[int], longest: int
) -> Facts:
    """The facts of a step.

    Args:
        metrics: what the step logs; values that are no numbers are passed over.
        scores: reward of every trajectory, by verl's key `{prompt}_{sample}_{turn}`.
        lengths: tokens of every response.
        longest: tokens a response may have.
    """
    numbers = {name: number for name, value in metrics.items() if (number := _number(value)) is not None}
    return Facts(
        step=step,
        correlation=numbers.get(CORRELATION),
        flat_groups=flat_groups(scores),
        format=numbers.get(FORMAT),
        at_cap=sum(length >= longest for length in lengths) / len(lengths) if lengths else None,
        not_finite=tuple(
            name for name, number in numbers.items() if name.startswith(MUST_BE_FINITE) and not math.isfinite(number)
        ),
    )


def flat_groups(scores: Mapping[str, float]) -> float | None:
    """Share of the prompts with several samples whose samples all have the same reward; None without such prompts.

    Of a sample with several turns the last one's reward counts, as in verl's group advantage.
    """
    last: dict[tuple[str, str], tuple[int, float]] = {}
    for key, score in scores.items():
        prompt, sample, turn = key.rsplit("_", 2)
        if (prompt, sample) not in last or last[prompt, sample][0] < int(turn):
            last[prompt, sample] = (int(turn), score)
    groups: dict[str, list[float]] = {}
    for (prompt, _), (_, score) in last.items():
        groups.setdefault(prompt, []).append(score)
    several = [group for group in groups.values() if len(group) > 1]
    return sum(max(group) - min(group) <= 1e-9 for group in several) / len(several) if several else None


def _number(value: object) -> float | None:
    """A metric's value as a float: verl logs Python's and numpy's numbers, and tensors of one element."""
    if isinstance(value, Real):
        return float(value)
    count = getattr(value, "numel", None)
    return float(value.item()) if callable(count) and count() == 1 else None  # type: ignore[attr-defined]
