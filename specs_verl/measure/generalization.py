"""Generalization Factor of Metis-SPECS (arXiv 2510.25801): does what a cold start taught hold outside its format?

    generalization_factor(98.0, 69.2)                                  # scores of one model, baseline 0  -> 73.52...
    generalization_factor([0.41, 0.90, 0.97], [0.74, 0.80, 0.78])      # curves over steps, gains against step 0
    generalization_factor(0.97, {"json": 0.8, "yaml": 0.6}, id_baseline=0.41, ood_baseline={"json": 0.7, "yaml": 0.7})

In distribution (ID) is a held-out part of the training distribution; out of distribution (OOD) are tasks whose
*required output format* differs. Any score works (accuracy, format compliance), on any scale: the factor comes out on
the same scale.

Rules where the plain formula has none (it is 0/0 with no gain at all, and has a pole where one gain is negative):
  - a gain of exactly zero on either side gives 0: nothing was carried over;
  - a negative gain on either side gives the smaller of the two gains: the factor then *is* the worst loss.
Both agree with the formula where the regions meet, so the factor is continuous and never falls when a gain rises.
A score that is NaN or infinite is an error, never a NaN in the answer.

Not here: where the scores come from (evaluate.py) and how the factor is shown before RL (gate.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Scores = float | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Generalization:
    """The factor with the two gains it was made of; three floats, or three arrays of shape (steps,)."""

    id_gain: float | np.ndarray
    ood_gain: float | np.ndarray
    factor: float | np.ndarray


def factor_from_gains(id_gain: Scores, ood_gain: Scores, beta: float = 2.0) -> float | np.ndarray:
    """F-measure of the two gains with OOD in the role of recall: (1 + b^2) G_id G_ood / (b^2 G_id + G_ood).

    Args:
        id_gain, ood_gain: gains in the same unit, scalars or arrays of one shape.
        beta: weight of OOD against ID, > 0; the paper uses 2.

    Returns:
        float for scalars, else an array of the common shape; see the module docstring for zero and negative gains.
    """
    if not beta > 0:
        raise ValueError(f"beta must be positive, got {beta}.")
    id_gain, ood_gain = np.broadcast_arrays(_finite(id_gain, "ID gain"), _finite(ood_gain, "OOD gain"))
    positive = (id_gain > 0) & (ood_gain > 0)
    # Where a gain is not positive the denominator may vanish; 1 stands in there and the value is replaced below.
    denominator = np.where(positive, beta**2 * id_gain + ood_gain, 1.0)
    # Dividing before multiplying keeps tiny gains from underflowing to 0 and huge ones from overflowing.
    factor = (1 + beta**2) * id_gain * (ood_gain / denominator)
    factor = np.where(positive, factor, np.minimum(np.minimum(id_gain, ood_gain), 0.0))
    return float(factor) if factor.ndim == 0 else factor


def weighted_ood_mean(ood_scores: Mapping[str, Scores], weights: Mapping[str, float] | None = None) -> np.ndarray:
    """Psi_OOD: weighted mean over the OOD sets, equal weights unless given; shape () or (steps,)."""
    if not ood_scores:
        raise ValueError("The OOD scores name no set: pass at least one out-of-distribution set.")
    weights = dict.fromkeys(ood_scores, 1.0) if weights is None else weights
    if set(weights) != set(ood_scores):
        raise ValueError(
            f"OOD weights name {sorted(weights)}, the scores name {sorted(ood_scores)}: they must be the same sets."
        )
    values = np.array([float(weights[name]) for name in ood_scores])
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise ValueError(f"OOD weights must be finite, not negative and not all zero, got {dict(weights)}.")
    curves = [_finite(scores, f"OOD score {name!r}") for name, scores in ood_scores.items()]
    if len({curve.shape for curve in curves}) > 1:
        raise ValueError(
            f"OOD sets have different numbers of steps: { {n: np.shape(s) for n, s in ood_scores.items()} }."
        )
    return np.average(np.stack(curves), axis=0, weights=values)


def generalization(
    id_scores: Scores,
    ood_scores: Scores | Mapping[str, Scores],
    beta: float = 2.0,
    *,
    id_baseline: float | None = None,
    ood_baseline: float | Mapping[str, float] | None = None,
    ood_weights: Mapping[str, float] | None = None,
) -> Generalization:
    """Gains and Generalization Factor of one model (scalars) or of a training run (curves over steps).

    Args:
        id_scores: score on the in-distribution set; a scalar or shape (steps,).
        ood_scores: the same for OOD; a mapping from set name to scores is averaged with ``ood_weights``.
        beta: weight of OOD, see `factor_from_gains`.
        id_baseline, ood_baseline: score of the untrained model. Left out, a curve's own step 0 is the baseline and a
            scalar is measured from 0 (the paper's figure, whose base model starts near 0).
        ood_weights: weight per OOD set, equal by default.
    """
    id_values = _finite(id_scores, "ID score")
    if isinstance(ood_scores, Mapping):
        ood_values = weighted_ood_mean(ood_scores, ood_weights)
    elif ood_weights is not None:
        raise ValueError("OOD weights need OOD scores by set name, e.g. {'json': 0.8, 'yaml': 0.6}.")
    else:
        ood_values = _finite(ood_scores, "OOD score")
    if isinstance(ood_baseline, Mapping):
        ood_baseline = float(weighted_ood_mean(ood_baseline, ood_weights))
    for name, values in (("ID", id_values), ("OOD", ood_values)):
        if values.ndim > 1 or values.size == 0:
            raise ValueError(
                f"{name} scores must be a number or one non-empty list over steps, got shape {values.shape}."
            )
    if id_values.shape != ood_values.shape:
        raise ValueError(
            f"ID scores have shape {id_values.shape}, OOD scores {ood_values.shape}: both need a value for every step."
        )
    id_gain = id_values - _baseline(id_values, id_baseline, "ID baseline")
    ood_gain = ood_values - _baseline(ood_values, ood_baseline, "OOD baseline")
    factor = factor_from_gains(id_gain, ood_gain, beta)
    if id_values.ndim == 0:
        return Generalization(float(id_gain), float(ood_gain), factor)
    return Generalization(id_gain, ood_gain, factor)


def generalization_factor(
    id_scores: Scores,
    ood_scores: Scores | Mapping[str, Scores],
    beta: float = 2.0,
    *,
    id_baseline: float | None = None,
    ood_baseline: float | Mapping[str, float] | None = None,
    ood_weights: Mapping[str, float] | None = None,
) -> float | np.ndarray:
    """The factor alone, arguments as in `generalization`: a float, or for curves shape (steps,), 0 at step 0."""
    return generalization(
        id_scores, ood_scores, beta, id_baseline=id_baseline, ood_baseline=ood_baseline, ood_weights=ood_weights
    ).factor


def _baseline(values: np.ndarray, given: float | None, what: str) -> float:
    if given is not None:
        return float(_finite(given, what))
    return 0.0 if values.ndim == 0 else float(values[0])


def _finite(values: Scores, what: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        where = "" if array.ndim == 0 else f" at position {np.argwhere(~np.isfinite(array))[0].tolist()}"
        raise ValueError(f"{what} is not a finite number{where}: {values}. Leave such steps out.")
    return array
