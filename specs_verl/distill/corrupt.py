r"""The five corruptions: a well-formed response loses its form and keeps its answer.

    corrupt("<think> 5+7=12.</think><answer> It is $\boxed{12}$</answer>", "think_closed_late")
        -> "<think> 5+7=12. It is $\boxed{12}$</think>"

    no_tags            all four tags dropped
    no_answer_tags     <answer> and </answer> dropped
    no_think_tags      <think> and </think> dropped
    think_closed_late  <answer> and </answer> dropped, </think> moved to the end
    answer_label       <answer> replaced by "Answer:", </answer> dropped

Metis-SPECS, stage 1. Nothing but tags changes: where two pieces of text would touch, the white space that was between
the blocks stays between them, one space if there was none.
Not here: whether a verifier still reads the same answer from the result (pair.py asks it).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reward_fns.formats import think_answer


@dataclass(frozen=True)
class Blocks:
    """A well-formed response in its parts; `thought` and `answer` as they stand between their tags."""

    thought: str
    between: str
    answer: str


def blocks(response: str) -> Blocks:
    """Take a well-formed response apart; ValueError for any other."""
    if not think_answer(response):
        raise ValueError(f"not a think block followed by an answer block: {response[:80]!r}")
    head, _, tail = response.strip().removeprefix("<think>").partition("</think>")
    between, _, rest = tail.partition("<answer>")
    return Blocks(head, between, rest.removesuffix("</answer>"))


def _no_tags(parts: Blocks) -> str:
    return f"{parts.thought.strip()}{parts.between or ' '}{parts.answer.strip()}"


def _no_answer_tags(parts: Blocks) -> str:
    return f"<think>{parts.thought}</think>{parts.between or ' '}{parts.answer.strip()}"


def _no_think_tags(parts: Blocks) -> str:
    return f"{parts.thought.strip()}{parts.between}<answer>{parts.answer}</answer>"


def _think_closed_late(parts: Blocks) -> str:
    # The last piece keeps the distance that it had from its closing tag.
    return f"<think>{parts.thought.rstrip()}{parts.between or ' '}{parts.answer.lstrip()}</think>"


def _answer_label(parts: Blocks) -> str:
    return f"<think>{parts.thought}</think>{parts.between or ' '}Answer: {parts.answer.strip()}"


_CORRUPTIONS: dict[str, Callable[[Blocks], str]] = {
    "no_tags": _no_tags,
    "no_answer_tags": _no_answer_tags,
    "no_think_tags": _no_think_tags,
    "think_closed_late": _think_closed_late,
    "answer_label": _answer_label,
}

KINDS = tuple(_CORRUPTIONS)


def corrupt(response: str, kind: str) -> str:
    """The response with one corruption. It must be well formed; the result never is."""
    if kind not in _CORRUPTIONS:
        raise ValueError(f"no corruption is called {kind!r}; there are {', '.join(KINDS)}")
    return _CORRUPTIONS[kind](blocks(response))


class BalancedDraw:
    """Draws kinds at random such that their counts stay as equal as the responses allow."""

    def __init__(self, seed: int, kinds: Iterable[str] = KINDS) -> None:
        self._random = random.Random(seed)
        self.counts = dict.fromkeys(kinds, 0)

    def order(self) -> list[str]:
        """All kinds, the rarest so far first, equally rare ones in random order. Take the first that fits."""
        kinds = list(self.counts)
        self._random.shuffle(kinds)
        return sorted(kinds, key=self.counts.__getitem__)

    def took(self, kind: str) -> None:
        """Count a kind that was used."""
        self.counts[kind] += 1
