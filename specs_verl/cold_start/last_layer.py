"""The last decoder layer, on the rows that are read from it only.

    trim(decoder.layers)               # once
    model(..., logits_to_keep=0, keep=rows, plan=plan)

After the last attention nothing mixes rows any more, so its MLP (and the final norm and the LM head) need only the
rows that predict a response token: on image prompts a third of all. Keys and values of that layer still come from all.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

PARTS = ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")


def trim(layers: Sequence[nn.Module]) -> bool:
    """Make the last of these layers return only the rows it is asked to keep; False if it is not built as expected."""
    last = layers[-1]
    if {name for name, _ in last.named_children()} != set(PARTS):
        return False
    last.forward = partial(_forward, last)
    return True


def _forward(layer: GradientCheckpointingLayer, hidden_states: Tensor, *, keep: Tensor, **attention: object) -> Tensor:
    attended, _ = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), responses_only=True, **attention)
    kept = torch.index_select(hidden_states + attended, 1, keep)
    return kept + layer.mlp(layer.post_attention_layernorm(kept))
