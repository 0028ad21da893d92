"""Attention over packed rows: causal inside prompt and branch, and branches that do not see each other.

Registered with transformers under the name `specs_segments`; no model code is touched. The layout of the row reaches
the function as the keyword argument `layout` of the model's forward pass.

This backend calls torch's scaled_dot_product_attention once per branch (CPU and any GPU, exact to the last bit against
separate forward passes). Not here: backends that need a GPU (attention_gpu.py).
"""

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
    **_: object,
) -> tuple[Tensor, None]:
    """One row of packed groups.

    Args:
        query, key, value: (1, heads, length, head_dim), key and value with their own number of heads.
        layout: what lies where in the row.

    Returns:
        (1, length, heads, head_dim), and None for the attention weights, which transformers' interface asks for.
    """
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:  # faster on CPU than SDPA's own grouped-query path
        key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    outputs = []
    for segments in layout.segments:
        for number, segment in enumerate(segments):
            prompt = slice(segment.prompt_start, segment.prompt_start + segment.prompt_length)
            branch = slice(segment.start, segment.start + segment.length)
            if number == 0:  # the prompt and its first branch are one plain causal sequence
                both = slice(prompt.start, branch.stop)
                outputs.append(
                    F.scaled_dot_product_attention(
                        query[:, :, both],
                        key[:, :, both],
                        value[:, :, both],
                        dropout_p=dropout,
                        is_causal=True,
                        scale=scaling,
                    )
                )
                continue
            outputs.append(
                F.scaled_dot_product_attention(
                    query[:, :, branch],
                    torch.cat([key[:, :, prompt], key[:, :, branch]], 2),
                    torch.cat([value[:, :, prompt], value[:, :, branch]], 2),
                    attn_mask=continuation_mask(segment.length, segment.prompt_length, query.device),
                    dropout_p=dropout,
                    scale=scaling,
                )
            )
    return torch.cat(outputs, 2).transpose(1, 2).contiguous(), None


def continuation_mask(length: int, prompt: int, device: torch.device) -> Tensor:
    """(length, prompt + length) mask, True where a branch token may look: all of the prompt, the branch up to itself.

    SDPA's own `is_causal` aligns the triangle top-left, which would hide most of the prompt.
    """
    return torch.ones(length, prompt + length, dtype=torch.bool, device=device).tril(prompt)


ALL_ATTENTION_FUNCTIONS.register(NAME, segment_attention)
