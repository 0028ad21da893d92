"""Prompt lengths against what a recipe allows: rows over it are dropped by the trainer, or stop it.

Limits(max_prompt_tokens=4096, checkpoint="Qwen2.5-VL-7B-Instruct")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.doctor.findings import Finding
from data_prep.tokens.count import Asked, PromptCounter
from data_prep.tokens.resize import NO_LIMITS, PixelLimits


@dataclass(frozen=True)
class Limits:
    """What a recipe allows."""

    checkpoint: str
    """Whose tokenizer, chat template and image rules count."""

    max_prompt_tokens: int
    name: str = ""
    """The recipe, for messages."""

    pixels: PixelLimits = NO_LIMITS
    """The recipe's limits on the size of images."""


@dataclass(frozen=True)
class Lengths:
    """Counts prompts and says which are too long."""

    counter: PromptCounter
    limits: Limits

    @classmethod
    def of(cls, limits: Limits) -> Lengths:
        """UserError when the checkpoint has no tokenizer."""
        return cls(PromptCounter(limits.checkpoint, limits.pixels), limits)

    def tokens(self, rows: Sequence[Asked]) -> list[int]:
        """Prompt tokens per row; an upper bound where that already is within the limit."""
        bounds = self.counter.at_most(rows)
        unsure = [number for number, bound in enumerate(bounds) if bound > self.limits.max_prompt_tokens]
        for number, exact in zip(unsure, self.counter.count([rows[number] for number in unsure]), strict=True):
            bounds[number] = exact
        return bounds

    def finding(self, tokens: int) -> Finding | None:
        """The finding for a prompt that is too long."""
        if tokens <= self.limits.max_prompt_tokens:
            return None
        whose = f" ({self.limits.name})" if self.limits.name else ""
        return Finding("prompt too long", f"{tokens} prompt tokens, {self.limits.max_prompt_tokens} are allowed{whose}")
