"""From parts to a reward: weights, gates, overlong shaping and repetition penalty, as data.

    reward(accuracy=1.0, format=1.0)                                             -> 1.5
    reward(accuracy=0.0, format=1.0, rule=Combination(gate="format_if_right"))   -> 0.0

Everything here is arithmetic on numbers. Not here: what is accurate (verifiers/), what is well formed (formats.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

GATES = ("none", "format_if_right", "accuracy_if_formatted", "both")


@dataclass(frozen=True)
class Combination:
    """How the parts of a reward are put together; the defaults are those of Metis-SPECS."""

    accuracy: float = 1.0
    """Weight of the accuracy part."""

    format: float = 0.5
    """Weight of the format part."""

    gate: str = "none"
    """none; format_if_right (format counts only when the answer is right); accuracy_if_formatted; both (all or
    nothing)."""

    max_length: int | None = None
    """Longest response in tokens (or characters, see ``overlong_penalty``); None switches the overlong penalty off."""

    overlong_buffer: int = 0
    """Length of the stretch before ``max_length`` over which the penalty grows from 0 to ``overlong_factor``."""

    overlong_factor: float = 1.0
    """Largest overlong penalty."""

    repetition: float = 0.0
    """Largest repetition penalty, reached when every n-gram is a repetition."""

    repetition_ngram: int = 20
    """Words per n-gram of the repetition penalty."""

    def __post_init__(self) -> None:
        if self.gate not in GATES:
            raise ValueError(f"gate must be one of {', '.join(GATES)}, got {self.gate!r}")
        if self.max_length is not None and not 0 < self.overlong_buffer <= self.max_length:
            raise ValueError(
                f"overlong_buffer must lie in (0, max_length = {self.max_length}], got {self.overlong_buffer}: "
                "the penalty grows over the last overlong_buffer of max_length."
            )

    @classmethod
    def of(cls, settings: Mapping[str, object] | Combination | None) -> Combination:
        """Read from configuration; unknown keys are refused."""
        if isinstance(settings, Combination):
            return settings
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings or {}) - known)
        if unknown:
            raise ValueError(f"unknown reward setting {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        values: dict[str, Any] = dict(settings or {})  # from YAML: ``__post_init__`` checks what can be wrong
        return cls(**values)


DEFAULT = Combination()


def reward(accuracy: float, format: float, rule: Combination = DEFAULT) -> float:
    """Weighted sum of both parts after the gate. Penalties are added by the caller, who knows the length."""
    if rule.gate in ("format_if_right", "both") and accuracy < 1.0:
        format = 0.0
    if rule.gate in ("accuracy_if_formatted", "both") and format < 1.0:
        accuracy = 0.0
        if rule.gate == "both":
            format = 0.0
    return rule.accuracy * accuracy + rule.format * format


def overlong_penalty(length: int, rule: Combination) -> float:
    """Soft overlong punishment of DAPO (Yu et al. 2025, eq. 13), times ``overlong_factor``; zero or negative.

    0 up to max_length - buffer, then linear down to -1 at max_length, -1 beyond.
    """
    if rule.max_length is None:
        return 0.0
    excess = length - (rule.max_length - rule.overlong_buffer)
    return -rule.overlong_factor * min(max(excess / rule.overlong_buffer, 0.0), 1.0)


def repetition_penalty(text: str, rule: Combination) -> float:
    """Minus the share of word n-grams that occurred before, times ``repetition``; zero or negative."""
    if rule.repetition <= 0.0:
        return 0.0
    words = text.lower().split()
    total = len(words) - rule.repetition_ngram + 1
    if total <= 0:
        return 0.0
    distinct = len({tuple(words[i : i + rule.repetition_ngram]) for i in range(total)})
    return -rule.repetition * (1.0 - distinct / total)
