"""The cold start's probe (trainer.stop_by=gf): samples a checkpoint on a small fixed set and gives its factor.

    probe = GfProbe(settings, out, source)         # settings: the section `probe` of cold_start.yaml
    probe.score(5, checkpoint)                     # {"gf": 0.41, "id": 0.9, "ood": 0.36}

Samples and grades lie in OUT/probe/STEP. Every probe starts an engine of its own; its time is in OUT/gf.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specs_verl.cold_start.best_step import FOLDER
from specs_verl.errors import UserError
from specs_verl.formats.registry import chosen
from specs_verl.formats.rewrite import rewrite
from specs_verl.measure.checkpoints import Checkpoint, DataSet, evaluate_checkpoints
from specs_verl.measure.evaluate_command import checks_from
from specs_verl.measure.gf_curve import DEFINITIONS, gf_curve
from specs_verl.measure.metrics import ModelMetrics, read_metrics
from specs_verl.sampling import EngineSettings, Job, SamplingParameters
from specs_verl.sampling.placement import placement


class GfProbe:
    """Everything that can be wrong with the settings is found when it is made, before any training."""

    def __init__(self, settings: Mapping[str, Any], out: Path, source: Path) -> None:
        self._out, self._source = out / FOLDER, source
        self._definition, self._beta = str(settings["score"]), float(settings["beta"])
        if self._definition not in DEFINITIONS:
            raise UserError(f"probe.score={self._definition}: use {' or '.join(DEFINITIONS)}.")
        self._rows = int(settings["rows"])
        if self._rows < 1:
            raise UserError(f"probe.rows={self._rows}: a probe needs at least one row.")
        inside = _files(settings["id_files"])
        if not inside:
            raise UserError("probe.id_files: trainer.stop_by=gf needs held-out prompts to sample.")
        outside = _files(settings["ood_files"])
        if not outside:
            names = settings["formats"]
            outside = [self._out / "ood.parquet"]
            if not outside[0].is_file():
                rewrite(inside, outside[0], chosen(None if names is None else list(names)), rows=self._rows)
        self._data = [DataSet("id", tuple(inside)), DataSet("ood", tuple(outside), "ood")]
        spec = settings["format_check"]
        self._checks = checks_from(str(spec), [*inside, *outside]) if spec else None
        self._parameters = SamplingParameters(
            n=int(settings["n"]),
            temperature=float(settings["temperature"]),
            max_tokens=int(settings["max_tokens"]),
            max_prompt_tokens=int(settings["max_prompt_tokens"]),
            max_pixels=settings["max_pixels"],
            min_pixels=settings["min_pixels"],
            seed=int(settings["seed"]),
        )
        self._engine = EngineSettings(
            engine=settings.get("engine"),
            gpu_memory_utilization=float(settings["gpu_memory_utilization"]),
            tensor_parallel=int(settings["tensor_parallel"]),
        )
        try:
            placement(Job(str(source), tuple(map(str, inside)), str(self._out), engine=self._engine), shards=1)
        except UserError as error:
            raise UserError(
                f"trainer.stop_by=gf with probe.tensor_parallel={self._engine.tensor_parallel}: {error} Processes that "
                "torchrun starts see all GPUs of their machine, those of Ray only their own."
            ) from error

    def score(self, step: int, checkpoint: Path) -> dict[str, float]:
        """Factor, ID and OOD share of a checkpoint; step 0, the model before training, comes first and has factor 0."""
        found = self._metrics(step, checkpoint)
        if step == 0:
            start = gf_curve("probe", {0: found, 1: found}, self._definition, self._beta)
            return {"gf": 0.0, "id": start.id[0], "ood": start.ood[0]}
        curve = gf_curve("probe", {0: self._metrics(0, self._source), 1: found}, self._definition, self._beta)
        return {"gf": curve.gf[1], "id": curve.id[1], "ood": curve.ood[1]}

    def _metrics(self, step: int, checkpoint: Path) -> ModelMetrics:
        name = f"step_{step:06d}"
        known = self._out / name / "metrics.json"
        if step == 0 and known.is_file():
            return read_metrics(known)
        (path,) = evaluate_checkpoints(
            [Checkpoint(name, str(checkpoint))],
            self._data,
            self._out,
            self._parameters,
            engine=self._engine,
            rows=self._rows,
            format_checks=self._checks,
            workers=1,
        )
        return read_metrics(path)


def _files(value: str | Sequence[str] | None) -> list[Path]:
    listed = [] if value is None else [value] if isinstance(value, str) else list(value)
    return [Path(file).expanduser() for file in listed]
