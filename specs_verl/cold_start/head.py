"""The language-model head, read as log-probabilities of given tokens, a piece of the rows at a time.

    head = LogProbHead(backbone.lm_head, chunk=2048)     # once; without targets the head is what it was
    with head.of(targets): log_probs = model(...).logits[0, :, 0]

With a vocabulary of 152,000 the logits of 16,384 response tokens are 10 GB in float32, and as much again for their
gradient: the peak of the whole step. Here at most `chunk` rows have logits at one time; a longer row is worked off in
pieces whose logits are computed again in the backward pass (a third more work in the head, nothing elsewhere).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class LogProbHead:
    """Stands in for the forward of an output embedding."""

    def __init__(self, head: nn.Module, chunk: int | None) -> None:
        self._logits = head.forward
        self._chunk = chunk
        self._targets: Tensor | None = None
        head.forward = self

    @contextmanager
    def of(self, targets: Tensor) -> Iterator[None]:
        """Within this context the head returns log-probabilities of `targets`, shape (rows,), instead of logits."""
        self._targets = targets
        try:
            yield
        finally:
            self._targets = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Hidden states (1, rows, size) -> float32 log-probabilities (1, rows, 1), or logits outside of `of`."""
        if self._targets is None:
            return self._logits(hidden)
        rows = hidden.shape[1]
        if self._chunk is None or rows <= self._chunk:
            return self._log_probs(hidden, self._targets)
        pieces = zip(hidden.split(self._chunk, 1), self._targets.split(self._chunk), strict=True)
        return torch.cat([checkpoint(self._log_probs, *piece, use_reentrant=False) for piece in pieces], 1)

    def _log_probs(self, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = self._logits(hidden)[0].float()
        return -F.cross_entropy(logits, targets, reduction="none")[None, :, None]
