"""Stages that measure: responses of several models to held-out prompts, their figures, and the page.

evaluate   data, models -> MODEL/metrics.json       specs evaluate
report     evaluate -> report.html                  specs report
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from omegaconf import MISSING

from specs_verl.errors import UserError
from specs_verl.pipeline.kinds import Command, Kind, Places, Settings, options, specs
from specs_verl.pipeline.stage import Stage


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
    format_check: str | None = None
    """module:function for the formats that out-of-distribution prompts ask for."""


@dataclass
class Report:
    """The end table and the page."""

    evaluation: str = "evaluation"


def _models(settings: Settings) -> dict[str, str]:
    models = settings["models"]
    if not isinstance(models, Mapping):
        raise UserError("models: must be a mapping of names to stages or checkpoints.")
    return {str(name): str(reference) for name, reference in models.items() if reference is not None}


def _evaluate_commands(stage: Stage, places: Places) -> list[Command]:
    settings = stage.settings
    available = places.outputs[str(settings["data"])]
    roles = {"test": "test", "ood": "ood@ood"}
    data = [f"{roles[name]}={available[name]}" for name in roles if name in available]
    models = [f"{name}={places.checkpoint(reference)}" for name, reference in _models(settings).items()]
    arguments = options(
        out=places.folders[stage.name].resolve(),
        n=settings["samples"],
        ood_n=settings["ood_samples"],
        temperature=settings["temperature"],
        max_tokens=settings["max_tokens"],
        max_prompt_tokens=settings["max_prompt_tokens"],
        sampling_seed=places.seed,
        seed=places.seed,
        format_check=settings["format_check"],
    )
    return [Command(specs("evaluate", *models, "--data", *data, *arguments))]


def _report_commands(stage: Stage, places: Places) -> list[Command]:
    evaluation = places.stages[str(stage.settings["evaluation"])]
    measured = places.folders[evaluation.name].resolve()
    arguments = [str(measured / model) for model in _models(evaluation.settings)]
    for model, reference in _models(evaluation.settings).items():
        kind = places.stages[reference].kind if reference in places.stages else None
        if kind == "grpo":
            logs = sorted(places.output(reference, "metrics").glob("*.jsonl")) or [places.output(reference, "metrics")]
            arguments += ["--grpo", f"{model}={','.join(map(str, logs))}"]
            arguments += ["--grpo-rollouts", f"{model}={places.output(reference, 'rollouts')}"]
        elif kind == "cold_start":
            arguments += ["--cold-start", f"{model}={places.output(reference, 'metrics')}"]
    page = places.folders[stage.name].resolve() / "report.html"
    return [Command(specs("report", *arguments, *options(out=page, title=places.title)))]


KINDS = {
    "evaluate": Kind(
        Evaluate,
        lambda s: [str(s["data"]), *_models(s).values()],
        _evaluate_commands,
        lambda stage, folder: {model: folder / model / "metrics.json" for model in _models(stage.settings)},
        lambda stage, folder: f"{len(_models(stage.settings))} models",
    ),
    "report": Kind(
        Report,
        lambda s: [str(s["evaluation"])],
        _report_commands,
        lambda stage, folder: {"page": folder / "report.html"},
        lambda stage, folder: str(folder / "report.html"),
        seeded=False,
    ),
}
