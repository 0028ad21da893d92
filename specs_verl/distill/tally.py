"""What the card of a data set says about its pairs, gathered while they stream by: lengths, corruptions, examples.

tally = Tally(sources);  write(tally.watch(pairs));  report.update(tally.report())
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from specs_verl.distill.corrupt import KINDS
from specs_verl.distill.pair import Pair, body_length

HISTOGRAM_BINS = 8


class Tally:
    """Counts over the pairs that were written."""

    def __init__(self, sources: dict[int, str]) -> None:
        self._sources = sources
        self._corruptions: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._data_sources: Counter[str] = Counter()
        self._formats: Counter[str] = Counter()
        self._lengths: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._examples: dict[str, Pair] = {}
        self._identical = 0
        self._distance = 0.0
        self._reasoning = (0, 0)
        self._soundness: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def watch(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The same pairs, counted."""
        for pair in pairs:
            self._corruptions[pair.corruption] += 1
            self._data_sources[self._sources[pair.row]] += 1
            self._formats[pair.asked_format.partition(":")[0]] += 1
            self._lengths[0][body_length(pair.chosen)] += 1
            self._lengths[1][body_length(pair.rejected)] += 1
            self._distance += pair.reasoning_distance
            self._identical += pair.reasoning_distance == 0
            self._reasoning = (self._reasoning[0] + pair.chosen_reasoning, self._reasoning[1] + pair.rejected_reasoning)
            for side, word in zip(self._soundness, (pair.chosen_soundness, pair.rejected_soundness), strict=True):
                side.update([word] if word is not None else [])
            self._examples.setdefault(pair.corruption, pair)
            yield pair

    def report(self) -> dict[str, Any]:
        """Plain values; one example per corruption."""
        chosen, rejected = self._lengths
        return {
            "corruptions": dict(self._corruptions),
            "data_sources": dict(self._data_sources),
            "asked_formats": dict(self._formats),
            "mean_chosen_length": _mean(chosen),
            "mean_rejected_length": _mean(rejected),
            "lengths": histogram(chosen, rejected),
            "reasoning": {
                "mean_distance": self._distance / max(1, self._corruptions.total()),
                "identical": self._identical,
                "mean_chosen_length": self._reasoning[0] / max(1, self._corruptions.total()),
                "mean_rejected_length": self._reasoning[1] / max(1, self._corruptions.total()),
                "soundness": [dict(side) for side in self._soundness],
            },
            "examples": [asdict(pair) for pair in self._examples.values()],
        }


def _mean(counts: Counter[int]) -> float:
    return sum(value * count for value, count in counts.items()) / max(1, counts.total())


def histogram(chosen: Counter[int], rejected: Counter[int]) -> list[tuple[int, int, int, int]]:
    """Rows (from, to, chosen, rejected) over equal ranges of length that cover both."""
    values = [*chosen, *rejected]
    if not values:
        return []
    low, high = min(values), max(values)
    width = max(1, -(-(high - low + 1) // HISTOGRAM_BINS))
    rows = []
    for start in range(low, high + 1, width):
        stop = start + width - 1
        rows.append((start, stop, _within(chosen, start, stop), _within(rejected, start, stop)))
    return rows


def _within(counts: Counter[int], low: int, high: int) -> int:
    return sum(count for value, count in counts.items() if low <= value <= high)
