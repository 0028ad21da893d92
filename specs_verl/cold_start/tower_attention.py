"""Attention of the vision tower: many windows and whole images in one tensor, nobody looks outside its own.

    use_in(model.visual)

transformers' models hand offsets of sequences to whatever attention has "flash" in its name, and call any other once
per window (some 2,000 calls for an image of 1,000 tokens, and in every layer a wait for the device). Here: flash-attn's
varlen kernel in half precision on CUDA where it is installed, and otherwise one scaled_dot_product_attention for all
sequences of one length, of which a tower has a handful.
Not here: attention over packed text rows (attention.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "specs_flash_tower"
PLAN = "specs_plan"
"""Attribute of a tensor of cumulative lengths that holds its plan."""

HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class TowerPlan:
    """The sequences of one tensor."""

    groups: tuple[tuple[int, Tensor], ...]  # (length, rows of all sequences of this length, in order)
    order: Tensor  # where each row lies in the groups laid end to end
    longest: int


def use_in(visual: PreTrainedModel) -> None:
    """Make a loaded tower use it. Asked for while loading, transformers would look for a kernel of this name."""
    visual.config._attn_implementation = NAME


def plan_tower(offsets: Tensor, device: torch.device) -> TowerPlan:
    """The plan of cumulative sequence lengths (sequences + 1,); one wait for the device."""
    ends = offsets.tolist()
    starts: dict[int, list[int]] = {}
    for start, end in pairwise(ends):
        if end > start:
            starts.setdefault(end - start, []).append(start)
    groups = [
        (length, (torch.tensor(first)[:, None] + torch.arange(length)).flatten()) for length, first in starts.items()
    ]
    order = torch.argsort(torch.cat([rows for _, rows in groups]))
    return TowerPlan(tuple((length, rows.to(device)) for length, rows in groups), order.to(device), max(starts))


def tower_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    cu_seq_lens_q: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    kernel: Callable[..., Tensor] | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """All sequences of one tensor.

    Args:
        query, key, value: (1, heads, length, head_dim).
        cu_seq_lens_q: cumulative lengths; all layers of one kind are given the same tensor, which carries its plan.
        kernel: flash_attn_varlen_func, or what a test puts in its place; None chooses.

    Returns:
        (1, length, heads, head_dim), and None for the attention weights.
    """
    plan = vars(cu_seq_lens_q).get(PLAN)
    if plan is None:
        plan = plan_tower(cu_seq_lens_q, query.device)
        vars(cu_seq_lens_q)[PLAN] = plan
    if kernel is None and query.is_cuda and query.dtype in HALF and find_spec("flash_attn") is not None:
        from flash_attn import flash_attn_varlen_func

        kernel = flash_attn_varlen_func
    if kernel is not None:
        turned = (part[0].transpose(0, 1) for part in (query, key, value))
        offsets = {"cu_seqlens_q": cu_seq_lens_q, "cu_seqlens_k": cu_seq_lens_q}
        lengths = {"max_seqlen_q": plan.longest, "max_seqlen_k": plan.longest}
        return kernel(*turned, **offsets, **lengths, dropout_p=dropout, softmax_scale=scaling, causal=False)[None], None
    outputs = []
    for length, rows in plan.groups:
        queries, keys, values = (_sequences(part[0][:, rows], length) for part in (query, key, value))
        found = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout, scale=scaling)
        outputs.append(found.transpose(1, 2).flatten(0, 1))  # (rows, heads, head_dim)
    return torch.cat(outputs)[plan.order][None], None


def _sequences(part: Tensor, length: int) -> Tensor:
    """(heads, sequences * length, head_dim) -> (sequences, heads, length, head_dim)."""
    return part.unflatten(1, (-1, length)).transpose(0, 1)


ALL_ATTENTION_FUNCTIONS.register(NAME, tower_attention)
