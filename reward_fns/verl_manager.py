"""The ``specs`` reward manager for verl: what its stock manager leaves out.

    reward.reward_manager.source=importlib reward.reward_manager.name=specs \\
    reward.reward_manager.module.path=pkg://reward_fns.verl_manager

- Special tokens that carry an answer (Qwen's box, quad, reference and point tokens) are kept for the parser; the stock
  manager drops them.
- The whole ``reward_model`` of the row reaches the reward function, so ``verifier`` and ``params`` need not be
  repeated in ``extra_info``.
- What is asked, from the prompt, where ``extra_info.question`` does not say it.
- The response's length in tokens and the progress of the training are passed on, for overlong shaping and moving
  thresholds.
- The row's id, the length and whether the response was cut off go into verl's rollout dump, for pairs made of it.
- The numbers of every score dict, timings, timeouts and errors included, are averaged by ``summary`` for the training
  log.

This module alone imports verl; nothing else of reward_fns does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from verl import DataProto
from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from reward_fns.question import with_question
from reward_fns.scoring import compute_score as own_compute_score

KEPT_TOKENS = ("box", "quad", "object_ref", "point")
"""A special token whose name holds one of these is part of an answer; all others are removed."""


@register("specs")
class SpecsRewardManager(RewardManagerBase):
    """Grades one rollout at a time, many of them at once on the event loop."""

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Callable[..., object] | None = None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        custom = config.reward.get("custom_reward_function") or {}
        self.function: Callable[..., Any] = compute_score if custom.get("path") and compute_score else own_compute_score
        self.is_async = inspect.iscoroutinefunction(self.function)
        self.dropped = [
            token for token in tokenizer.all_special_tokens if not any(kept in token for kept in KEPT_TOKENS)
        ]
        self.total_steps = _total_steps(config)
        self.settings = {} if custom.get("path") else dict(config.reward.get("reward_kwargs") or {})
        accepted = _parameters(self.function)
        self.passes_length = "response_length" in accepted
        self.passes_progress = "progress" in accepted
        self.router = (
            {"reward_router_address": reward_router_address, "reward_model_tokenizer": reward_model_tokenizer}
            if reward_router_address is not None
            else {}
        )

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of one rollout (of several sequences the last one counts) and everything that is logged with
        it."""
        item = data[-1:][0]
        responses = item.batch["responses"]
        length = int(item.batch["attention_mask"][-responses.shape[-1] :].sum())
        row = item.non_tensor_batch
        reward_model = dict(row.get("reward_model") or {})
        extra_info = with_question(
            {**(row.get("extra_info") or {}), "reward_model": reward_model}, row.get("raw_prompt")
        )
        call = partial(
            self.function,
            data_source=row.get("data_source"),
            ground_truth=reward_model.get("ground_truth"),
            extra_info=extra_info,
            **self.router,
            **self.settings,
            **({"response_length": length} if self.passes_length else {}),
            **({"progress": self._progress(row)} if self.passes_progress else {}),
        )
        started = perf_counter()
        text = await asyncio.to_thread(self._text, responses[:length])
        result = await call(solution_str=text) if self.is_async else await asyncio.to_thread(call, solution_str=text)
        seconds = perf_counter() - started
        found = dict(result) if isinstance(result, Mapping) else {"score": float(result), "acc": float(result)}
        logged = {**self._rollout(row, responses[:length], length), **found}
        return {"reward_score": logged["score"], "reward_extra_info": {**logged, "reward_seconds": seconds}}

    def _rollout(self, row: Mapping[str, Any], token_ids: Sequence[int], length: int) -> dict[str, Any]:
        """What a dump of rollouts must hold for pairs to be made of it: which row, and whether the end was reached."""
        extra = row.get("extra_info") or {}
        end = self.tokenizer.decode(token_ids[-1:], skip_special_tokens=False)
        return {
            "row_id": str(extra.get("id") or ""),
            "response_length": length,
            "cut_off": float(end not in self.dropped),
        }

    def _text(self, token_ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(token_ids, skip_special_tokens=False)
        for token in self.dropped:
            text = text.replace(token, "")
        return text

    def _progress(self, row: Mapping[str, Any]) -> float | None:
        """Share of the training steps that are done; None when the trainer does not say."""
        step = row.get("global_steps")
        if step is None or not self.total_steps:
            return None
        return min(max(float(step) / self.total_steps, 0.0), 1.0)


specs = SpecsRewardManager
"""The name under which ``reward.reward_manager.name=specs`` with ``source=importlib`` finds the class."""


_COUNTED = ("timeout", "error")
"""Rare outcomes, of which a training log shows the number."""


def summary(score_dicts: Iterable[Mapping[str, object]]) -> dict[str, float]:
    """Means of all numbers of many score dicts, the numbers of timeouts and errors, the largest time, under names for
    the training log."""
    columns: dict[str, list[float]] = {}
    for scores in score_dicts:
        for key, value in scores.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                columns.setdefault(key, []).append(float(value))
    metrics = {
        f"reward/{key}/mean": sum(values) / len(values)
        for key, values in columns.items()
        if key not in (*_COUNTED, "seconds")
    }
    for key in _COUNTED:
        if key in columns:
            metrics[f"reward/{key}/count"] = sum(columns[key])
    for key in ("seconds", "reward_seconds"):
        if key in columns:
            metrics[f"reward/{key}/mean"] = sum(columns[key]) / len(columns[key])
            metrics[f"reward/{key}/max"] = max(columns[key])
    return metrics


def _total_steps(config: Any) -> int | None:
    """Training steps from the trainer's settings; the optimizer's copy is filled in by the trainer when it counts
    epochs."""
    for places in (("trainer",), ("actor_rollout_ref", "actor", "optim")):
        section = config
        for place in places:
            section = section.get(place) if section is not None else None
        steps = section.get("total_training_steps") if section is not None else None
        if steps and int(steps) > 0:
            return int(steps)
    return None


def _parameters(function: Callable[..., object]) -> frozenset[str]:
    """Names of the parameters of the user's function inside verl's wrapper."""
    while isinstance(function, partial):
        inner = function.args[0] if function.args and callable(function.args[0]) else function.func
        function = inner
    return frozenset(inspect.signature(function).parameters)
