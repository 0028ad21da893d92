"""Rollout branching factor: between how many tokens a model really chooses at each step (arXiv 2508.07534).

    rollout_branching_factor(log_probs).factor     # log_probs (tokens, vocabulary): mean nucleus size per token

1 means the text is fixed; the vocabulary's size means it is noise. A cold start that lowers it leaves RL little to
explore. Log-probs must be those of the sampling distribution (temperature applied), natural logarithm, one row per
*generated* token. Not here: running the model to get the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Branching:
    """Mean nucleus size over tokens; `cut` is the share of rows whose known part did not reach top_p."""

    factor: float
    tokens: int
    cut: float


def nucleus_sizes(log_probs: np.ndarray, top_p: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Size of the top-p nucleus of every row: the fewest tokens whose probabilities sum to at least ``top_p``.

    Args:
        log_probs: shape (tokens, vocabulary), or (tokens, K) with the K likeliest tokens as an engine returns them; pad
            short rows with -inf.
        top_p: mass of the nucleus, 0 < top_p <= 1.

    Returns:
        sizes: int64 (tokens,). A row that ends before reaching ``top_p`` counts all its tokens, a lower bound.
        cut: bool (tokens,), True on those rows.
    """
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p}.")
    rows = np.asarray(log_probs, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"Log-probs must have shape (tokens, vocabulary), got {rows.shape}.")
    if np.isnan(rows).any() or (rows > 1e-4).any():
        raise ValueError(
            "Log-probs must be natural logarithms of probabilities (at most 0, no NaN); got probabilities or logits?"
        )
    mass = np.cumsum(-np.sort(-np.exp(rows), axis=1), axis=1)
    if (mass[:, -1] > 1.001).any():
        raise ValueError(
            f"A row's probabilities sum to {mass[:, -1].max():.4f}: these are not log-probs of one distribution."
        )
    # 150,000 float32 probabilities sum to 1 only within about 1e-6: without slack a nucleus of exactly top_p is missed.
    reached = mass >= top_p - 1e-6
    cut = np.logical_not(reached.any(axis=1))
    known = np.isfinite(rows).sum(axis=1)
    return np.where(cut, known, reached.argmax(axis=1) + 1).astype(np.int64), cut


def rollout_branching_factor(
    log_probs: np.ndarray | Iterable[np.ndarray], top_p: float = 0.95, mask: np.ndarray | None = None
) -> Branching:
    """Mean nucleus size per generated token, over one block of rows or a stream of blocks (large vocabularies).

    Args:
        log_probs: (tokens, vocabulary), or an iterable of such blocks, each handled and dropped in turn.
        top_p: mass of the nucleus.
        mask: bool (tokens,), False on rows that are not generated tokens; only with one block.
    """
    if isinstance(log_probs, np.ndarray):
        rows = log_probs
        if mask is not None:
            mask = np.asarray(mask, dtype=bool)
            if mask.shape != rows.shape[:1]:
                raise ValueError(f"The mask has shape {mask.shape}, the log-probs {rows.shape[0]} rows.")
            rows = rows[mask]
        blocks: Iterable[np.ndarray] = [rows]
    elif mask is not None:
        raise ValueError("A mask goes with one block of log-probs; mask the blocks of a stream yourself.")
    else:
        blocks = log_probs
    total, tokens, cut_rows = 0, 0, 0
    for block in blocks:
        sizes, cut = nucleus_sizes(block, top_p)
        total, tokens, cut_rows = total + int(sizes.sum()), tokens + sizes.size, cut_rows + int(cut.sum())
    if tokens == 0:
        raise ValueError("No generated tokens: the branching factor of nothing is not defined.")
    return Branching(factor=total / tokens, tokens=tokens, cut=cut_rows / tokens)
