"""From graded samples to preference pairs: which sample is chosen, which is rejected, and in what form.

    pairing = Pairing(kind="decoupled", seed=7)
    maker = PairMaker(pairing)
    pair = maker.make(row, 12, chosen_samples, rejected_samples)     # Pair, or None; maker.funnel counts why

decoupled   both answers are right, only the form differs
coupled     the chosen answer is right and well formed, the rejected one is wrong and badly formed

The chosen response is a sample as the model wrote it. The rejected one is

- a sample of the rejected source after one of the five corruptions; a sample that is not well formed is completed from
  its own reasoning and answer first, so that every corruption starts from the same form; or
- for a share `natural` of the pairs a badly formed sample as the model wrote it; or
- with `corrupted_chosen` the chosen response itself after one corruption: the same text, nothing else differs.

With `formats` the prompts of a share of the pairs ask for another format than the trained one (asked_formats.py).

Each step is verified again, never assumed.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from reward_fns.scoring import row_grading
from specs_verl.distill.asked_formats import TRAINED, AskedFormats
from specs_verl.distill.complete import complete, reasoning_of
from specs_verl.distill.corrupt import BalancedDraw, blocks, corrupt
from specs_verl.distill.differ import difference
from specs_verl.distill.response import Response, grade_again
from specs_verl.distill.rule_judge import JUDGES, RULES, support
from specs_verl.errors import UserError
from specs_verl.formats.registry import for_training
from specs_verl.grading.responses import grading_info, ground_truth
from specs_verl.sampling.usable import unusable

CHOSEN, REJECTED = "chosen", "rejected"

NATURAL = "natural"
"""Stands where a corruption is named, for a rejected response as the model wrote it."""

REJECTED_STATUSES = {"decoupled": ("right",), "coupled": ("wrong", "no_answer")}
"""What a rejected sample's answer is in each kind of pair."""

PAIR_KINDS = tuple(REJECTED_STATUSES)

NO_PAIR = (
    *("not sampled", "ground truth cannot be read", "the verifier failed on every answer"),
    *("nothing to choose", "nothing to reject"),
)
"""Why a prompt gives no pair, in the order in which it is asked."""

NOT_ASKED = "not asked"
"""The word on a sample that no judge has seen."""

_FORM = re.compile(r"</[a-z_]{1,20}>\s*Answer: |</?[a-z_]{1,20}>")
"""What the form alone is written with: tags, and the label that a corruption puts in the place of one."""


