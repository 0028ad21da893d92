"""Which engine samples a job, and the one that is loaded: it stays for the next job where it fits.

    engine = Engines().get(job)

Not here: what an engine must do (engine.Engine).
"""

from __future__ import annotations

import importlib
from pathlib import Path

from specs_verl.sampling.endpoint import is_endpoint
from specs_verl.sampling.engine import Engine, TakesWeights
from specs_verl.sampling.parameters import Job

ENGINES = {
    "vllm": "engine:VllmEngine",
    "verl": "verl_engine:VerlServersEngine",
    "endpoint": "endpoint_engine:EndpointEngine",
}


def engine_of(job: Job) -> str:
    """Name of the class that samples a job."""
    name = job.engine.placed or ("endpoint" if is_endpoint(job.model) else "vllm")
    return f"specs_verl.sampling.{ENGINES[name]}" if name in ENGINES else name


class Engines:
    """The engine of the current job; the one before is kept when only sampling parameters or weights differ."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._model: str | None = None
        self._engine: Engine | None = None

    def get(self, job: Job) -> Engine:
        """An engine for a job, loaded unless the last one fits."""
        wanted = job.parameters
        built_for = (
            wanted.max_tokens,
            wanted.max_prompt_tokens,
            wanted.pixels,
            wanted.system_prompt,
            wanted.instruction,
            wanted.logprobs,
        )
        key = (engine_of(job), job.engine, *built_for)
        if self._engine is None or key != self._key or not self._holds(self._engine, job.model):
            self.close()
            module, _, name = engine_of(job).partition(":")
            self._engine = getattr(importlib.import_module(module), name)(job.model, wanted, job.engine, Path(job.out))
            self._key, self._model = key, job.model
        self._engine.parameters = wanted
        return self._engine

    def _holds(self, engine: Engine, model: str) -> bool:
        """Whether the engine holds a checkpoint's weights, or has taken them just now."""
        if model != self._model and isinstance(engine, TakesWeights) and engine.take_weights(model):
            self._model = model
        return model == self._model

    def close(self) -> None:
        """End what the engine started elsewhere (servers, connections)."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
