"""`specs study FILE.yaml`: several pipelines with several seeds, stages that they share run once, one table, one page.

    specs study ablations                       config/studies/ablations.yaml
    specs study mine.yaml --out runs/mine --seeds 0,1 steps.zero=4
    specs study ablations --pipelines 'SPECS,no judge'

A study names its pipelines (any name -> a pipeline and settings of its own), its seeds, settings of all, and the models
that are shown. What is shared is found by itself: a stage with the same settings and the same stages before it is the
same stage, so one zero model serves all ablations of a seed. Killed anywhere, the same call goes on.

    OUT/stages/STAGE-KEY/            the stages of all pipelines
    OUT/runs/PIPELINE/seed_N/        run.json of each
    OUT/study.json, report.html      the table, with intervals, and paired differences from the first pipeline
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from data_prep.files import locked
from specs_verl.errors import UserError
from specs_verl.pipeline.command import check, command_line, run_plan, seeds_of
from specs_verl.pipeline.definition import FOLDER, Definition, load
from specs_verl.pipeline.execution import Plan, planned
from specs_verl.pipeline.kinds import BASE
from specs_verl.pipeline.stage import Stage
from specs_verl.pipeline.study_table import Entry, tabulate

STUDIES = FOLDER.parent / "studies"


@dataclass(frozen=True)
class Variant:
    """One pipeline of a study, with settings of its own."""

    pipeline: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """What is to be compared.

    Attributes:
        title: heading of the page.
        variants: name in the table -> pipeline; the first is what the others are compared with.
        seeds: training seeds.
        settings: key=value of all pipelines.
        models: names of the evaluated models that are shown, of every pipeline that has them.
    """

    title: str
    variants: Mapping[str, Variant]
    seeds: tuple[int, ...] = (0,)
    settings: tuple[str, ...] = ()
    models: tuple[str, ...] = ("final",)


def names() -> list[str]:
    """Studies that come with the package."""
    return sorted(file.stem for file in STUDIES.glob("*.yaml"))


def read_study(name: str, overrides: tuple[str, ...] = ()) -> Study:
    """A study by name or from a file of one's own."""
    file = Path(name) if name.endswith((".yaml", ".yml")) else STUDIES / f"{name}.yaml"
    if not file.is_file():
        raise UserError(f"There is no study {name!r}. Known: {', '.join(names())}; or give a YAML file.")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not readable as YAML ({str(error).splitlines()[0]}).") from error
    known = {"title", "pipelines", "seeds", "settings", "models"}
    if not isinstance(content, dict) or set(content) - known or not content.get("pipelines"):
        raise UserError(f"{file}: a study is a mapping with pipelines and, if wanted, {', '.join(sorted(known))}.")
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not all(isinstance(seed, int) for seed in seeds) or len(set(seeds)) != len(seeds):
        raise UserError(f"{file}: seeds is a list of different integers, not {seeds}.")
    return Study(
        title=str(content.get("title", file.stem)),
        variants={str(key): _variant(file, str(key), value) for key, value in content["pipelines"].items()},
        seeds=tuple(seeds),
        settings=(*map(str, content.get("settings") or ()), *overrides),
        models=tuple(map(str, content.get("models") or ("final",))),
    )


def chosen(study: Study, pipelines: str | None, seeds: str | None) -> Study:
    """The study with some of its pipelines, in its own order, and with other seeds; None leaves them."""
    if seeds is not None:
        study = replace(study, seeds=tuple(seeds_of(seeds)))
    if pipelines is None:
        return study
    wanted = {name.strip() for name in pipelines.split(",")}
    if unknown := sorted(wanted - set(study.variants)):
        raise UserError(f"--pipelines: the study has no {unknown[0]!r}. It has: {', '.join(study.variants)}.")
    return replace(study, variants={name: variant for name, variant in study.variants.items() if name in wanted})


