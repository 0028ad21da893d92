"""The section `rails` of a recipe, checked: what sets off an alarm, what follows, and which samples are shown.

    settings = Settings.of(config)          # None for a configuration without the section

specs_verl/config/specs/parts/rails.yaml explains every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from specs_verl.errors import UserError

SECTION = "rails"
WARN, STOP = "warn", "stop"


@dataclass(frozen=True)
class Settings:
    """Thresholds of the alarms; None switches an alarm off."""

    on_alarm: str = WARN
    """warn: a line in the log. stop: the run ends as well."""

    min_correlation: float | None = 0.99
    """Pearson correlation of rollout and actor probabilities, in [-1, 1]."""

    not_finite: bool = True

    most_flat_groups: float | None = 0.99
    """Share of groups whose responses all have one reward, in [0, 1]."""

    format_drop: float | None = 0.1
    """Of the mean format reward, in its own unit ([0, 1] for our rewards)."""

    most_at_cap: float | None = 0.2
    """Share of responses, in [0, 1]."""

    patience: int = 3
    """Steps in a row, for alarms about shares."""

    window: int = 5
    """Steps that the format reward is averaged over."""

    samples_every: int = 25
    """Steps; 0 for no tables."""

    samples_prompts: int = 4

    forbid_vision_tokens: bool = True

    def __post_init__(self) -> None:
        problems = []
        if self.on_alarm not in (WARN, STOP):
            problems.append(f"on_alarm must be {WARN} or {STOP}, got {self.on_alarm!r}")
        bounds = {"min_correlation": -1, "most_flat_groups": 0, "format_drop": 0, "most_at_cap": 0}
        for name, least in bounds.items():
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1:
                problems.append(f"{name} must be a number from {least} to 1, or null, got {value!r}")
        for name, least in {"patience": 1, "window": 1, "samples_every": 0, "samples_prompts": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                problems.append(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in ("not_finite", "forbid_vision_tokens"):
            if not isinstance(getattr(self, name), bool):
                problems.append(f"{name} must be True or False, got {getattr(self, name)!r}")
        if problems:
            raise UserError(f"{SECTION}: {'; '.join(problems)}.")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings | None:
        """The settings in a composed configuration of verl's, None where it has no such section: not our recipe."""
        section = config.get(SECTION)
        if section is None:
            return None
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(section) - known):
            raise UserError(f"{SECTION}: unknown keys {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
        return cls(**{name: section[name] for name in section})
