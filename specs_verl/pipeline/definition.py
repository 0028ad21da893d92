"""A pipeline as YAML: which stages, of which kinds, with which settings, in which world.

    definition = load("specs", ["world=nano", "zero.steps=4"])       # config/pipelines/specs.yaml
    definition = load("mine.yaml", [])                               # one's own

A file has settings of the whole run (title, seed, model, ...) and one mapping per stage: its `kind`, its `title` and
the settings of that kind (kinds.py). `extends: NAME` starts from another pipeline, of which a stage set to null is left
out; `world: NAME` adds model, data and sizes from config/pipelines/worlds, and stages that are used where a stage of
the pipeline refers to them; `rounds: N` repeats pairs and cold start (rounds.py); `model` and `hardware` by name choose
parts of config/specs (parts.py). A model is a stage, a checkpoint, or STAGE@STEP: weights that a GRPO stage has kept of
a step (trainer.hf_freq). What is named later wins: world, pipelines extended, the file itself, the user's key=value. An
unknown key or a value of the wrong type is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from specs_verl.errors import UserError
from specs_verl.pipeline.kinds import BASE, stage_of, step_of
from specs_verl.pipeline.parts import chosen
from specs_verl.pipeline.parts import names as parts
from specs_verl.pipeline.registry import KINDS
from specs_verl.pipeline.rounds import in_rounds
from specs_verl.pipeline.stage import Stage, in_order

FOLDER = Path(str(resources.files("specs_verl"))) / "config" / "pipelines"
WORLDS = FOLDER / "worlds"

RUN_KEYS = ("title", "seed", "model", "memory_gib", "gpus", "nodes", "stall_s")


@dataclass(frozen=True)
class Definition:
    """A pipeline, ready to be run.

    Attributes:
        name: how it was asked for.
        title: heading of its report.
        seed: training seed.
        model: directory, hub name, or module:function that returns a directory.
        memory_gib: free memory that is asked for before the start.
        gpus, nodes: GPUs a node (processes on a CPU), and nodes.
        sampled_on: GPUs that hold a model together where it is only sampled.
        parts: what chooses model and hardware on the command line of a recipe.
        stall_s: seconds without a sign of life after which a stage is given up.
        stages: in an order in which every stage comes after those it needs.
    """

    name: str
    title: str
    seed: int
    model: str
    memory_gib: float
    gpus: int
    nodes: int
    parts: tuple[str, ...]
    stall_s: float
    stages: tuple[Stage, ...]
    sampled_on: int = 1

    def stage(self, name: str) -> Stage:
        """A stage by its name."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise UserError(f"There is no stage {name!r}. Stages: {', '.join(stage.name for stage in self.stages)}.")


def names() -> list[str]:
    """Names of all pipelines, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def summary(name: str) -> str:
    """The first comment line of a pipeline's file."""
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def load(name: str, overrides: list[str]) -> Definition:
    """The pipeline of a name or of a file of one's own, with key=value settings."""
    _resolvers()
    try:
        wanted = OmegaConf.from_dotlist(overrides)
        pipeline = _extended(name, ())
        world = wanted.pop("world", None) or _world_of(wanted) or pipeline.get("world")
        lowest = _extended(str(world), (), _world_file) if world else OmegaConf.create({})
        pipeline.pop("world", None)
        rounds = wanted.pop("rounds", pipeline.pop("rounds", 1))
        merged = OmegaConf.merge(lowest, pipeline)
        assert isinstance(merged, DictConfig)
        typed = _typed(merged, name)
        OmegaConf.set_struct(typed, True)
        final = OmegaConf.to_container(OmegaConf.merge(typed, wanted), resolve=True)
    except OmegaConfBaseException as error:
        said = str(error).splitlines()[0]
        raise UserError(f"Pipeline {name}: {said} Settings are KEY=VALUE; see the pipeline's YAML.") from error
    assert isinstance(final, dict)
    if not isinstance(rounds, int):
        raise UserError(f"Pipeline {name}: rounds is a number, not {rounds!r}.")
    used = _used(final, set(lowest) - set(pipeline))
    return _definition(name, in_rounds(used, rounds, name))


def _world_of(wanted: DictConfig) -> str | None:
    """Who names a model or hardware from config/specs means GPUs."""
    return "gpu" if "hardware" in wanted or wanted.get("model") in parts("model") else None


def _used(config: dict, offered: set) -> dict:
    """The configuration without the stages that a world offers and no stage of the pipeline refers to."""
    described = {key: value for key, value in config.items() if isinstance(value, dict) and "kind" in value}
    wanted = [key for key in described if key not in offered]
    for key in wanted:
        references = KINDS[described[key]["kind"]].references(described[key])
        wanted += [name for name in _stages_of(references, described) if name not in wanted]
    return {key: value for key, value in config.items() if key not in described or key in wanted}


