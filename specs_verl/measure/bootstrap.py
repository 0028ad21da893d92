"""How sure a number is: spread over seeds, and bootstrap intervals over prompts.

    seed_spread([0.61, 0.64, 0.60])                   # Spread(mean=0.6167, std=0.0208, n=3)
    mean_interval(per_prompt_accuracy)                # Interval(value, low, high) of one model
    paired_difference(final, base)                    # the same prompts under two models: is the gain real?

The prompt is the unit that is drawn: the samples of one prompt are not independent, so resampling responses would make
every interval too narrow. Not here: seeds of training runs are not resampled, three are too few; their spread is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK = 256  # resamples drawn at once: bounds memory to _BLOCK x prompts x 8 bytes


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over seeds; the deviation of one seed is 0, by convention."""

    mean: float
    std: float
    n: int


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def seed_spread(values: Sequence[float]) -> Spread:
    """Mean and spread of one metric over seeds."""
    array = _finite(values, "seed values")
    return Spread(float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else 0.0, int(array.size))


def mean_interval(per_prompt: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Interval of the mean over prompts; ``per_prompt`` has one value (the mean of its samples) per prompt."""
    array = _finite(per_prompt, "values per prompt")
    return _interval(array, float(array.mean()), level, resamples, seed)


def mean_intervals(
    per_prompt: Mapping[str, Sequence[float]], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """`mean_interval` of several quantities of the same prompts; each equals its own call, the draws are shared."""
    columns = {name: _finite(values, name) for name, values in per_prompt.items()}
    if len({column.size for column in columns.values()}) > 1:
        raise ValueError("All quantities need one value per prompt, for the same prompts.")
    stacked = np.stack(list(columns.values()), axis=1)
    size = len(stacked)
    # How often each prompt was drawn, times its values: one matrix product for all quantities.
    means = np.concatenate(
        [
            np.stack([np.bincount(prompts, minlength=size) for prompts in drawn]) @ stacked / size
            for drawn in _draws(size, resamples, seed)
        ]
    )
    _check(level, resamples)
    edges = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {
        name: Interval(float(column.mean()), float(low), float(high))
        for (name, column), low, high in zip(columns.items(), *edges, strict=True)
    }


def paired_difference(
    treated: Sequence[float], control: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Interval of mean(treated - control), both given per prompt and in the same order of prompts."""
    first, second = _finite(treated, "treated"), _finite(control, "control")
    if first.shape != second.shape:
        raise ValueError(
            f"A paired comparison needs the same prompts on both sides, got {first.size} and {second.size}."
        )
    difference = first - second
    return _interval(difference, float(difference.mean()), level, resamples, seed)


def _interval(values: np.ndarray, value: float, level: float, resamples: int, seed: int) -> Interval:
    _check(level, resamples)
    means = np.concatenate([values[drawn].mean(axis=1) for drawn in _draws(values.size, resamples, seed)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _draws(size: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Indices of shape (block, size), a block at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        yield generator.integers(0, size, size=(min(_BLOCK, resamples - start), size))


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"The level must lie between 0 and 1, got {level}.")
    if resamples < 100:
        raise ValueError(f"At least 100 resamples are needed for an interval, got {resamples}.")


def _finite(values: Sequence[float], what: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"The {what} must be a non-empty list of numbers, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"The {what} hold a number that is not finite, at position {int(np.argmin(np.isfinite(array)))}."
        )
    return array
