"""How much a model still explores: branching factor of its sampling, distinct answers, prompts it is stuck on.

    explored = exploration(frame, branching_of(run))       # Exploration
    branching_of(SampleRun(path))                          # None unless log-probabilities were recorded

The branching factor (arXiv 2508.07534) is the mean size of the top-p 0.95 nucleus per generated token. Sampling records
the K likeliest log-probabilities of each token, so a nucleus larger than K is not seen whole. Then two bounds hold, p
being the mass to reach, m the recorded mass, p_K the smallest recorded probability and V the size of the vocabulary:
every further token has at most p_K, so at least (p - m) / p_K more are needed; and of the V - K tokens of the tail the
largest make up at least their share, so at most (p - m) / (1 - m) of them are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from specs_verl.errors import UserError
from specs_verl.measure.answers import distinct_answers, stuck
from specs_verl.sampling.store import SampleRun

TOP_P = 0.95


@dataclass(frozen=True)
class BranchingBounds:
    """Rollout branching factor between two bounds, equal where every nucleus was seen whole."""

    low: float
    high: float
    tokens: int
    cut: float
    """Share of tokens whose nucleus is larger than what was recorded."""

    recorded: int
    """Log-probabilities recorded per token."""


@dataclass(frozen=True)
class Exploration:
    """Of one model on one data set; shares in [0, 1]."""

    distinct_answers: float
    """Mean number of different answers per prompt."""

    stuck: float
    """Share of prompts whose samples all give the same wrong answer."""

    branching: BranchingBounds | None = None


def exploration(frame: pd.DataFrame, branching: BranchingBounds | None = None) -> Exploration:
    """From graded responses with columns row, sample, right, extracted."""
    return Exploration(float(distinct_answers(frame).mean()), float(stuck(frame).mean()), branching)


def nucleus_bounds(
    log_probs: np.ndarray, vocabulary: int, top_p: float = TOP_P
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of the nucleus size of every token.

    Args:
        log_probs: float (tokens, K), the K likeliest in falling order, natural logarithm; -inf where nothing is left.
        vocabulary: number of tokens that can be drawn, at least K.
        top_p: mass of the nucleus.

    Returns:
        low, high: float64 (tokens,), equal where the nucleus was seen whole; cut: bool (tokens,), where it was not.
    """
    probabilities = np.exp(np.asarray(log_probs, dtype=np.float64))
    mass = np.cumsum(probabilities, axis=1)
    reached = mass >= top_p - 1e-6
    cut = np.logical_not(reached.any(axis=1))
    whole = np.where(cut, 0, reached.argmax(axis=1) + 1).astype(np.float64)
    count, total = probabilities.shape[1], mass[:, -1]
    missing = np.maximum(top_p - total, 0.0)
    smallest = np.maximum(probabilities[:, -1], np.finfo(np.float64).tiny)
    rest = max(vocabulary - count, 0)
    low = count + np.minimum(np.ceil(missing / smallest - 1e-9), rest)
    high = count + np.minimum(np.ceil(missing / np.maximum(1 - total, 1e-12) * rest - 1e-9), rest)
    return np.where(cut, low, whole), np.where(cut, np.maximum(high, low), whole), cut


def branching_of(run: SampleRun, top_p: float = TOP_P) -> BranchingBounds | None:
    """Branching factor of a sampling run, one shard in memory at a time; None where no log-probabilities are there."""
    manifest = run.manifest
    recorded = int((manifest.get("parameters") or {}).get("logprobs") or 0)
    if not recorded:
        return None
    vocabulary = int(manifest.get("vocabulary") or 0)
    if vocabulary < recorded:
        raise UserError(f"{run.path}: its manifest does not say how large the vocabulary is. Sample again.")
    low = high = tokens = cut = 0.0
    for rows in _blocks(run, recorded):
        lower, upper, missed = nucleus_bounds(rows, vocabulary, top_p)
        low, high = low + float(lower.sum()), high + float(upper.sum())
        tokens, cut = tokens + len(rows), cut + float(missed.sum())
    if not tokens:
        raise UserError(f"{run.path}: no response has a single token, so there is no branching factor.")
    return BranchingBounds(low / tokens, high / tokens, int(tokens), cut / tokens, recorded)


def _blocks(run: SampleRun, recorded: int) -> Iterator[np.ndarray]:
    for shard in run.shards():
        column = pq.read_table(shard, columns=["top_logprobs"]).column(0).combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False)
        if len(values) % recorded:
            raise UserError(f"{shard}: its log-probabilities do not come {recorded} per token. Sample again.")
        if np.isnan(values).any():
            raise UserError(f"{shard}: a log-probability is not a number. Sample again.")
        if len(values):
            yield values.reshape(-1, recorded)
