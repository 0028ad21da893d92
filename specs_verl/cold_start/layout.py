"""Index arithmetic of packed rows [prompt | branch | branch | ... | prompt | branch | ...]; no tensors of a model.

    layout = Layout((Group(prompt=5, branches=(3, 2)), Group(prompt=4, branches=(1, 1))))
    layout.length           # 16
    layout.logit_rows()     # row whose hidden state predicts each branch token

A *branch* is one response. It sees its group's prompt and itself, never another branch. The plain form, without a
shared prefix, is the same thing with one branch per group: [prompt | chosen | prompt | rejected].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Group:
    """A prompt and the responses that continue it; all numbers are token counts."""

    prompt: int
    branches: tuple[int, ...]

    @property
    def length(self) -> int:
        return self.prompt + sum(self.branches)


@dataclass(frozen=True)
class Segment:
    """Where one branch lies in the row, and the prompt it continues."""

    prompt_start: int
    prompt_length: int
    start: int
    length: int


@dataclass(frozen=True)
class Layout:
    """All groups of one packed row."""

    groups: tuple[Group, ...]

    @property
    def length(self) -> int:
        return sum(group.length for group in self.groups)

    @cached_property
    def segments(self) -> tuple[tuple[Segment, ...], ...]:
        """The branches of every group."""
        groups, offset = [], 0
        for group in self.groups:
            start, segments = offset + group.prompt, []
            for length in group.branches:
                segments.append(Segment(offset, group.prompt, start, length))
                start += length
            groups.append(tuple(segments))
            offset += group.length
        return tuple(groups)

    def branch_lengths(self) -> list[int]:
        """Tokens of every branch, in row order."""
        return [segment.length for group in self.segments for segment in group]

    def logit_rows(self) -> np.ndarray:
        """Row that predicts each branch token, in row order of the branch tokens.

        The first token of *every* branch is predicted by the last row of the prompt, which therefore appears once per
        branch; the others are predicted by the row before them.
        """
        rows: list[Sequence[int]] = []
        for group in self.segments:
            for segment in group:
                rows.append([segment.prompt_start + segment.prompt_length - 1])
                rows.append(range(segment.start, segment.start + segment.length - 1))
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in rows])

    def branch_rows(self) -> np.ndarray:
        """Row of each branch token, in row order: the targets of `logit_rows`."""
        spans = [range(segment.start, segment.start + segment.length) for group in self.segments for segment in group]
        return np.concatenate([np.asarray(span, dtype=np.int64) for span in spans])

    def positions(self, prompt_positions: list[np.ndarray]) -> np.ndarray:
        """Position ids (axes, length): every branch restarts right after its prompt.

        Args:
            prompt_positions: one array (axes, prompt) per group; axes is 3 for M-RoPE, 1 for text-only models.
        """
        parts = []
        for group, prompt in zip(self.groups, prompt_positions, strict=True):
            parts.append(prompt)
            after = int(prompt.max()) + 1
            for length in group.branches:
                parts.append(np.broadcast_to(np.arange(after, after + length), (prompt.shape[0], length)))
        return np.concatenate(parts, axis=1)