@dataclass(frozen=True)
class Pairing:
    """How pairs are made."""

    kind: str = "decoupled"
    seed: int = 0
    judge: str = "rule"

    natural: float = 0.0
    """Share of the pairs, in [0, 1], whose rejected response is a badly formed sample as it is; the others are
    corrupted. Where a prompt has no sample for the one, it gets the other."""

    corrupted_chosen: bool = False
    """Reject the chosen response itself, with one corruption."""

    match_length: bool = False
    """Among the chosen samples of a prompt take the one whose length is nearest to the rejected one's."""

    complete_chosen: bool = False
    """Complete the form of a right chosen sample when a prompt has no well-formed one."""

    formats: tuple[str, ...] = ()
    """Output formats that prompts may ask for besides the trained one, see formats.registry.for_training."""

    formats_share: float = 0.0
    """Share of the pairs, in [0, 1], whose prompts ask for one of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.formats_share <= 1:
            raise UserError(f"formats_share is a share between 0 and 1, not {self.formats_share}.")
        if self.formats_share:
            for_training(self.formats)
        if self.kind not in PAIR_KINDS:
            raise UserError(f"Pairs are {' or '.join(PAIR_KINDS)}, not {self.kind!r}.")
        if self.judge not in JUDGES:
            raise UserError(f"The judge is {', '.join(JUDGES)}, not {self.judge!r}.")
        if not 0 <= self.natural <= 1:
            raise UserError(f"natural is a share between 0 and 1, not {self.natural}.")
        if self.corrupted_chosen and (self.kind != "decoupled" or self.natural):
            raise UserError("A corrupted chosen response is right and never natural: use decoupled pairs, natural 0.")


@dataclass(frozen=True)
class Pair:
    """One preference pair and how it came about."""

    row: int
    row_id: str
    chosen: str
    rejected: str
    corruption: str
    """One of the five kinds, or `natural`; where another format is asked for also `other_format` or `unmarked`."""

    chosen_sample: int
    rejected_sample: int
    chosen_origin: str
    """`sampled`, or `completed` when its form was completed."""

    rejected_origin: str
    """What the corruption was applied to: `well_formed`, `completed` or `chosen`; `natural` without one."""

    chosen_answer: str
    """What the verifier read from the sample."""

    rejected_answer: str
    rejected_status: str
    judge: str
    chosen_pass_rate: float
    rejected_pass_rate: float
    rejected_format_rate: float

    reasoning_distance: float
    """See differ.py, as for the four after it."""

    chosen_reasoning: int
    rejected_reasoning: int
    chosen_soundness: str | None
    rejected_soundness: str | None

    asked_format: str = TRAINED
    """What the prompt asks for."""


@dataclass
class PairMaker:
    """Makes at most one pair per row. Rows must come in a fixed order: the balance of the corruptions depends on it."""

    pairing: Pairing
    funnel: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._draw = BalancedDraw(self.pairing.seed)
        self._natural = 0
        share = self.pairing.formats_share
        forms = for_training(self.pairing.formats) if share else ()
        self._formats = AskedFormats(forms, share, self.pairing.seed, self.funnel)

    def make(
        self, row: dict[str, Any], index: int, chosen: list[dict[str, Any]], rejected: list[dict[str, Any]]
    ) -> Pair | None:
        """The pair of a row, or None when it has none; rows and samples are counted in `funnel`, with their reasons."""
        self.funnel["prompts"] += 1
        right = self._usable(CHOSEN, chosen, ("right",))
        # Each row draws from its own generator: whether one row has a pair does not change what another row draws.
        rng = random.Random(f"{self.pairing.seed}:{index}")
        candidates = self._chosen(row, right, rng)
        sides = self._same_text(row, candidates) if self.pairing.corrupted_chosen else None
        if not self.pairing.corrupted_chosen:
            fitting = self._usable(REJECTED, rejected, REJECTED_STATUSES[self.pairing.kind])
            sides = self._two_texts(row, candidates, fitting, rng)
        if sides is None:
            self.funnel[_why_not(chosen, rejected, bool(candidates))] += 1
            return None
        self.funnel["pairs"] += 1
        best, worst = sides
        asked = self._formats.of(row, index, best, worst)
        return Pair(
            row=index,
            row_id=best.sample["row_id"],
            chosen=asked.chosen if asked else best.text,
            rejected=asked.rejected if asked else worst.text,
            corruption=asked.corruption if asked else worst.corruption,
            chosen_sample=best.sample["sample"],
            rejected_sample=worst.sample["sample"],
            chosen_origin=best.origin,
            rejected_origin=worst.origin,
            chosen_answer=best.sample["pred"],
            rejected_answer=worst.sample["pred"],
            rejected_status=worst.sample["status"],
            judge=best.sample["support"] or "none",
            chosen_pass_rate=pass_rate(chosen),
            rejected_pass_rate=pass_rate(rejected),
            rejected_format_rate=share(rejected, lambda s: s["format"]),
            asked_format=asked.asked_format if asked else TRAINED,
            **asdict(difference(row, best.thought, worst.thought)),
        )

    def _usable(self, side: str, samples: list[dict[str, Any]], statuses: tuple[str, ...]) -> list[dict[str, Any]]:
        """The samples of a side that may be trained on and have one of the statuses; every sample is counted once."""
        usable = []
        for sample in samples:
            flaw = unusable(sample["response"], sample["finish_reason"], sample["n_vision_tokens"])
            self.funnel[f"{side}: {flaw or sample['status']}"] += 1
            if flaw is None and sample["status"] in statuses:
                usable.append(sample)
        return usable

    def _chosen(self, row: dict[str, Any], right: list[dict[str, Any]], rng: random.Random) -> list[Response]:
        """What can be chosen of the right samples, in random order."""
        whole = [sample for sample in right if sample["format"]]
        self.funnel["chosen: well formed"] += len(whole)
        kept = JUDGES[self.pairing.judge]
        fitting = [s for s in whole if self.pairing.judge == "none" or s["support"] in kept]
        self.funnel["chosen: kept by the judge"] += len(fitting)
        for sample in whole:
            self.funnel[f"judge: {sample['support'] or NOT_ASKED}"] += 1
        if fitting or whole or not self.pairing.complete_chosen:
            shuffled = rng.sample(fitting, len(fitting))
            texts = [sample["response"].strip() for sample in shuffled]
            return [
                Response(sample, text, "sampled", blocks(text).thought)
                for sample, text in zip(shuffled, texts, strict=True)
            ]
        for sample in rng.sample(right, len(right)):
            text = complete(sample["response"], sample["pred"])
            if text is None or grade_again(row, text) != ("right", True):
                continue
            word = self._judged_by_rule(row, text)
            if word is None or word in kept:
                self.funnel["chosen: form completed"] += 1
                return [Response({**sample, "support": word}, text, "completed", blocks(text).thought)]
        return []

    def _judged_by_rule(self, row: dict[str, Any], text: str) -> str | None:
        """The rule's word on a completed response, None where no rule is asked."""
        if self.pairing.judge not in RULES:
            return None
        grading = row_grading(grading_info(row))
        return support(text, ground_truth(row), grading.verifier, grading.params)

    def _same_text(self, row: dict[str, Any], candidates: list[Response]) -> tuple[Response, Response] | None:
        """A response that can be chosen, and itself with one corruption."""
        for best in candidates:
            worst = self._corrupted(row, best.sample, best.text, CHOSEN)
            if worst is not None:
                return best, worst
        return None

    def _two_texts(
        self, row: dict[str, Any], candidates: list[Response], fitting: list[dict[str, Any]], rng: random.Random
    ) -> tuple[Response, Response] | None:
        """A response that can be chosen, and one of the rejected source."""
        worst = self._rejected(row, fitting, rng) if candidates else None
        if worst is None:
            return None
        best = rng.choice(candidates)
        if self.pairing.match_length:
            best = min(candidates, key=lambda candidate: abs(body_length(candidate.text) - body_length(worst.text)))
        return best, worst

    def _rejected(self, row: dict[str, Any], fitting: list[dict[str, Any]], rng: random.Random) -> Response | None:
        """What is rejected, of samples with the right status."""
        natural = next((s for s in rng.sample(fitting, len(fitting)) if not s["format"]), None)
        wanted = self._natural < self.pairing.natural * (self.funnel["pairs"] + 1)
        found = None if wanted and natural else self._of_corrupted(row, fitting, rng)
        if found is None and natural and self.pairing.natural:
            self._natural += 1
            text = natural["response"].strip()
            found = Response(natural, text, NATURAL, reasoning_of(text, natural["pred"] or ""), NATURAL)
        return found

    def _of_corrupted(self, row: dict[str, Any], fitting: list[dict[str, Any]], rng: random.Random) -> Response | None:
        # Samples that need no completion first; among equals a random order.
        for sample in sorted(rng.sample(fitting, len(fitting)), key=lambda s: not s["format"]):
            found = self._badly_formed(row, sample)
            if found is not None:
                return found
        return None

    def _badly_formed(self, row: dict[str, Any], sample: dict[str, Any]) -> Response | None:
        """A sample without its form, its answer verified again."""
        origin = "well_formed" if sample["format"] else "completed"
        whole = sample["response"].strip() if sample["format"] else complete(sample["response"], sample["pred"])
        if whole is None:
            self.funnel["rejected: no reasoning to complete the form from"] += 1
            return None
        found = self._corrupted(row, sample, whole, origin)
        if found is None:
            self.funnel["rejected: every corruption changes the answer"] += 1
        return found

    def _corrupted(self, row: dict[str, Any], sample: dict[str, Any], whole: str, origin: str) -> Response | None:
        """A well-formed response with the rarest corruption that leaves its answer as it is."""
        for kind in self._draw.order():
            text = corrupt(whole, kind)
            status, well_formed = grade_again(row, text)
            if status == sample["status"] and not well_formed:
                self._draw.took(kind)
                return Response(sample, text, origin, blocks(whole).thought, kind)
        return None


