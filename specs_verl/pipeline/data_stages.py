"""Stages that make data: prompts, preference pairs, supervised conversations.

data      -> train, test, ood        specs data MAKER ...; `files` names prompts that are there already
reformat  data -> train              specs formats ...: training prompts that ask for several output formats
distill   data, models -> rows       specs distill ...: preference pairs
route     data, model -> rows        specs sample, specs route: Metis-RISE's conversations
cot       data, teacher -> rows      specs cot: chain-of-thought conversations
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from specs_verl.errors import UserError
from specs_verl.pipeline.kinds import Command, Kind, Places, Settings, engine, named, options, specs
from specs_verl.pipeline.stage import Stage


@dataclass
class Data:
    """Prompts by a module of data_prep."""

    maker: str = MISSING
    """As in `specs data MAKER`, which must take --out, --train, --test and --seed."""

    train: int = MISSING
    test: int = MISSING
    """Rows; as many out-of-distribution ones."""

    seed: int = 0
    """The data are the same for every training seed, so that seeds can be compared."""


@dataclass
class Files:
    """Prompts that are there already."""

    train: str = MISSING
    test: str = MISSING
    ood: str | None = None
    """Prompts that ask for other output formats, for the Generalization Factor."""


@dataclass
class Reformat:
    """Training prompts of which a share asks for other output formats, none of which the evaluation asks for."""

    data: str = "data"
    formats: list[str] | None = None
    """As in `specs formats --format`; null for those that pairs ask for by default."""

    share: float = 0.5


@dataclass
class Distill:
    """Self-distilled preference pairs."""

    recipe: str = "specs"
    """Of config/distill, or a YAML file. It wins over the sizes below, but not over `judge`."""

    data: str = "data"
    base: str = "base"
    zero: str | None = None
    teacher: str | None = None
    """The sources that the recipe draws on."""

    rollouts: str | None = None
    """A GRPO stage whose rollouts are taken instead of samples, for recipes that draw on them."""

    prompts: int | None = None
    """Training prompts that are sampled, from the first on; null for all."""

    samples: int | None = None
    """Responses per prompt and source."""

    judge: str | None = None
    formats: list[str] | None = None
    """Output formats that prompts of pairs may ask for, where the recipe has pairs in several formats."""

    max_pairs: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_prompt_tokens: int | None = None
    max_pixels: int | None = None


@dataclass
class Route:
    """Metis-RISE: the model's own right answers, and an expert's where it never was right."""

    model: str = MISSING
    data: str = "data"
    expert: str | None = None
    """A stage, a checkpoint or a chat endpoint; null drops the prompts that need one."""

    prompts: int | None = None
    samples: int = 8
    """Responses per prompt, of which the pass rate is counted."""

    attempts: int = 4
    """Responses of the expert per prompt at most."""

    told: bool = True
    """Whether the expert is told the reference answer and the form; else it gets the prompts as they are."""

    temperature: float = 1.0
    expert_temperature: float = 0.7
    max_tokens: int = 2048
    max_prompt_tokens: int = 4096
    max_pixels: int | None = None


@dataclass
class Cot:
    """RL with Cold Start: chains of thought of a teacher by rejection sampling."""

    teacher: str = MISSING
    data: str = "data"
    patterns: list[str] = field(default_factory=lambda: ["distilled"])
    samples: int = 2
    """Responses at a time."""

    max_samples: int = 24
    temperature: float = 0.7
    max_tokens: int = 2048


def _data_commands(stage: Stage, places: Places) -> list[Command]:
    settings = stage.settings
    made = options(out=places.folders[stage.name].resolve(), train=settings["train"], test=settings["test"])
    return [Command(specs("data", settings["maker"], *made, *options(seed=settings["seed"])))]


def _data_outputs(stage: Stage, folder: Path) -> dict[str, Path]:
    return {split: folder / f"{split}.parquet" for split in ("train", "test", "ood")}


def _data_note(stage: Stage, folder: Path) -> str:
    return f"{stage.settings['train']:,} training and {stage.settings['test']:,} held-out prompts"


def _files_outputs(stage: Stage, folder: Path) -> dict[str, Path]:
    given = {split: stage.settings[split] for split in ("train", "test", "ood")}
    return {split: Path(str(file)).expanduser().resolve() for split, file in given.items() if file}


def _reformat_commands(stage: Stage, places: Places) -> list[Command]:
    # Imported here: the formats are read only when they are asked for.
    from specs_verl.formats.registry import PAIR_FORMATS, for_training

    settings = stage.settings
    names = settings["formats"] if isinstance(settings["formats"], list) else list(PAIR_FORMATS)
    for_training(names)
    arguments = options(
        data=places.output(settings["data"], "train"),
        out=places.folders[stage.name].resolve() / "train.parquet",
        share=settings["share"],
        held_out=places.outputs[str(settings["data"])].get("ood"),
    )
    return [Command(specs("formats", *arguments, *(part for name in names for part in ("--format", name))))]


def _distill_sources(settings: Settings) -> dict[str, str]:
    return {source: str(settings[source]) for source in ("base", "zero", "teacher") if settings[source]}


def _distill_commands(stage: Stage, places: Places) -> list[Command]:
    # Imported here: the recipe is read only when a distillation is planned.
    from specs_verl.distill.pair_recipe import ROLLOUTS, read_recipe

    settings = stage.settings
    recipe = read_recipe(str(settings["recipe"]))
    given = _distill_sources(settings)
    wanted = recipe.sources
    if ROLLOUTS in wanted and settings[ROLLOUTS] is not None:
        drawn_on = {ROLLOUTS: str(places.output(settings[ROLLOUTS], "rollouts"))}
    else:
        drawn_on = {source: places.checkpoint(given[source]) for source in wanted if source in given}
    if missing := [source for source in wanted if source not in drawn_on]:
        raise UserError(
            f"Stage {stage.name}: the recipe {settings['recipe']} draws on {missing[0]}, which is not given."
        )
    arguments = options(
        recipe=settings["recipe"],
        prompts=places.output(settings["data"], "train"),
        out=places.folders[stage.name].resolve(),
        **drawn_on,
        rows=settings["prompts"],
        judge=settings["judge"],
        held_out=places.outputs[str(settings["data"])].get("ood") if recipe.formats_share else None,
        seed=places.seed,
    )
    # Sizes are defaults: a recipe that says otherwise wins.
    sizes = {"n": settings["samples"], **{name: settings[name] for name in _SIZES}}
    if recipe.formats_share:
        sizes["formats"] = json.dumps(settings["formats"]) if settings["formats"] else None
    defaults = [part for name, value in sizes.items() if value is not None for part in ("--default", f"{name}={value}")]
    return [Command(specs("distill", *arguments, *defaults, *engine(places)))]


_SIZES = ("max_pairs", "temperature", "max_tokens", "max_prompt_tokens", "max_pixels")


def _distill_note(stage: Stage, folder: Path) -> str:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return f"{report['pairs']:,} pairs from {report['funnel'].get('prompts', 0):,} prompts"


def _route_commands(stage: Stage, places: Places) -> list[Command]:
    settings, folder = stage.settings, places.folders[stage.name].resolve()
    prompts, expert = places.output(settings["data"], "train"), settings["expert"]
    sampled = options(
        model=places.checkpoint(settings["model"]),
        data=prompts,
        out=folder / "samples",
        rows=settings["prompts"],
        n=settings["samples"],
        temperature=settings["temperature"],
        max_tokens=settings["max_tokens"],
        max_prompt_tokens=settings["max_prompt_tokens"],
        max_pixels=settings["max_pixels"],
        seed=places.seed,
    )
    routed = options(
        prompts=prompts,
        samples=folder / "samples",
        out=folder,
        expert=None if expert is None else places.checkpoint(expert),
        attempts=settings["attempts"],
        max_tokens=settings["max_tokens"],
        temperature=settings["expert_temperature"],
        seed=places.seed,
    )
    untold = [] if settings["told"] else ["--untold"]
    return [
        Command(specs("sample", *sampled, *engine(places))),
        Command(specs("route", *routed, *untold, *engine(places))),
    ]


def _cot_commands(stage: Stage, places: Places) -> list[Command]:
    settings = stage.settings
    patterns = settings["patterns"] if isinstance(settings["patterns"], list) else []
    arguments = options(
        prompts=places.output(settings["data"], "train"),
        teacher=places.checkpoint(settings["teacher"]),
        out=places.folders[stage.name].resolve(),
        n=settings["samples"],
        max_samples=settings["max_samples"],
        max_tokens=settings["max_tokens"],
        temperature=settings["temperature"],
        seed=places.seed,
    )
    return [Command(specs("cot", *arguments, "--patterns", *patterns, *engine(places)))]


def _trajectories_note(stage: Stage, folder: Path) -> str:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return f"{report['trajectories']:,} conversations"


KINDS = {
    "data": Kind(Data, lambda s: [], _data_commands, _data_outputs, _data_note, seeded=False),
    "files": Kind(Files, lambda s: [], lambda stage, places: [], _files_outputs, seeded=False),
    "reformat": Kind(
        Reformat,
        lambda s: [str(s["data"])],
        _reformat_commands,
        lambda stage, folder: {"train": folder / "train.parquet"},
        seeded=False,
    ),
    "distill": Kind(
        Distill,
        lambda s: named(s["data"], *_distill_sources(s).values(), s["rollouts"]),
        _distill_commands,
        lambda stage, folder: {"rows": folder / "pairs.parquet"},
        _distill_note,
    ),
    "route": Kind(
        Route,
        lambda s: named(s["data"], s["model"], s["expert"]),
        _route_commands,
        lambda stage, folder: {"rows": folder / "sft.parquet"},
        _trajectories_note,
    ),
    "cot": Kind(
        Cot,
        lambda s: named(s["data"], s["teacher"]),
        _cot_commands,
        lambda stage, folder: {"rows": folder / "sft.parquet"},
        _trajectories_note,
    ),
}
