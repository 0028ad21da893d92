"""Which samples meet in a pair: one recipe per row of the ablations of Metis-SPECS.

    recipe = RECIPES["specs"]        # chosen from `zero`, rejected from `base`, form differs, judged

Sources are names: `base` (the model to be trained), `zero` (the same after a short GRPO), `teacher` (a larger model).
Every setting can be changed by an option of `specs distill`.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = ("base", "zero", "teacher")


@dataclass(frozen=True)
class Recipe:
    """Sources and pairing."""

    summary: str
    chosen: str = "zero"
    rejected: str = "base"
    pairs: str = "decoupled"
    judge: str = "rule"
    complete_chosen: bool = False


RECIPES = {
    "specs": Recipe("self-distilled and decoupled: what the method proposes"),
    "coupled": Recipe("chosen right and well formed, rejected wrong and badly formed", pairs="coupled"),
    "no_judge": Recipe("without the judge of the reasoning", judge="none"),
    # The base model's form is right in two of five samples; the others are completed.
    "base": Recipe("distilled from the base model itself", chosen="base", complete_chosen=True),
    # A teacher reasons in its own form.
    "teacher": Recipe("distilled from a larger model", chosen="teacher", complete_chosen=True),
    "teacher_coupled": Recipe(
        "distilled from a larger model, coupled", chosen="teacher", pairs="coupled", complete_chosen=True
    ),
}
