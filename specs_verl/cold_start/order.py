"""Which pairs make up which step, and which process works on which of them: pure functions of a seed and of lengths.

Every process computes the same plan, so nothing has to be sent around, and a resumed run continues with the very next
batch. Pairs of one prompt stay next to each other in the shuffled order, so that they land in one packed row.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from specs_verl.cold_start.encode import Encoded


@dataclass(frozen=True)
class Unit:
    """Pairs of one prompt that are trained on in one step; never taken apart."""

    pairs: tuple[int, ...]  # positions in the list of encoded pairs
    tokens: int  # length of its part of a packed row


def epoch_order(pairs: Sequence[Encoded], seed: int, epoch: int, shuffle: bool = True) -> list[int]:
    """Positions of all pairs in the order of one epoch: prompts shuffled, the pairs of a prompt in a run."""
    groups: dict[bytes, list[int]] = {}
    for position, pair in enumerate(pairs):
        groups.setdefault(pair.prompt_key, []).append(position)
    runs = list(groups.values())
    order = np.random.default_rng([seed, epoch]).permutation(len(runs)) if shuffle else range(len(runs))
    return [position for number in order for position in runs[number]]


def steps_per_epoch(pairs: int, batch_size: int, drop_last: bool) -> int:
    return pairs // batch_size if drop_last else math.ceil(pairs / batch_size)


def units_of(batch: Sequence[int], pairs: Sequence[Encoded], shared_prefix: bool) -> list[Unit]:
    """Group a batch by prompt; in the plain form every response carries its prompt with it."""
    groups: dict[bytes, list[int]] = {}
    for position in batch:
        groups.setdefault(pairs[position].prompt_key, []).append(position)
    units = []
    for members in groups.values():
        if not shared_prefix:
            for member in members:
                more_prompts = (len(pairs[member].responses) - 1) * len(pairs[member].prompt)
                units.append(Unit((member,), pairs[member].shared_tokens + more_prompts))
            continue
        responses = sum(len(ids) for m in members for ids in pairs[m].responses)
        units.append(Unit(tuple(members), len(pairs[members[0]].prompt) + responses))
    return units


def split_units(units: Sequence[Unit], processes: int, max_tokens: int) -> list[list[list[Unit]]]:
    """Distribute units over processes and micro-batches: `plan[process][micro_batch]` is a list of units.

    All processes get equally many micro-batches, because FSDP lets them compute in step; a list may be empty when
    there are fewer units than processes. Longest unit first into the emptiest bin; no bin exceeds `max_tokens` unless a
    single unit does.
    """
    total, longest = sum(unit.tokens for unit in units), max(unit.tokens for unit in units)
    rounds = max(1, math.ceil(total / (max(max_tokens, longest) * processes)))
    while True:
        bins: list[list[Unit]] = [[] for _ in range(rounds * processes)]
        heap = [(0, number) for number in range(len(bins))]
        for unit in sorted(units, key=lambda unit: (-unit.tokens, unit.pairs)):
            tokens, number = heapq.heappop(heap)
            bins[number].append(unit)
            heapq.heappush(heap, (tokens + unit.tokens, number))
        if all(len(content) <= 1 or sum(u.tokens for u in content) <= max_tokens for content in bins):
            return [bins[process::processes] for process in range(processes)]
        rounds += 1
