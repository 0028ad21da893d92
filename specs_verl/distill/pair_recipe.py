"""Which samples meet in a pair, and how they are drawn: one recipe per row of the ablations of Metis-SPECS.

    recipe = read_recipe("specs")              # chosen from `zero`, rejected from `base`, form differs, judged
    recipe = read_recipe("mine.yaml")          # the same keys in a file of one's own; the others have their defaults
    recipe = read_recipe("no_judge", {"n": 4})   # with another default for what the recipe leaves open

The named ones are specs_verl/config/distill/*.yaml. Sources are names: `base` (the model to be trained), `zero` (the
same after a short GRPO), `teacher` (a larger model). What is said later wins: specs.yaml, which holds the defaults; the
caller's own defaults (sizes of a world); the recipe; the options that the user gave to `specs distill`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from specs_verl.distill.pair import PAIR_KINDS, Pairing
from specs_verl.distill.rule_judge import JUDGES
from specs_verl.distill.select import Selection
from specs_verl.errors import UserError
from specs_verl.formats.registry import PAIR_FORMATS
from specs_verl.sampling.parameters import SamplingParameters

FOLDER = Path(__file__).parent.parent / "config" / "distill"
DEFAULTS = "specs"
"""The recipe that says nothing but the defaults."""

SOURCES = ("base", "zero", "teacher")

ROLLOUTS = "rollouts"
"""The source that was sampled in training: what verl dumped of stage 1."""

CORRUPTED_CHOSEN = "corrupted_chosen"
"""In the place of the rejected source: the chosen response itself, with one corruption."""

CHOSEN_SOURCES = (*SOURCES, ROLLOUTS)
REJECTED_SOURCES = (*SOURCES, ROLLOUTS, CORRUPTED_CHOSEN)

SAMPLING = (
    *("n", "max_samples", "temperature", "top_p", "max_tokens", "max_prompt_tokens", "max_pixels", "min_pixels"),
    *("system_prompt", "instruction"),
)
"""Keys of a recipe that are sampling parameters, for all its sources."""

_DEFAULTS = SamplingParameters()


@dataclass(frozen=True)
class Recipe:
    """Sources, pairing, selection, sampling; the keys are those of the YAML files and, with dashes, of the command."""

    summary: str = ""
    chosen: str = "zero"
    rejected: str = "base"
    pairs: str = "decoupled"
    judge: str = "rule"
    complete_chosen: bool = False
    natural: float = 0.0
    formats: tuple[str, ...] = PAIR_FORMATS
    formats_share: float = 0.0
    match_length: bool = False
    max_pairs: int | None = None
    max_length_gap: float | None = None
    duplicates: str = "prompt"
    seed: int = 0
    n: int = _DEFAULTS.n
    max_samples: int | None = None
    temperature: float = _DEFAULTS.temperature
    top_p: float = _DEFAULTS.top_p
    max_tokens: int = _DEFAULTS.max_tokens
    max_prompt_tokens: int = _DEFAULTS.max_prompt_tokens
    max_pixels: int | None = None
    min_pixels: int | None = None
    system_prompt: str | None = None
    instruction: str | None = None

    def __post_init__(self) -> None:
        allowed = {
            "chosen": CHOSEN_SOURCES,
            "rejected": REJECTED_SOURCES,
            "pairs": PAIR_KINDS,
            "judge": tuple(JUDGES),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise UserError(f"Recipe: {name} is {', '.join(values)}, not {getattr(self, name)!r}.")
        if not isinstance(self.formats, list | tuple):
            raise UserError(f"Recipe: formats is a list of names, not {self.formats!r}.")
        object.__setattr__(self, "formats", tuple(map(str, self.formats)))
        self.pairing()

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that must be given, each once."""
        named = (self.chosen, self.chosen if self.rejected == CORRUPTED_CHOSEN else self.rejected)
        return tuple(dict.fromkeys(named))

    def pairing(self) -> Pairing:
        """How pairs are made."""
        return Pairing(
            kind=self.pairs,
            seed=self.seed,
            judge=self.judge,
            natural=self.natural,
            formats=tuple(self.formats) if self.formats_share else (),
            formats_share=self.formats_share,
            corrupted_chosen=self.rejected == CORRUPTED_CHOSEN,
            match_length=self.match_length,
            complete_chosen=self.complete_chosen,
        )

    def selection(self) -> Selection:
        """Which of the pairs that can be made are kept."""
        return Selection(self.max_pairs, self.max_length_gap, self.duplicates)

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


def read_recipe(name: str, defaults: Mapping[str, object] | None = None) -> Recipe:
    """A recipe by name, or from a YAML file of one's own.

    Args:
        name: of config/distill, or a path that ends with .yaml or .yml.
        defaults: values of keys that the recipe leaves open, instead of those of specs.yaml.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"No recipe is called {name!r}; there are {', '.join(names())}, or pass a YAML file.")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not readable as YAML ({error}).") from error
    own = _checked(values, str(file))
    given = _checked(dict(defaults or {}), "Defaults of a recipe")
    return Recipe(**({**own, **given} if name == DEFAULTS else {**given, **own}))


def _checked(values: object, place: str) -> dict[str, Any]:
    """Keys and values of a recipe, of which none is unknown."""
    known = [field.name for field in fields(Recipe)]
    if not isinstance(values, dict) or set(values) - set(known):
        unknown = (
            ", ".join(sorted(map(str, set(values) - set(known)))) if isinstance(values, dict) else "no mapping at all"
        )
        raise UserError(f"{place}: unknown keys: {unknown}. A recipe has {', '.join(known)}.")
    return values
