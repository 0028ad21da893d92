"""Which samples meet in a pair, and how they are drawn: one recipe per row of the ablations of Metis-SPECS.

    recipe = read_recipe("specs")              # chosen from `zero`, rejected from `base`, form differs, judged
    recipe = read_recipe("mine.yaml")          # the same keys in a file of one's own; the others have their defaults

The named ones are specs_verl/config/distill/*.yaml. Sources are names: `base` (the model to be trained), `zero` (the
same after a short GRPO), `teacher` (a larger model). Options of `specs distill` win over the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from specs_verl.distill.pair import PAIR_KINDS
from specs_verl.distill.rule_judge import JUDGES
from specs_verl.errors import UserError
from specs_verl.sampling.parameters import SamplingParameters

FOLDER = Path(__file__).parent.parent / "config" / "distill"
SOURCES = ("base", "zero", "teacher")
SAMPLING = (
    *("n", "max_samples", "temperature", "top_p", "max_tokens", "max_prompt_tokens"),
    *("system_prompt", "instruction"),
)
"""Keys of a recipe that are sampling parameters, for all its sources."""

_DEFAULTS = SamplingParameters()


@dataclass(frozen=True)
class Recipe:
    """Sources, pairing and sampling; the keys are those of the YAML files and, with dashes, of the command line."""

    summary: str = ""
    chosen: str = "zero"
    rejected: str = "base"
    pairs: str = "decoupled"
    judge: str = "rule"
    complete_chosen: bool = False
    as_is: bool = False
    match_length: bool = False
    seed: int = 0
    n: int = _DEFAULTS.n
    max_samples: int | None = None
    temperature: float = _DEFAULTS.temperature
    top_p: float = _DEFAULTS.top_p
    max_tokens: int = _DEFAULTS.max_tokens
    max_prompt_tokens: int = _DEFAULTS.max_prompt_tokens
    system_prompt: str | None = None
    instruction: str | None = None

    def __post_init__(self) -> None:
        allowed = {"chosen": SOURCES, "rejected": SOURCES, "pairs": PAIR_KINDS, "judge": tuple(JUDGES)}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise UserError(f"Recipe: {name} is {', '.join(values)}, not {getattr(self, name)!r}.")

    def sampling(self, source: str) -> SamplingParameters:
        """How a source is sampled; adaptively, it stops when the source has given what its side of the pair needs."""
        values = {name: getattr(self, name) for name in SAMPLING}
        return SamplingParameters(**values, seed=self.seed, until=self._until(source))

    def _until(self, source: str) -> str | None:
        if self.max_samples is None:
            return None
        if self.chosen == self.rejected and self.pairs == "coupled":
            return "both"
        if self.chosen == source:
            return "right" if self.complete_chosen else "well_formed"
        return "right" if self.pairs == "decoupled" else "wrong"


def names() -> list[str]:
    """Recipes that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_recipe(name: str) -> Recipe:
    """A recipe by name, or from a YAML file of one's own."""
    file = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"No recipe is called {name!r}; there are {', '.join(names())}, or pass a YAML file.")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not readable as YAML ({error}).") from error
    known = [field.name for field in fields(Recipe)]
    if not isinstance(values, dict) or set(values) - set(known):
        unknown = ", ".join(sorted(set(values) - set(known))) if isinstance(values, dict) else "no mapping at all"
        raise UserError(f"{file}: unknown keys: {unknown}. A recipe has {', '.join(known)}.")
    return Recipe(**values)
