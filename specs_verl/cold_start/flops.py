"""Arithmetic of a packed row, counted from the model's shape, and what the device could do at best.

    flops = RowFlops.of(hf_config)
    flops.forward(layout)                     # text half and LM head, one forward pass
    3 * flops.forward(layout)                 # with its backward pass

Multiply-adds count as two. The vision tower is left out: a frozen one runs once per image, not once per step.
"""

import time
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig
from verl.utils.device import get_device_name
from verl.utils.flops_counter import get_device_flops

from specs_verl.cold_start.layout import Layout


@dataclass(frozen=True)
class RowFlops:
    """Sizes of a decoder with gated MLPs and grouped-query attention."""

    layers: int
    hidden: int
    attention: int  # query heads times head size
    key_value: int  # key heads times head size
    intermediate: int
    vocabulary: int

    @classmethod
    def of(cls, hf_config: PretrainedConfig) -> "RowFlops":
        text = getattr(hf_config, "text_config", hf_config)
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return cls(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            attention=head * text.num_attention_heads,
            key_value=head * text.num_key_value_heads,
            intermediate=text.intermediate_size,
            vocabulary=text.vocab_size,
        )

    def forward(self, layout: Layout, trimmed: bool = False) -> float:
        """Floating-point operations of one forward pass over a row.

        Args:
            trimmed: the last layer works on response rows only (last_layer.py); what it saves is not counted.
        """
        responses = sum(layout.branch_lengths())
        projections = self.hidden * (2 * self.attention + 2 * self.key_value) * layout.length
        prompt_pairs = sum(group.prompt**2 / 2 for group in layout.groups)  # of queries and keys
        pairs = prompt_pairs
        for group in layout.groups:
            pairs += sum(length * group.prompt + length**2 / 2 for length in group.branches)
        mlp = 3 * self.hidden * self.intermediate
        total = self.layers * (2 * (projections + mlp * layout.length) + 4 * self.attention * pairs)
        if trimmed:
            total -= 2 * mlp * (layout.length - responses) + 4 * self.attention * prompt_pairs
        return total + 2 * self.hidden * self.vocabulary * responses


def peak_flops() -> float:
    """Operations per second of this process's device: verl's table for accelerators, measured for a CPU."""
    if get_device_name() == "cpu":
        return measured_gemm_rate()
    return get_device_flops("B") * 1e9


def measured_gemm_rate(seconds: float = 0.2) -> float:
    """Float32 operations per second of a matrix product of the size that training does."""
    left, right = torch.randn(1024, 512), torch.randn(512, 1408)
    torch.mm(left, right)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        torch.mm(left, right)
        best = max(best, 2 * 1024 * 512 * 1408 / (time.perf_counter() - started))
    return best
