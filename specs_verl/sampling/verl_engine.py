"""verl's own rollout servers as a sampling engine: one vLLM replica on a laptop, many on a Ray cluster.

    Job(..., engine=EngineSettings(engine="verl", rollout=("actor_rollout_ref.rollout.tensor_model_parallel_size=2",)))

The servers, their placement and their load balancing are those of a verl training run; so a model that needs several
GPUs, or a cluster of several nodes, is sampled with the settings it is trained with. `rollout` takes the same Hydra
overrides as `verl.trainer.main_ppo`. A cluster that is running is used when RAY_ADDRESS names it.
One worker process drives all replicas. When a replica dies, the worker ends, the supervisor starts everything afresh,
and complete shards stay.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from specs_verl.errors import UserError
from specs_verl.plugin.loopback import keep_to_this_machine
from specs_verl.sampling.engine import Finished, Sample, text_config_of
from specs_verl.sampling.parameters import EngineSettings, SamplingParameters
from specs_verl.sampling.prompts import Prompt, PromptBuilder, PromptError

WAIT_SECONDS = 0.2
SEQUENCES = 256


class VerlServersEngine:
    """Samples from verl's rollout servers."""

    seeds_per_request = True

    def __init__(self, checkpoint: str, parameters: SamplingParameters, settings: EngineSettings, out: Path) -> None:
        import ray

        self.parameters = parameters
        self._patience = 3 * settings.stall_seconds
        self._builder = PromptBuilder(
            checkpoint,
            parameters.max_prompt_tokens,
            parameters.pixels,
            parameters.system_prompt,
            parameters.instruction,
        )
        longest = parameters.max_prompt_tokens + parameters.max_tokens
        self._max_length = min(longest, int(text_config_of(checkpoint).get("max_position_embeddings") or longest))
        config = rollout_config(checkpoint, parameters, settings, self._max_length)
        rollout = config.actor_rollout_ref.rollout
        replicas = rollout.n_gpus_per_node * rollout.nnodes // rollout.tensor_model_parallel_size
        self.capacity = replicas * rollout.max_num_seqs
        # Local Ray is told how many devices it has; a cluster knows.
        local = (
            {} if os.environ.get("RAY_ADDRESS") else {"num_gpus": rollout.n_gpus_per_node, "include_dashboard": False}
        )
        keep_to_this_machine(int(rollout.nnodes))
        ray.init(log_to_driver=False, **local, ignore_reinit_error=True)
        self._finished: queue.SimpleQueue[Finished | BaseException] = queue.SimpleQueue()
        self._open = 0
        self._last_finished = time.monotonic()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="verl-servers", daemon=True).start()
        self._client = self._in_loop(_start(config)).result()

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""
        return self._open > 0

    def build(self, row: dict[str, Any], data_file: Path) -> Prompt:
        """The prompt of a row, or PromptError."""
        prompt = self._builder.build(row, data_file)
        if prompt.n_tokens >= self._max_length:
            raise PromptError("prompt_too_long", f"{prompt.n_tokens} prompt tokens, the model reads {self._max_length}")
        return prompt

    def add(self, key: str, prompt: Prompt, seed: int | None, n: int) -> None:
        """Ask for n samples; they finish together."""
        self._open += 1
        self._in_loop(self._ask(key, prompt, seed or 0, n))

    async def _ask(self, key: str, prompt: Prompt, seed: int, n: int) -> None:
        room = self._max_length - prompt.n_tokens
        wanted = self.parameters
        most = min(wanted.max_tokens, room)
        sampling = {
            "temperature": wanted.temperature,
            "top_p": wanted.top_p,
            "top_k": wanted.top_k,
            "max_tokens": most,
        }
        asked = [
            self._client.generate(
                request_id=f"{key}-{number}",
                prompt_ids=prompt.token_ids,
                sampling_params={**sampling, "seed": (seed + number) & 0x7FFFFFFF},
                image_data=prompt.images or None,
            )
            for number in range(n)
        ]
        try:
            outputs = await asyncio.gather(*asked)
        except Exception as error:  # of a dead server, a lost node: the worker must end with it, whatever it is
            self._finished.put(error)
            return
        samples = [self._sample(number, output, most) for number, output in enumerate(outputs)]
        self._finished.put(Finished(key, samples))

    def _sample(self, number: int, output: Any, max_tokens: int) -> Sample:
        ids = list(output.token_ids)
        # verl reports "completed" for both ends; only one of them reaches the limit without a last token that ends.
        cut = len(ids) >= max_tokens and ids[-1] not in self._builder.end_token_ids
        return Sample(
            sample=number,
            response=self._builder.tokenizer.decode(ids, skip_special_tokens=True),
            finish_reason="length" if cut else "stop",
            n_tokens=len(ids),
            n_vision_tokens=sum(token in self._builder.vision_token_ids for token in ids),
        )

    def step(self) -> list[Finished]:
        """Requests that finished; waits a moment for the first. Raises what a server died of."""
        found: list[Finished] = []
        try:
            item = self._finished.get(timeout=WAIT_SECONDS)
            while True:
                if isinstance(item, BaseException):
                    raise RuntimeError("A rollout server failed; the run is continued with new ones.") from item
                found.append(item)
                self._open -= 1
                item = self._finished.get_nowait()
        except queue.Empty:
            pass
        if found or not self.busy:
            self._last_finished = time.monotonic()
        elif time.monotonic() - self._last_finished > self._patience:
            raise RuntimeError(f"The rollout servers finished nothing for {self._patience:.0f} s.")
        return found

    def reseed(self, seed: int) -> None:
        """Never called: requests carry their seeds."""
        raise UserError("verl's rollout servers have no random state that could be set from here.")

    def close(self) -> None:
        """End the servers."""
        import ray

        self._loop.call_soon_threadsafe(self._loop.stop)
        ray.shutdown()


async def _start(config: object) -> object:
    """Launch the replicas and wait until they serve."""
    from verl.workers.rollout.llm_server import LLMServerManager

    manager = await LLMServerManager.create(config=config)
    return manager.get_client()


def rollout_config(
    checkpoint: str, parameters: SamplingParameters, settings: EngineSettings, max_length: int
) -> DictConfig:
    """verl's configuration for stand-alone rollout servers of a checkpoint."""
    from hydra import compose, initialize_config_module

    on_cpu = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
    gpus = 1 if on_cpu else len([gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]) or 1
    rollout = "actor_rollout_ref.rollout"
    overrides = [
        *(["+specs/parts/hardware=cpu"] if on_cpu else []),
        f"actor_rollout_ref.model.path={checkpoint}",
        f"{rollout}.name=vllm",
        f"{rollout}.mode=async",
        # Real weights: verl's default leaves them random until a trainer sends its own.
        f"{rollout}.load_format=auto",
        f"{rollout}.nnodes=1",
        f"{rollout}.n_gpus_per_node={gpus}",
        f"{rollout}.prompt_length={parameters.max_prompt_tokens}",
        f"{rollout}.response_length={parameters.max_tokens}",
        f"{rollout}.max_model_len={max_length}",
        f"{rollout}.max_num_seqs={settings.max_num_seqs or SEQUENCES}",
        f"{rollout}.max_num_batched_tokens={max(max_length, 8192)}",
        f"{rollout}.gpu_memory_utilization={0.2 if on_cpu else settings.gpu_memory_utilization}",
        # See engine.py: seeds per request and partly read prompts do not go together on the CPU.
        *([f"{rollout}.enable_chunked_prefill=False"] if on_cpu else []),
        *settings.rollout,
    ]
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=overrides)
