"""What is asked of a sampling run, split by whether it changes the samples.

SamplingParameters  changes them: recorded in the manifest, and a run with other values is refused
EngineSettings      does not (batch size, memory, number of processes): a continuation may choose others
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.tokens.resize import PixelLimits
from specs_verl.errors import UserError

SAMPLES_PER_SHARD = 512
"""A shard holds about this many samples: enough to fill an engine, few enough that a killed run loses little."""

RAY = "ray"
"""Engine name that has the workers run on a cluster."""

MOST_LOGPROBS = 200
"""A position takes 4 bytes per recorded log-probability: more than this fills disks, not figures."""


@dataclass(frozen=True)
class SamplingParameters:
    """Everything that the distribution of the samples depends on, besides checkpoint and data."""

    n: int = 8
    """Samples per prompt."""

    temperature: float = 1.0
    """0 is greedy decoding, which allows one sample per prompt only."""

    top_p: float = 1.0

    top_k: int = -1
    """-1 keeps the whole vocabulary."""

    max_tokens: int = 1024
    """Longest response, in tokens; a response cut off here has the finish reason `length`."""

    max_prompt_tokens: int = 4096
    """Longer prompts, image tokens included, are skipped and counted."""

    max_pixels: int | None = None
    min_pixels: int | None = None
    """Images are resized to lie within, as in the training recipes; None: as qwen_vl_utils has it."""

    seed: int = 0

    until: str | None = None
    """Adaptive sampling: draw n at a time until this holds (see stopping.py) or `max_samples` are drawn."""

    max_samples: int | None = None
    """With `until`: give a prompt up after so many samples."""

    logprobs: int = 0
    """Record the log-probabilities of so many likeliest tokens at every position (and of the sampled one); 0: none.
    They are those of the distribution that is sampled from: temperature, top_p and top_k applied."""

    system_prompt: str | None = None
    """Put before the conversation, instead of its own system message if it has one."""

    instruction: str | None = None
    """Appended to the last user message, after a line break."""

    def __post_init__(self) -> None:
        problems = []
        if self.n < 1:
            problems.append(f"n must be at least 1, got {self.n}")
        if self.temperature < 0:
            problems.append(f"temperature must not be negative, got {self.temperature}")
        if self.temperature == 0 and self.n > 1:
            problems.append(f"temperature 0 gives the same response {self.n} times: use n=1 or a higher temperature")
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p must be in (0, 1], got {self.top_p}")
        if self.max_tokens < 1 or self.max_prompt_tokens < 1:
            problems.append("max_tokens and max_prompt_tokens must be at least 1")
        if not 0 <= self.logprobs <= MOST_LOGPROBS:
            problems.append(f"logprobs must be between 0 and {MOST_LOGPROBS}, got {self.logprobs}")
        elif self.logprobs and self.temperature == 0:
            problems.append("logprobs of greedy decoding are those of one certain token: use a temperature above 0")
        if (self.until is None) != (self.max_samples is None):
            problems.append("until and max_samples belong together: give both or none")
        elif self.max_samples is not None and self.max_samples < self.n:
            problems.append(f"max_samples {self.max_samples} is less than the first n = {self.n}")
        PixelLimits(self.min_pixels, self.max_pixels)  # refuses limits that contradict each other
        if problems:
            raise UserError("Sampling parameters: " + "; ".join(problems) + ".")

    @property
    def pixels(self) -> PixelLimits:
        """Limits on the size of images."""
        return PixelLimits(self.min_pixels, self.max_pixels)


@dataclass(frozen=True)
class EngineSettings:
    """How the run uses the machine. None means: decided by the device, see `engine.py` and `supervisor.py`."""

    engine: str | None = None
    """What samples: `vllm` in the workers' own processes (the default for a checkpoint), `ray` for the same on all
    nodes of a Ray cluster, `verl` for verl's servers, `endpoint` (the default for an address), or a class of your own
    as module:name, see engine.Engine; `ray:module:name` for one on a cluster."""

    rollout: tuple[str, ...] = ()
    """Hydra overrides for verl's rollout servers, as for verl.trainer.main_ppo."""

    workers: int | None = None
    """Processes with one engine each: by default one per core (at most 4) on CPU, one per `tensor_parallel` GPUs
    otherwise."""

    tensor_parallel: int = 1
    """GPUs that hold one model together, which is too large for one; on CPU processes."""

    max_num_seqs: int | None = None
    """Sequences decoded together: 256."""

    dtype: str | None = None
    """float32 on CPU, the checkpoint's own on GPU."""

    gpu_memory_utilization: float = 0.9
    """Share of a GPU's memory for weights and KV cache; unused on CPU."""

    stall_seconds: float = 600.0
    """A worker that shows no sign of life for so long is restarted (loading a checkpoint may take three times that)."""

    def __post_init__(self) -> None:
        if self.tensor_parallel < 1:
            raise UserError(f"--tensor-parallel {self.tensor_parallel}: a model is on one GPU at least.")
        if self.tensor_parallel > 1 and self.engine == "verl":
            raise UserError(
                "--engine verl: say --rollout actor_rollout_ref.rollout.tensor_model_parallel_size=N instead."
            )

    @property
    def on_ray(self) -> bool:
        """Whether the workers, and the grading that follows, run on a Ray cluster."""
        return self.engine is not None and self.engine.partition(":")[0] == RAY

    @property
    def placed(self) -> str | None:
        """The engine itself, wherever it runs."""
        return (self.engine or "").removeprefix(RAY).removeprefix(":") or None if self.on_ray else self.engine


@dataclass(frozen=True)
class Job:
    """One checkpoint, one data set, one output directory."""

    model: str
    """A Hugging Face checkpoint directory, or a chat endpoint as URL#MODEL."""

    data: tuple[str, ...]
    out: str
    parameters: SamplingParameters = field(default_factory=SamplingParameters)
    rows: int | None = None
    """Only the first so many rows; None for all."""

    engine: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        files = (self.data,) if isinstance(self.data, str | Path) else self.data
        object.__setattr__(self, "data", tuple(str(path) for path in files))
        object.__setattr__(self, "model", str(self.model))
        object.__setattr__(self, "out", str(self.out))
        if not self.data:
            raise UserError(f"{self.out}: no data file given. Pass at least one parquet file.")
        if self.rows is not None and self.rows < 1:
            raise UserError(f"{self.out}: rows must be at least 1, got {self.rows}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """A job from plain values; parameters and engine settings may be left out or given in part."""
        known = {"model", "data", "out", "parameters", "rows", "engine"}
        unknown = sorted(set(values) - known)
        missing = sorted({"model", "data", "out"} - set(values))
        if unknown or missing:
            raise UserError(
                f"Sampling job: unknown keys {unknown}, missing keys {missing}. Known keys are {sorted(known)}."
            )
        data = values["data"]
        try:
            parameters = SamplingParameters(**(values.get("parameters") or {}))
            settings = dict(values.get("engine") or {})
            engine = EngineSettings(**{**settings, "rollout": tuple(settings.get("rollout", ()))})
        except TypeError as error:
            raise UserError(f"Sampling job for {values['out']}: {error}.") from error
        files = (data,) if isinstance(data, str) else tuple(data)
        return cls(values["model"], files, values["out"], parameters, values.get("rows"), engine)


def rows_per_shard(n: int) -> int:
    """Rows whose samples make about one shard. Depends on nothing but n, so that every machine cuts the same shards."""
    return max(1, round(SAMPLES_PER_SHARD / n))
