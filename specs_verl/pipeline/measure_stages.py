"""Stages that measure: responses of several models to held-out prompts, their figures, and the page.

evaluate   data, models -> MODEL/metrics.json       specs evaluate
gf         data, cold starts -> gf.json             specs gf: the Generalization Factor over their steps
report     evaluate, gf -> report.html              specs report
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from specs_verl.errors import UserError
from specs_verl.pipeline.kinds import RUN, Command, Kind, Places, Settings, engine, named, options, specs
from specs_verl.pipeline.stage import Stage

GF = "gf.json"
"""What `specs gf` writes."""


@dataclass
class Evaluate:
    """Sampling and grading of held-out prompts."""

    models: dict[str, str | None] = field(default_factory=lambda: {"base": "base"})
    """Name in tables -> checkpoint (null: left out); the first is what the others are compared with."""

    data: str = "data"
    samples: int = 8
    """Responses per held-out prompt; pass@8 needs 8."""

    ood_samples: int = 1
    """Responses per prompt that asks for another output format."""

    temperature: float = 1.0
    max_tokens: int = MISSING
    max_prompt_tokens: int = MISSING
    max_pixels: int | None = None
    format_check: str | None = None
    """module:function for the formats that out-of-distribution prompts ask for."""

    logprobs: int = 0
    """Record the log-probabilities of so many tokens at every position, for the branching factor; 0: none."""


@dataclass
class Gf:
    """Sampling and grading of the checkpoints that cold starts left on the way (trainer.hf_freq)."""

    runs: dict[str, str | None] = field(default_factory=lambda: {"warm-up": "cold_start"})
    """Name in figures -> stage; that of its last checkpoint in `evaluate` gives them one colour."""

    base: str = "base"
    """What the cold starts began with: step 0."""

    data: str = "data"
    """Held-out prompts, and those that ask for other formats; without the latter, ours are asked for."""

    rows: int = 256
    """Prompts in distribution, and as many out of it, per checkpoint."""

    samples: int = 1
    temperature: float = 1.0
    max_tokens: int = MISSING
    max_prompt_tokens: int = MISSING
    max_pixels: int | None = None
    format_check: str | None = None
    """As in `evaluate`."""


@dataclass
class Report:
    """The end table and the page."""

    evaluation: str = "evaluation"
    gf: str | None = None
    """A gf stage, whose curves are shown."""


def _mapping(settings: Settings, key: str) -> dict[str, str]:
    """A setting that maps names to stages or checkpoints, without those that are left out."""
    given = settings[key]
    if not isinstance(given, Mapping):
        raise UserError(f"{key}: must be a mapping of names to stages or checkpoints.")
    return {str(name): str(reference) for name, reference in given.items() if reference is not None}


def _held_out(settings: Settings, places: Places) -> list[str]:
    """The data sets of a stage, as arguments of --data."""
    available = places.outputs[str(settings["data"])]
    roles = {"test": "test", "ood": "ood@ood"}
    return [f"{roles[name]}={available[name]}" for name in roles if name in available]


def _evaluate_commands(stage: Stage, places: Places) -> list[Command]:
    settings = stage.settings
    models = [f"{name}={places.checkpoint(reference)}" for name, reference in _mapping(settings, "models").items()]
    arguments = options(
        out=places.folders[stage.name].resolve(),
        n=settings["samples"],
        ood_n=settings["ood_samples"],
        temperature=settings["temperature"],
        max_tokens=settings["max_tokens"],
        max_prompt_tokens=settings["max_prompt_tokens"],
        max_pixels=settings["max_pixels"],
        sampling_seed=places.seed,
        seed=places.seed,
        format_check=settings["format_check"],
        logprobs=settings["logprobs"] or None,
    )
    return [Command(specs("evaluate", *models, "--data", *_held_out(settings, places), *arguments, *engine(places)))]


def _gf_commands(stage: Stage, places: Places) -> list[Command]:
    settings = stage.settings
    runs = [f"{name}={places.output(reference, RUN)}" for name, reference in _mapping(settings, "runs").items()]
    arguments = options(
        base=places.checkpoint(settings["base"]),
        out=places.folders[stage.name].resolve(),
        rows=settings["rows"],
        n=settings["samples"],
        temperature=settings["temperature"],
        max_tokens=settings["max_tokens"],
        max_prompt_tokens=settings["max_prompt_tokens"],
        max_pixels=settings["max_pixels"],
        format_check=settings["format_check"],
    )
    return [Command(specs("gf", *runs, "--data", *_held_out(settings, places), *arguments, *engine(places)))]


def _gf_note(stage: Stage, folder: Path) -> str:
    curves = json.loads((folder / GF).read_text(encoding="utf-8"))["curves"]
    best = [curve for curve in curves if curve["definition"] == "compliance"]
    return ", ".join(f"{curve['run']}: GF {100 * max(curve['gf']):.0f} at step {curve['best']}" for curve in best)


def _report_commands(stage: Stage, places: Places) -> list[Command]:
    evaluation = places.stages[str(stage.settings["evaluation"])]
    measured = places.folders[evaluation.name].resolve()
    arguments = [str(measured / model) for model in _mapping(evaluation.settings, "models")]
    for model, reference in _mapping(evaluation.settings, "models").items():
        kind = places.stages[reference].kind if reference in places.stages else None
        if kind == "grpo":
            logs = sorted(places.output(reference, "metrics").glob("*.jsonl")) or [places.output(reference, "metrics")]
            arguments += ["--grpo", f"{model}={','.join(map(str, logs))}"]
            arguments += ["--grpo-rollouts", f"{model}={places.output(reference, 'rollouts')}"]
        elif kind == "cold_start":
            arguments += ["--cold-start", f"{model}={places.output(reference, 'metrics')}"]
    gf = stage.settings["gf"]
    shown = options(
        gf=None if gf is None else places.folders[str(gf)].resolve(),
        run=places.root.resolve(),
        out=places.folders[stage.name].resolve() / "report.html",
        title=places.title,
    )
    return [Command(specs("report", *arguments, *shown))]


KINDS = {
    "evaluate": Kind(
        Evaluate,
        lambda s: named(s["data"], *_mapping(s, "models").values()),
        _evaluate_commands,
        lambda stage, folder: {model: folder / model / "metrics.json" for model in _mapping(stage.settings, "models")},
        lambda stage, folder: f"{len(_mapping(stage.settings, 'models'))} models",
    ),
    "gf": Kind(
        Gf,
        lambda s: named(s["data"], s["base"], *_mapping(s, "runs").values()),
        _gf_commands,
        lambda stage, folder: {"gf": folder / GF},
        _gf_note,
    ),
    "report": Kind(
        Report,
        lambda s: named(s["evaluation"], s["gf"]),
        _report_commands,
        lambda stage, folder: {"page": folder / "report.html"},
        lambda stage, folder: str(folder / "report.html"),
        seeded=False,
    ),
}
