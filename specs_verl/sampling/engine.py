"""vLLM as three calls, so that another engine (verl's rollout servers) can take its place.

    engine = VllmEngine("runs/zero/hf", parameters, settings)
    engine.reseed(7); engine.add("12", prompt, seed=None)
    while engine.busy: for finished in engine.step(): ...

The engine lives in the process of its caller (no engine-core or worker process): three interpreters less to start, and
its random state can be set. Which process uses which cores is decided by supervisor.py.
Parallel sampling over several GPUs is by processes here; a model that needs several GPUs is sampled with
verl's rollout servers.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from specs_verl.files.shapes import shape_fingerprint
from specs_verl.sampling.parameters import EngineSettings, SamplingParameters
from specs_verl.sampling.prompts import Prompt, PromptBuilder, PromptError

if TYPE_CHECKING:
    from vllm.outputs import CompletionOutput

SEQUENCES = 256
MIB = 1 << 20
KV_BLOCK = 32


@dataclass(frozen=True)
class Sample:
    """One sample; the field names are those of the shards' columns."""

    sample: int
    response: str
    finish_reason: str
    n_tokens: int
    n_vision_tokens: int
    """Image, video and vision tokens that the *model* wrote: they break training, so they are counted."""

    token_logprobs: list[float] | None = None
    """Of the sampled tokens, where `logprobs` are asked for; n_tokens of them, in nats."""

    top_logprobs: list[float] | None = None
    """Of the `logprobs` likeliest tokens at each position, likeliest first: n_tokens times as many, in one list."""


@dataclass(frozen=True)
class Finished:
    """All samples of one request."""

    key: str
    samples: list[Sample]
    failed: int = 0
    """Samples that were asked for and could not be had, for engines that can fail one by one."""

    failure: str | None = None
    """Why the first of them failed."""


class Engine(Protocol):
    """What the worker needs of an engine: built from (checkpoint, parameters, settings, run directory)."""

    parameters: SamplingParameters
    """Set again for another job with the same checkpoint, lengths and prompts."""

    capacity: int
    """Sequences that are decoded together; the worker keeps a few times as many waiting."""

    seeds_per_request: bool
    """True when every request carries its own seed; False when `reseed` makes a whole shard reproducible."""

    busy: bool

    def build(self, row: dict[str, Any], data_file: Path) -> Prompt: ...

    def add(self, key: str, prompt: Prompt, seed: int | None, n: int) -> None: ...

    def step(self) -> list[Finished]: ...

    def reseed(self, seed: int) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class TakesWeights(Protocol):
    """What an engine may have besides: another checkpoint in place of its own, without being built anew."""

    def take_weights(self, checkpoint: str) -> bool: ...


