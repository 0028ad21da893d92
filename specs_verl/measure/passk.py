"""Unbiased pass@k (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1).

    pass_at_k(n=8, c=2, k=4)                  # one prompt: 1 - C(6,4)/C(8,4) = 0.7857...
    pass_at_k([8, 8], [0, 2], 4)              # one value per prompt
    mean_pass_at_k([8, 8], [0, 2], [1, 4])    # {1: 0.125, 4: 0.392...}, the mean over prompts

pass@k of a model that ignores its input is high when few answers are possible: report it beside the same number with
shuffled images. Not here: how a response is found right (reward_fns) and the counting (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Counts = int | Iterable[int] | np.ndarray


def pass_at_k(n: Counts, c: Counts, k: int) -> float | np.ndarray:
    """Chance that of ``k`` responses, drawn without replacement from ``n`` with ``c`` right, at least one is right.

    The ratio of binomials is a product of ``k`` factors in [0, 1], so nothing overflows however large ``n`` is.

    Args:
        n: responses per prompt; an integer or shape (prompts,).
        c: right responses per prompt, 0 <= c <= n.
        k: responses allowed, 1 <= k <= n.

    Returns:
        float for integers, else float64 of shape (prompts,).
    """
    n, c = np.broadcast_arrays(_whole(n, "n"), _whole(c, "c"))
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")
    if (n < k).any():
        raise ValueError(
            f"pass@{k} needs at least {k} responses per prompt, but one prompt has {int(n.min())}. Sample more."
        )
    if (c < 0).any() or (c > n).any():
        bad = int(np.flatnonzero((c < 0) | (c > n))[0])
        raise ValueError(f"c must lie between 0 and n, got c={c.flat[bad]} of n={n.flat[bad]}.")
    all_wrong = np.ones(n.shape)
    for drawn in range(int(k)):
        all_wrong *= np.maximum(n - c - drawn, 0) / (n - drawn)
    result = 1.0 - all_wrong
    return float(result) if result.ndim == 0 else result


def mean_pass_at_k(n: Counts, c: Counts, ks: Iterable[int]) -> dict[int, float]:
    """Mean over prompts of `pass_at_k` for every k; prompts must not be empty."""
    if np.size(_whole(c, "c")) == 0:
        raise ValueError("pass@k of no prompts: the evaluation is empty.")
    return {int(k): float(np.mean(pass_at_k(n, c, k))) for k in ks}


def reported_ks(n: int) -> list[int]:
    """The k worth a column: powers of two up to ``n``, and ``n`` itself."""
    ks = [2**power for power in range(n.bit_length()) if 2**power <= n]
    return ks if ks and ks[-1] == n else [*ks, n]


def _whole(values: Counts, name: str) -> np.ndarray:
    array = np.asarray(list(values) if isinstance(values, Iterable) and not isinstance(values, np.ndarray) else values)
    if array.size and (array.dtype == bool or not np.array_equal(array, np.floor(array))):
        raise ValueError(f"{name} must hold whole numbers, got {array}.")
    return array.astype(np.int64)