def _variant(file: Path, name: str, value: object) -> Variant:
    if value is None:
        return Variant(name)
    if isinstance(value, str):
        return Variant(value)
    if isinstance(value, dict) and set(value) <= {"pipeline", "settings"}:
        return Variant(str(value.get("pipeline", name)), tuple(map(str, value.get("settings") or ())))
    raise UserError(
        f"{file}: pipelines.{name} is the name of a pipeline, or {{pipeline: NAME, settings: [key=value]}}."
    )


def one_model_each(definition: Definition) -> Definition:
    """The pipeline with an evaluation per model, so that models which pipelines share are evaluated once; no page."""
    stages: list[Stage] = []
    for stage in definition.stages:
        if stage.kind in ("gf", "report"):
            continue
        models = stage.settings.get("models") if stage.kind == "evaluate" else None
        if not isinstance(models, Mapping):
            stages.append(stage)
            continue
        for model, reference in models.items():
            if reference is None:
                continue
            needs = tuple(name for name in stage.needs if name in (stage.settings["data"], reference))
            settings = {**stage.settings, "models": {model: reference}}
            title = f"Evaluation: {model}"
            stages.append(
                Stage(f"{stage.name}_{model}", stage.kind, title, settings, needs, reference == BASE, stage.seeded)
            )
    return replace(definition, stages=tuple(stages))


def plans_of(study: Study, out: Path, fetch: bool = True) -> dict[tuple[str, int], Plan]:
    """One plan per variant and seed, seeds first: what a seed's pipelines share is run before the next seed."""
    plans = {}
    for seed in study.seeds:
        for name, variant in study.variants.items():
            definition = load(variant.pipeline, [*study.settings, *variant.settings, f"seed={seed}"])
            definition = one_model_each(replace(definition, title=f"{study.title}: {name}"))
            root = out / "runs" / name / f"seed_{seed}"
            plans[name, seed] = planned(
                definition, root, lambda stage, key: out / "stages" / f"{stage.name}-{key}", fetch
            )
    return plans


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs study`."""
    parser.add_argument("study", help=f"one of {', '.join(names())}, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of all its pipelines")
    parser.add_argument("--out", type=Path, help="folder of the study (default: runs/STUDY)")
    parser.add_argument("--pipelines", metavar="NAME,NAME,...", help="some of its pipelines (default: all)")
    parser.add_argument("--seeds", metavar="N,N,...", help="other training seeds than the study's")
    parser.add_argument("--dry-run", action="store_true", help="print every command once, run none")


def run(args: argparse.Namespace) -> int:
    """Run the study; exit code 0 when it is complete, 1 when a stage failed, 2 when it cannot start."""
    out = args.out or Path("runs") / Path(args.study).stem
    study = chosen(read_study(args.study, tuple(args.overrides)), args.pipelines, args.seeds)
    plans = plans_of(study, out, fetch=not args.dry_run)
    if args.dry_run:
        _print_commands(plans)
        return 0
    for plan in plans.values():
        check(plan.definition, out)
    with locked(out):
        for number, ((name, seed), plan) in enumerate(plans.items(), start=1):
            print(f"({number}/{len(plans)}) {name}, seed {seed}")
            if code := run_plan(plan, table=False):
                return code
        tabulate(study.title, _entries(study, plans), out, Console())
    return 0


def _entries(study: Study, plans: Mapping[tuple[str, int], Plan]) -> list[Entry]:
    """What the table shows: the base of every seed once, then the wanted models of the pipelines."""
    entries, seen = [], set()
    for (name, seed), plan in plans.items():
        for stage in plan.definition.stages:
            if stage.kind != "evaluate":
                continue
            ((model, metrics),) = plan.places.outputs[stage.name].items()
            if model == BASE and seed not in seen:
                seen.add(seed)
                entries.append(Entry(BASE, seed, metrics))
            elif model in study.models:
                entries.append(Entry(name if model == "final" else f"{name} {model}", seed, metrics))
    return entries


def _print_commands(plans: Mapping[tuple[str, int], Plan]) -> None:
    shown = set()
    for plan in plans.values():
        for stage, command in plan.all_commands():
            line = command_line(command)
            if line not in shown:
                print(f"# {stage.name}: {stage.title}\n{line}")
            shown.add(line)
