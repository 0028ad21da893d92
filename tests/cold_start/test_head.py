"""The head gives the same numbers in pieces, and never has logits of more rows than a piece."""

import pytest
import torch
from torch import nn

from specs_verl.cold_start.head import LogProbHead

ROWS, SIZE, VOCABULARY = 10, 4, 6


class CountingHead(nn.Linear):
    """An output embedding that notes how many rows each call gets."""

    def __init__(self) -> None:
        super().__init__(SIZE, VOCABULARY, bias=False)
        self.calls: list[int] = []

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        self.calls.append(hidden.shape[1])
        return super().forward(hidden)


@pytest.mark.parametrize(
    ("chunk", "calls"),
    [
        (None, [10]),
        (10, [10]),
        (4, [4, 4, 2, 2, 4, 4]),  # three pieces forward; the backward pass takes them from the end
    ],
)
def test_pieces(chunk, calls):
    torch.manual_seed(0)
    linear = CountingHead()
    hidden = torch.randn(1, ROWS, SIZE, requires_grad=True)
    targets, weights = torch.arange(ROWS) % VOCABULARY, torch.linspace(-1, 1, ROWS)
    table = (hidden[0] @ linear.weight.T).log_softmax(-1)
    expected = table[torch.arange(ROWS), targets]
    gradients = torch.autograd.grad((expected * weights).sum(), [hidden, linear.weight])

    head = LogProbHead(linear, chunk)
    with head.of(targets):
        found = linear(hidden)
    assert found.shape == (1, ROWS, 1)
    torch.testing.assert_close(found[0, :, 0], expected)
    (found[0, :, 0] * weights).sum().backward()
    torch.testing.assert_close((hidden.grad, linear.weight.grad), gradients)
    assert linear.calls == calls


def test_without_targets_it_is_the_head_it_was():
    linear = CountingHead()
    hidden = torch.randn(1, 3, SIZE)
    expected = linear(hidden)
    LogProbHead(linear, chunk=1)
    assert torch.equal(linear(hidden), expected)
