"""Packed rows through torch's FlexAttention: the rule who sees whom as a function, compiled into one kernel.

For half precision without flash-attn and for rows with many branches. Blocks of the score matrix that the rule empties
altogether are never computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from specs_verl.cold_start.layout import Layout

BLOCK = 128
"""Tokens of a block, in either direction: FlexAttention's own default."""


@dataclass(frozen=True)
class FlexPlan:
    """The rule of one row, as blocks."""

    mask: BlockMask


def token_labels(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Group and branch of every token of a row; branch 0 is the prompt."""
    groups, branches = [], []
    for number, group in enumerate(layout.groups):
        groups.append(np.full(group.length, number))
        branches.append(np.repeat(np.arange(len(group.branches) + 1), [group.prompt, *group.branches]))
    return np.concatenate(groups), np.concatenate(branches)


def plan_flex(layout: Layout, device: torch.device) -> FlexPlan:
    """A query sees the keys at or before it of its own group that belong to the prompt or to its own branch."""
    group, branch = (torch.from_numpy(labels).to(device) for labels in token_labels(layout))

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same = (branch[key] == 0) | (branch[key] == branch[query])
        return (query >= key) & (group[query] == group[key]) & same

    return FlexPlan(block_mask(sees, layout.length, device))


def block_mask(sees: Callable[..., Tensor], length: int, device: torch.device) -> BlockMask:
    """torch's create_block_mask, a row of blocks at a time.

    The original evaluates the rule for all pairs of tokens at once unless it is compiled: at 16,384 tokens 270 million
    of them, several times over.
    """
    blocks = -(-length // BLOCK)
    keys = torch.arange(blocks * BLOCK, device=device)
    partial = torch.zeros(blocks, blocks, dtype=torch.bool, device=device)
    full = partial.clone()
    for number in range(blocks):
        queries = keys[number * BLOCK : (number + 1) * BLOCK, None]
        inside = (queries < length) & (keys < length)
        seen = inside & sees(None, None, queries.clamp(max=length - 1), keys.clamp(max=length - 1))
        stripe = seen.view(BLOCK, blocks, BLOCK)
        full[number] = stripe.all(2).all(0)
        partial[number] = stripe.any(2).any(0) & ~full[number]
    return BlockMask.from_kv_blocks(
        *_listed(partial), *_listed(full), BLOCK_SIZE=BLOCK, mask_mod=sees, seq_lengths=(length, length)
    )


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """How many key blocks each row of blocks has, and which come first, as BlockMask wants them."""
    order = torch.argsort(blocks.int(), dim=1, descending=True, stable=True)
    return blocks.sum(1, dtype=torch.int32)[None, None], order.int()[None, None]


@cache
def _compiled() -> Callable[..., Tensor]:
    return cast("Callable[..., Tensor]", torch.compile(flex_attention, dynamic=True))


def flex_row_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    plan: FlexPlan,
    scaling: float | None = None,
    dropout: float = 0.0,
    responses_only: bool = False,
    **_: object,
) -> tuple[Tensor, None]:
    """One packed row; arguments as in attention.segment_attention. Prompt rows are computed in any case."""
    if dropout:
        raise ValueError("FlexAttention has no dropout; use model.attention_backend=segments.")
    kernel = _compiled() if query.is_cuda else cast("Callable[..., Tensor]", flex_attention)
    grouped = query.shape[1] != key.shape[1]
    output = kernel(query, key, value, block_mask=plan.mask, scale=scaling, enable_gqa=grouped)
    return output.transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("specs_flex", flex_row_attention)
