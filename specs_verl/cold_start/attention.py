"""Attention over packed rows: causal inside prompt and branch, and branches that do not see each other.

    backend = attention.choose("auto", device_type="cpu", dtype=torch.float32)
    plan = backend.plan(layout, device)                    # once per row
    model(..., plan=plan)                                  # reaches `attend` as a keyword argument in every layer

Registered with transformers as `specs_segments`, `specs_varlen` and `specs_flex`; no model code is touched. No name may
have "flash" in it: transformers would look for a kernel of that name when the model is loaded.

    segments   torch's scaled_dot_product_attention once per branch; any device, exact to the last bit against separate
               forward passes
    flash      flash-attn's varlen kernel, one call per layer; CUDA, half precision (attention_flash.py)
    flex       torch's FlexAttention, one call per layer; CUDA (attention_flex.py)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from specs_verl.cold_start.layout import Layout
from specs_verl.errors import UserError


@dataclass(frozen=True)
class Backend:
    """One way of computing the attention of packed rows."""

    name: str  # what transformers knows it by
    plan: Callable[[Layout, torch.device], object]


@dataclass(frozen=True)
class Call:
    """One SDPA call: rows of the queries, rows of the keys, and the mask between them (None: plain causal)."""

    queries: slice
    keys: tuple[slice, ...]
    mask: Tensor | None


@dataclass(frozen=True)
class SegmentPlan:
    """The calls of a row in row order; `responses` leaves out the rows of prompts, all but the last of each."""

    everything: tuple[Call, ...]
    responses: tuple[Call, ...]
    length: int


def plan_segments(layout: Layout, device: torch.device) -> SegmentPlan:
    """What to compute for a row."""
    everything, responses = [], []
    for segments in layout.segments:
        for number, segment in enumerate(segments):
            prompt = slice(segment.prompt_start, segment.prompt_start + segment.prompt_length)
            branch = slice(segment.start, segment.start + segment.length)
            if number == 0:  # the prompt and its first branch are one plain causal sequence
                both = slice(prompt.start, branch.stop)
                everything.append(Call(both, (both,), None))
                mask = continuation_mask(segment.length + 1, segment.prompt_length - 1, device)
                responses.append(Call(slice(prompt.stop - 1, branch.stop), (both,), mask))
            else:
                mask = continuation_mask(segment.length, segment.prompt_length, device)
                everything.append(Call(branch, (prompt, branch), mask))
                responses.append(everything[-1])
    return SegmentPlan(tuple(everything), tuple(responses), layout.length)


def continuation_mask(length: int, prompt: int, device: torch.device) -> Tensor:
    """(length, prompt + length) mask, True where a branch token may look: all of the prompt, the branch up to itself.

    SDPA's own `is_causal` aligns the triangle top-left, which would hide most of the prompt.
    """
    return torch.ones(length, prompt + length, dtype=torch.bool, device=device).tril(prompt)


def segment_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    plan: SegmentPlan,
    scaling: float | None = None,
    dropout: float = 0.0,
    responses_only: bool = False,
    **_: object,
) -> tuple[Tensor, None]:
    """One packed row.

    Args:
        query, key, value: (1, heads, length, head_dim), key and value with their own number of heads.
        plan: what to compute, from `plan_segments`.
        responses_only: leave the rows of prompts zero, all but the last of each (last_layer.py).

    Returns:
        (1, length, heads, head_dim), and None for the attention weights, which transformers' interface asks for.
    """
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:  # faster on CPU than SDPA's own grouped-query path
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    attend = partial(F.scaled_dot_product_attention, dropout_p=dropout, scale=scaling)
    outputs, done = [], 0
    for call in plan.responses if responses_only else plan.everything:
        if call.queries.start > done:
            outputs.append(torch.zeros_like(query[:, :, done : call.queries.start]))
        keys, values = (torch.cat([x[:, :, rows] for rows in call.keys], 2) for x in (key, value))
        outputs.append(
            attend(query[:, :, call.queries], keys, values, attn_mask=call.mask, is_causal=call.mask is None)
        )
        done = call.queries.stop
    return torch.cat(outputs, 2).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("specs_segments", segment_attention)


def choose(wanted: str, device_type: str, dtype: torch.dtype) -> Backend:
    """The backend of this name; `auto` is flash where it can run and segments elsewhere."""
    if wanted not in ("auto", "segments", "flash", "flex"):
        raise UserError(f"model.attention_backend={wanted}: use auto, segments, flash or flex.")
    flash = device_type == "cuda" and dtype == torch.bfloat16 and find_spec("flash_attn") is not None
    if wanted == "flash" and not flash:
        raise UserError(
            "model.attention_backend=flash needs a CUDA device, the package flash-attn, and bf16 in "
            "engine.mixed_precision.param_dtype. Use auto, which falls back to segments."
        )
    if wanted == "flash" or (wanted == "auto" and flash):
        from specs_verl.cold_start.attention_flash import plan_flash

        return Backend("specs_varlen", plan_flash)
    if wanted == "flex":
        if device_type != "cuda":
            raise UserError("model.attention_backend=flex needs a CUDA device: torch cannot train with it elsewhere.")
        from specs_verl.cold_start.attention_flex import plan_flex

        return Backend("specs_flex", plan_flex)
    return Backend("specs_segments", plan_segments)
