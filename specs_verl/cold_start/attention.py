"""Attention over packed rows: causal inside prompt and branch, and branches that do not see each other.

Registered with transformers under the name `specs_segments`; no model code is touched. The layout of the row reaches
the function as the keyword argument `layout` of the model's forward pass.

This backend calls torch's scaled_dot_product_attention once per branch (CPU and any GPU, exact to the last bit against
separate forward passes). Not here: backends that need a GPU (attention_gpu.py).
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from specs_verl.cold_start.layout import Layout

NAME = "specs_segments"


def segment_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    responses_only: bool = False,
    **_: object,
) -> tuple[Tensor, None]:
    """One row of packed groups.

    Args:
        query, key, value: (1, heads, length, head_dim), key and value with their own number of heads.
        layout: what lies where in the row.
        responses_only: leave the rows of a prompt zero, all but its last (last_layer.py).

    Returns:
        (1, length, heads, head_dim), and None for the attention weights, which transformers' interface asks for.
    """
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:  # faster on CPU than SDPA's own grouped-query path
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    attend = partial(F.scaled_dot_product_attention, dropout_p=dropout, scale=scaling)
    outputs = []
    for segments in layout.segments:
        for number, segment in enumerate(segments):
            prompt = slice(segment.prompt_start, segment.prompt_start + segment.prompt_length)
            branch = slice(segment.start, segment.start + segment.length)
            if number > 0:
                keys, values = (torch.cat([x[:, :, prompt], x[:, :, branch]], 2) for x in (key, value))
                mask = continuation_mask(segment.length, segment.prompt_length, query.device)
                outputs.append(attend(query[:, :, branch], keys, values, attn_mask=mask))
                continue
            both = slice(prompt.start, branch.stop)  # the prompt and its first branch are one plain causal sequence
            if responses_only:
                read = slice(prompt.stop - 1, branch.stop)
                mask = continuation_mask(segment.length + 1, segment.prompt_length - 1, query.device)
                outputs.append(torch.zeros_like(query[:, :, prompt.start : read.start]))
                outputs.append(attend(query[:, :, read], key[:, :, both], value[:, :, both], attn_mask=mask))
            else:
                outputs.append(attend(query[:, :, both], key[:, :, both], value[:, :, both], is_causal=True))
    return torch.cat(outputs, 2).transpose(1, 2).contiguous(), None


def continuation_mask(length: int, prompt: int, device: torch.device) -> Tensor:
    """(length, prompt + length) mask, True where a branch token may look: all of the prompt, the branch up to itself.

    SDPA's own `is_causal` aligns the triangle top-left, which would hide most of the prompt.
    """
    return torch.ones(length, prompt + length, dtype=torch.bool, device=device).tril(prompt)


ALL_ATTENTION_FUNCTIONS.register(NAME, segment_attention)