class VllmEngine:
    """vLLM in this process, on one device; with `tensor_parallel` on several, in processes that it starts."""

    def __init__(self, checkpoint: str, parameters: SamplingParameters, settings: EngineSettings, out: Path) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm import LLM
        from vllm.platforms import current_platform

        self.parameters = parameters
        on_cpu = current_platform.is_cpu()
        self.capacity = settings.max_num_seqs or SEQUENCES
        self._on_cpu = on_cpu
        self._builder = PromptBuilder(
            checkpoint,
            parameters.max_prompt_tokens,
            parameters.pixels,
            parameters.system_prompt,
            parameters.instruction,
        )
        self._dtype = settings.dtype or ("float32" if on_cpu else None)
        self._shape = shape_fingerprint(checkpoint, dtype_matters=self._dtype is None)
        text_config = text_config_of(checkpoint)
        longest = parameters.max_prompt_tokens + parameters.max_tokens
        self._max_length = min(longest, int(text_config.get("max_position_embeddings") or longest))
        device_options = (
            self._cpu_options(text_config) if on_cpu else {"gpu_memory_utilization": settings.gpu_memory_utilization}
        )
        self._llm = LLM(
            model=checkpoint,
            dtype=self._dtype or "auto",
            max_model_len=self._max_length,
            max_num_seqs=self.capacity,
            seed=parameters.seed & 0x7FFFFFFF,
            limit_mm_per_prompt={"image": _most_images(checkpoint), "video": 0},
            disable_log_stats=True,
            **_parallel_options(settings.tensor_parallel),
            **_logprob_options(parameters.logprobs),
            **device_options,
        )
        self._engine = self._llm.llm_engine

    def _cpu_options(self, text_config: dict[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = {
            "enforce_eager": True,
            # Small blocks let the samples of one prompt share its prefix: a fifth less work for prompts of 50 tokens.
            "block_size": KV_BLOCK,
            "kv_cache_memory_bytes": _kv_cache_bytes(text_config, self.capacity, self._max_length),
        }
        # vLLM rewinds the generator of a partly read prompt, which CPU generators cannot: prompts are read whole.
        options["enable_chunked_prefill"] = False
        options["max_num_batched_tokens"] = max(self._max_length, 8192)
        return options

    @property
    def seeds_per_request(self) -> bool:
        """A generator per request costs a quarter of the throughput of a tiny model and protects only against a killed
        run ending up with other samples; on the CPU a shard is therefore reproduced as a whole. With adaptive sampling
        the order of requests depends on how fast answers are graded: only seeds of their own reproduce them.
        """
        return not self._on_cpu or self.parameters.until is not None

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""
        return self._engine.has_unfinished_requests()

    def build(self, row: dict[str, Any], data_file: Path) -> Prompt:
        """The prompt of a row, or PromptError."""
        prompt = self._builder.build(row, data_file)
        if prompt.n_tokens >= self._max_length:
            raise PromptError("prompt_too_long", f"{prompt.n_tokens} prompt tokens, the model reads {self._max_length}")
        return prompt

    def add(self, key: str, prompt: Prompt, seed: int | None, n: int) -> None:
        """Queue n samples of a prompt. PromptError when vLLM refuses the prompt."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        wanted = self.parameters
        params = SamplingParams(
            n=n,
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            top_k=wanted.top_k if wanted.top_k > 0 else 0,
            max_tokens=min(wanted.max_tokens, self._max_length - prompt.n_tokens),
            seed=seed,
            # The text is decoded once, from all tokens, as verl's reward managers do.
            detokenize=False,
            logprobs=wanted.logprobs or None,
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        request: dict[str, Any] = {"prompt_token_ids": prompt.token_ids}
        if prompt.images:
            request["multi_modal_data"] = {"image": prompt.images}
        try:
            self._engine.add_request(key, request, params)
        except Exception as error:  # vLLM's own errors have no common base; worker.py stops if every row is refused
            raise PromptError("refused_by_engine", f"vLLM refuses the prompt: {error}") from error

    def step(self) -> list[Finished]:
        """Decode one token for everything that runs; the samples of requests that finished."""
        return [
            Finished(output.request_id, [self._sample(sample) for sample in output.outputs])
            for output in self._engine.step()
            if output.finished
        ]

    def _sample(self, output: CompletionOutput) -> Sample:
        ids = list(output.token_ids)
        return Sample(
            sample=output.index,
            response=self._builder.tokenizer.decode(ids, skip_special_tokens=True),
            finish_reason=output.finish_reason or "unknown",
            n_tokens=len(ids),
            n_vision_tokens=sum(token in self._builder.vision_token_ids for token in ids),
            **_logprobs(output, self.parameters.logprobs),
        )

    def reseed(self, seed: int) -> None:
        """Set the random state that sampling without per-request seeds draws from."""
        import torch

        torch.manual_seed(seed)

    def take_weights(self, checkpoint: str) -> bool:
        """Load another checkpoint's weights in place: a fraction of the time that a new engine takes to start.

        False, and nothing is changed, where the checkpoint differs in more than its weights.
        """
        if self._shape is None or self._shape != shape_fingerprint(checkpoint, dtype_matters=self._dtype is None):
            return False
        self._llm.collective_rpc("reload_weights", kwargs={"weights_path": checkpoint})
        # Keys and values of prompts, and features of images, are those of the old weights.
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM keeps cached prompts of the checkpoint before: its weights cannot be exchanged.")
        self._engine.reset_encoder_cache()
        return True

    def close(self) -> None:
        """Free the model, so that the next one can be loaded in this process."""
        import gc

        from vllm.distributed import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        del self._engine, self._llm
        gc.collect()
        cleanup_dist_env_and_memory()


def _parallel_options(size: int) -> dict[str, Any]:
    """For a model on several devices. In a Ray actor vLLM would ask Ray for more GPUs than those the actor has. Images
    are shared out whole: the vision tower is small, and its heads need not be divisible."""
    if size == 1:
        return {}
    return {"tensor_parallel_size": size, "distributed_executor_backend": "mp", "mm_encoder_tp_mode": "data"}


def _logprob_options(count: int) -> dict[str, Any]:
    """Without log-probabilities vLLM keeps its defaults: its processed mode costs a softmax even where nobody asks."""
    return {"max_logprobs": count, "logprobs_mode": "processed_logprobs"} if count else {}


def _logprobs(output: CompletionOutput, count: int) -> dict[str, list[float]]:
    """Log-probabilities of the sampled tokens and of the `count` likeliest ones at every position.

    vLLM gives the sampled token first, then the likeliest in order; the sampled one may be among them once more.
    """
    if not count:
        return {}
    flat = output.logprobs
    starts = flat.start_indices
    return {
        "token_logprobs": [flat.logprobs[start] for start in starts],
        "top_logprobs": [value for start in starts for value in flat.logprobs[start + 1 : start + 1 + count]],
    }


def text_config_of(checkpoint: str) -> dict[str, Any]:
    """The language model's part of a checkpoint's configuration."""
    config = json.loads((Path(checkpoint) / "config.json").read_text(encoding="utf-8"))
    return {**config, **(config.get("text_config") or {})}


def _most_images(checkpoint: str) -> int:
    """Images allowed in one prompt: rows with more are skipped by vLLM's own check."""
    config = json.loads((Path(checkpoint) / "config.json").read_text(encoding="utf-8"))
    return 16 if "vision_config" in config else 0


def _kv_cache_bytes(text_config: dict[str, Any], sequences: int, max_length: int) -> int:
    """KV cache on the CPU: a common length for every sequence, at least one sequence of full length, within 4 GiB.

    Per token and layer: keys and values, kv_heads * head_dim floats each, 4 bytes a float.
    """
    heads = int(text_config["num_attention_heads"])
    kv_heads = int(text_config.get("num_key_value_heads") or heads)
    head_dim = int(text_config.get("head_dim") or int(text_config["hidden_size"]) // heads)
    per_token = 2 * 4 * int(text_config["num_hidden_layers"]) * kv_heads * head_dim
    usual = sequences * (min(max_length, 1024) + KV_BLOCK) * per_token
    longest = 2 * (max_length + 2 * KV_BLOCK) * per_token
    return max(64 * MIB, longest, min(usual, 4096 * MIB))