def _why_not(chosen: list[dict[str, Any]], rejected: list[dict[str, Any]], has_chosen: bool) -> str:
    """Name of the count of a row that gave no pair."""
    if not chosen or not rejected:
        return f"prompts: {NO_PAIR[0]}"
    if any(sample["status"] == "unparsable_gold" for sample in (*chosen, *rejected)):
        return f"prompts: {NO_PAIR[1]}"
    if not any(map(graded, chosen)) or not any(map(graded, rejected)):
        return f"prompts: {NO_PAIR[2]}"
    return f"prompts: {NO_PAIR[4] if has_chosen else NO_PAIR[3]}"


def body_length(text: str) -> int:
    """Characters of a response, its form not counted: the form is meant to differ, the length is not."""
    return len(_FORM.sub("", text).strip())


def graded(sample: dict[str, Any]) -> bool:
    """Whether the verifier came to a verdict: on `error` it failed itself, which says nothing about the answer."""
    return sample["status"] != "error"


def pass_rate(samples: list[dict[str, Any]]) -> float:
    """Share of right samples among those that were graded."""
    return share(list(filter(graded, samples)), lambda sample: sample["status"] == "right")


def share(samples: list[dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> float:
    """Share of samples for which something holds, 0 without samples."""
    return sum(bool(holds(sample)) for sample in samples) / len(samples) if samples else 0.0
