"""From the facts of all steps so far to alarms, each with its reason and what to look at. Pure functions.

    for alarm in alarms(history, settings): print(alarm.reason)

`history` begins where this process began: after a resume the averages start afresh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from specs_verl.rails.facts import Facts
from specs_verl.rails.settings import Settings

MOST_NAMED = 5


@dataclass(frozen=True)
class Alarm:
    """One symptom of the last step."""

    name: str
    reason: str
    poisoned: bool = False
    """The weights may be spoilt: they must not become the newest checkpoint."""


def alarms(history: Sequence[Facts], settings: Settings) -> list[Alarm]:
    """What is wrong after the last step of `history` (oldest first, not empty)."""
    found = [
        _not_finite(history, settings),
        _correlation(history, settings),
        _flat(history, settings),
        _format(history, settings),
        _at_cap(history, settings),
    ]
    return [alarm for alarm in found if alarm is not None]


def _not_finite(history: Sequence[Facts], settings: Settings) -> Alarm | None:
    names = history[-1].not_finite
    if not settings.not_finite or not names:
        return None
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return Alarm(
        "not_finite", f"NaN or infinite: {', '.join(names[:MOST_NAMED])}{more}. The loss or a reward is broken.", True
    )


def _correlation(history: Sequence[Facts], settings: Settings) -> Alarm | None:
    value, least = history[-1].correlation, settings.min_correlation
    # Not `value < least`: NaN, which verl logs where nothing can be correlated, is no agreement either.
    if value is None or least is None or value >= least:
        return None
    said = "cannot be computed" if math.isnan(value) else f"is {value:.4f}, under {least:g}"
    return Alarm(
        "correlation",
        f"The correlation of rollout and actor probabilities {said}: vLLM samples from another model than is trained. "
        "Weight transfer, image preprocessing, or numeric precision differ.",
    )


def _flat(history: Sequence[Facts], settings: Settings) -> Alarm | None:
    most = settings.most_flat_groups
    if most is None or not _lasts([facts.flat_groups for facts in history], most, settings.patience):
        return None
    return Alarm(
        "flat_groups",
        f"For {settings.patience} steps over {most:.0%} of the groups have had one reward for all their responses: "
        "nothing is learned from them. The task is too easy or too hard, or the reward is constant.",
    )


def _at_cap(history: Sequence[Facts], settings: Settings) -> Alarm | None:
    most = settings.most_at_cap
    if most is None or not _lasts([facts.at_cap for facts in history], most, settings.patience):
        return None
    return Alarm(
        "at_cap",
        f"For {settings.patience} steps over {most:.0%} of the responses have been cut off at "
        f"data.max_response_length (now {history[-1].at_cap:.0%}): their answers are lost.",
    )


def _format(history: Sequence[Facts], settings: Settings) -> Alarm | None:
    values = [facts.format for facts in history if facts.format is not None]
    width, drop = settings.window, settings.format_drop
    if drop is None or history[-1].format is None or len(values) < 2 * width:
        return None
    now = sum(values[-width:]) / width
    before = values[:-width]
    best = max(sum(before[start : start + width]) / width for start in range(len(before) - width + 1))
    if not now < best - drop:
        return None
    return Alarm(
        "format",
        f"The format reward has fallen to {now:.3f} (mean of {width} steps) from {best:.3f}: the form that the cold "
        "start taught is being lost.",
    )


def _lasts(shares: Sequence[float | None], most: float, patience: int) -> bool:
    """Whether each of the last `patience` shares is known and above `most`."""
    last = shares[-patience:]
    return len(last) == patience and all(share is not None and share > most for share in last)
