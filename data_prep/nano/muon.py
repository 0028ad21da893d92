"""Muon in the weights' own precision: momentum whose matrices are orthogonalised before each step.

    optimizer = Muon(matrices, lr=5e-3, weight_decay=0.01)

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the step is scaled to the size of AdamW's (Liu et al.
2025, arXiv 2502.16982). The arithmetic is that of torch.optim.Muon, which however iterates in bfloat16: on a CPU
without bfloat16 instructions its step costs a nano model 1.7 s, against 0.3 s for the forward and backward pass. Here
matrices of one shape go through the iteration together, in float32.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalised(stack: Tensor) -> Tensor:
    """Each matrix with its singular values moved to about one (0.7 to 1.2) by five Newton-Schulz iterations.

    Args:
        stack: (matrices, rows, columns), floating point.
    """
    a, b, c = NEWTON_SCHULZ
    wide = stack.mT if stack.shape[1] > stack.shape[2] else stack
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.mT if stack.shape[1] > stack.shape[2] else wide


class Muon(torch.optim.Optimizer):
    """For two-dimensional weights; Nesterov momentum, decoupled weight decay."""

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        if any(weight.ndim != 2 for group in self.param_groups for weight in group["params"]):
            raise ValueError("Muon is for matrices; train other weights with AdamW")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closures here
        """One update of all weights that have a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    momentum = self._momentum(weight, weight.grad, group["momentum"])
                    shapes.setdefault(weight.shape, []).append((weight, momentum))
            for shape, members in shapes.items():
                updates = orthogonalised(torch.stack([momentum for _, momentum in members]))
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for (weight, _), update in zip(members, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _momentum(self, weight: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)