def _definition(name: str, config: dict) -> Definition:
    described = {key: value for key, value in config.items() if isinstance(value, dict) and "kind" in value}
    missing = [f"{key}.{setting}" for key, value in described.items() for setting in value if value[setting] == MISSING]
    if missing:
        raise UserError(f"Pipeline {name}: {missing[0]} is not given. Say {missing[0]}=VALUE.")
    stages = []
    for key, value in described.items():
        kind = KINDS[value["kind"]]
        settings = _checked(name, key, kind.settings, value)
        references = kind.references(settings)
        for reference in references:
            if stage_of(reference, described) is None and reference != BASE and not _is_model(reference):
                raise UserError(
                    f"Pipeline {name}: stage {key} refers to {reference!r}, which is no stage of it "
                    f"({', '.join(described)}), no checkpoint directory, hub name or endpoint."
                )
            _check_step(name, key, reference, described)
        needs = tuple(_stages_of(references, described))
        stages.append(Stage(key, value["kind"], str(value["title"]), settings, needs, BASE in references, kind.seeded))
    placed = chosen(config)
    plain = {key: config[key] for key in RUN_KEYS if key not in ("model", "gpus", "nodes")}
    return Definition(
        name=Path(name).stem,
        **plain,
        model=placed.checkpoint,
        gpus=placed.gpus,
        nodes=placed.nodes,
        sampled_on=placed.sampled_on,
        parts=placed.recipe,
        stages=tuple(in_order(stages)),
    )


def _check_step(name: str, key: str, reference: str, described: dict) -> None:
    """UserError where STAGE@STEP asks for a step that the stage does not reach."""
    stage = stage_of(reference, described)
    if stage is None or stage == reference:
        return
    reached = described[stage].get("steps")
    if reached is None or not 0 < step_of(reference) <= reached:
        raise UserError(
            f"Pipeline {name}: stage {key} refers to {reference}, but {stage} has "
            + (f"the steps 1 to {reached}." if reached is not None else "no steps.")
        )


def _stages_of(references: list[str], described: dict) -> list[str]:
    """The stages that references mean, each once."""
    return list(dict.fromkeys(stage for one in references if (stage := stage_of(one, described)) is not None))


def _checked(name: str, key: str, settings: type, value: dict) -> dict:
    """The settings of a stage, every one of its type."""
    given = {setting: value[setting] for setting in value if setting not in ("kind", "title")}
    try:
        checked = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(settings), given))
    except OmegaConfBaseException as error:
        raise UserError(f"Pipeline {name}, stage {key}: {str(error).splitlines()[0]}.") from error
    assert isinstance(checked, dict)
    return checked


def _is_model(reference: str) -> bool:
    """Whether a reference can be a model from outside: an address, a directory, or owner/name on the hub."""
    return "/" in reference


def _extended(name: str, seen: tuple[str, ...], file_of: Callable[[str], Path] | None = None) -> DictConfig:
    """The file of a pipeline, or of a world, merged over those that it extends."""
    if name in seen:
        raise UserError(f"{name} extends itself: {' -> '.join([*seen, name])}.")
    config = _read((file_of or _pipeline_file)(name))
    above = config.pop("extends", None)
    if above is None:
        return config
    merged = OmegaConf.merge(_extended(str(above), (*seen, name), file_of), config)
    assert isinstance(merged, DictConfig)
    return merged


def _pipeline_file(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in names():
        raise UserError(f"There is no pipeline {name!r}. Known: {', '.join(names())}; or give a YAML file.")
    return FOLDER / f"{name}.yaml"


def _world_file(name: str) -> Path:
    known = sorted(file.stem for file in WORLDS.glob("*.yaml"))
    if name not in known and not name.endswith((".yaml", ".yml")):
        raise UserError(f"There is no world {name!r}. Known: {', '.join(known)}; or give a YAML file.")
    return WORLDS / f"{name}.yaml" if name in known else Path(name)


def _read(file: Path) -> DictConfig:
    try:
        config = OmegaConf.create(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not readable as YAML ({str(error).splitlines()[0]}).") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{file}: must hold a mapping.")
    return config


def _typed(config: DictConfig, name: str) -> DictConfig:
    """The configuration with the settings of every stage completed and typed by its kind."""
    by_kind = config.pop("kinds", None) or {}
    missing = [key for key in RUN_KEYS if key not in config]
    if missing:
        raise UserError(f"Pipeline {name}: no {', '.join(missing)}. Name a world, or give it in the file.")
    typed = OmegaConf.create({})
    plain_config = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain_config, dict)
    for key, node in ((str(key), node) for key, node in plain_config.items()):
        if node is None and key not in RUN_KEYS:
            continue  # a stage that this pipeline leaves out
        if not isinstance(node, dict) or "kind" not in node:
            typed[key] = node
            continue
        if node["kind"] not in KINDS:
            raise UserError(
                f"Pipeline {name}: stage {key} is of no known kind ({node['kind']}). Kinds: {', '.join(KINDS)}."
            )
        head = {part: node.pop(part, default) for part, default in (("kind", None), ("title", key))}
        settings = KINDS[head["kind"]].settings
        own = OmegaConf.merge(OmegaConf.structured(settings), by_kind.get(head["kind"]) or {}, node)
        plain = OmegaConf.create(OmegaConf.to_container(own, resolve=False))
        typed[key] = OmegaConf.merge(OmegaConf.create(head), plain)
    return typed


def _resolvers() -> None:
    """`${sum:a,b}` in a YAML file adds."""
    if not OmegaConf.has_resolver("sum"):
        OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers))
