"""Packed rows through flash-attn's varlen kernel: one call per layer, whatever the number of branches.

The kernel takes sequences of queries and sequences of keys with their own lengths, and aligns its causal triangle
bottom-right. So the queries of a group are cut into [prompt + first branch | second branch | ...] and the keys into
[prompt + first branch | prompt + second branch | ...]; queries stay where they are, keys are gathered by index.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from specs_verl.cold_start.layout import Layout


@dataclass(frozen=True)
class Sequences:
    """Queries and keys of one kernel call."""

    queries: Tensor | None  # row of each query; None: all rows in order
    query_offsets: Tensor  # (sequences + 1,), int32
    longest_query: int
    longest_key: int


@dataclass(frozen=True)
class FlashPlan:
    """A row as sequences for the kernel."""

    keys: Tensor  # row of each gathered key
    key_offsets: Tensor  # (sequences + 1,), int32
    everything: Sequences
    responses: Sequences  # without the rows of prompts, all but the last of each


def plan_flash(layout: Layout, device: torch.device) -> FlashPlan:
    """Index arithmetic of a row."""
    keys: list[np.ndarray] = []
    read: list[np.ndarray] = []
    key_lengths, query_lengths, read_lengths = [], [], []
    for segments in layout.segments:
        for number, segment in enumerate(segments):
            prompt = np.arange(segment.prompt_start, segment.prompt_start + segment.prompt_length)
            branch = np.arange(segment.start, segment.start + segment.length)
            keys += [prompt, branch]
            key_lengths.append(len(prompt) + len(branch))
            query_lengths.append(len(branch) + (len(prompt) if number == 0 else 0))
            read += [prompt[-1:], branch] if number == 0 else [branch]
            read_lengths.append(len(branch) + (1 if number == 0 else 0))
    longest = max(key_lengths)
    return FlashPlan(
        keys=torch.from_numpy(np.concatenate(keys)).to(device),
        key_offsets=_offsets(key_lengths, device),
        everything=Sequences(None, _offsets(query_lengths, device), max(query_lengths), longest),
        responses=Sequences(
            torch.from_numpy(np.concatenate(read)).to(device),
            _offsets(read_lengths, device),
            max(read_lengths),
            longest,
        ),
    )


def _offsets(lengths: list[int], device: torch.device) -> Tensor:
    return torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32, device=device)


def flash_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    plan: FlashPlan,
    scaling: float | None = None,
    dropout: float = 0.0,
    responses_only: bool = False,
    kernel: Callable[..., Tensor] | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """One packed row; arguments as in attention.segment_attention.

    `kernel` is flash_attn_varlen_func unless a test puts another in its place.
    """
    if kernel is None:
        from flash_attn import flash_attn_varlen_func

        kernel = flash_attn_varlen_func
    part = plan.responses if responses_only else plan.everything
    queries = query[0].transpose(0, 1)  # (length, heads, head_dim)
    output = kernel(
        queries if part.queries is None else queries[part.queries],
        key[0].transpose(0, 1)[plan.keys],
        value[0].transpose(0, 1)[plan.keys],
        cu_seqlens_q=part.query_offsets,
        cu_seqlens_k=plan.key_offsets,
        max_seqlen_q=part.longest_query,
        max_seqlen_k=part.longest_key,
        dropout_p=dropout,
        softmax_scale=scaling,
        causal=True,
    )
    if part.queries is not None:
        output = torch.zeros_like(queries).index_copy(0, part.queries, output)
    return output[None], None


ALL_ATTENTION_FUNCTIONS.register("specs_varlen", flash_attention)
