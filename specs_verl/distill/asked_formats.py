r"""Pairs whose prompt asks for another output format than the trained one.

    asked = AskedFormats(for_training(["pair_names"]), share=0.75, seed=0, funnel=funnel)
    found = asked.of(row, index, best, worst)         # Rewritten, or None: the pair stays as it is

The prompt is the row's own with another instruction. The chosen response is put into the asked format; the rejected one
keeps its answer and is, in equal numbers,

other_format   whole, but in another format: the trained one half of the time, else another of those that are asked for
corrupted      in no format: with the corruption that it has, under the asked format's names, or, where the format is no
               matter of two tags, as plain text (`unmarked`)

Reasoning and answers stay those of the samples. Status and format of every text are verified again, never assumed.
Not here: the formats (specs_verl/formats), and writing the prompt (write.py).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specs_verl.distill.complete import trained_form
from specs_verl.distill.corrupt import BalancedDraw
from specs_verl.distill.response import Response, grade_again
from specs_verl.formats.instructions import NoInstructionError
from specs_verl.formats.output_format import OutputFormat
from specs_verl.formats.reward import in_trained_form
from specs_verl.formats.rewrite import asking_for

TRAINED = "think_answer"
"""The format that rows ask for unless said otherwise."""

OTHER, CORRUPTED, UNMARKED = "other_format", "corrupted", "unmarked"


@dataclass(frozen=True)
class Rewritten:
    """A pair in another format."""

    asked_format: str
    chosen: str
    rejected: str
    corruption: str
    """`other_format`, `unmarked`, or the corruption that the rejected response had."""


class AskedFormats:
    """Decides which rows ask for which format, and rewrites their pairs. Rows must come in a fixed order."""

    def __init__(self, forms: Sequence[OutputFormat], share: float, seed: int, funnel: Counter[str]) -> None:
        self._forms = tuple(forms)
        self._share, self._seed, self._funnel = share, seed, funnel
        self._draw = BalancedDraw(seed, (OTHER, CORRUPTED))

    def of(self, row: Mapping[str, Any], index: int, best: Response, worst: Response) -> Rewritten | None:
        """The pair of a row in the format that it is to ask for; None where that is the trained one."""
        # A generator per row and of this purpose: what is drawn here changes nothing else.
        rng = random.Random(f"{self._seed}:{index}:format")
        if not self._forms or rng.random() >= self._share:
            return None
        form = rng.choice(self._forms)
        try:
            asking_for(form, row.get("prompt"))
        except NoInstructionError:
            self._funnel["formats: the prompt asks for none that could be replaced"] += 1
            return None
        found = self._pair(row, form, best, worst, rng)
        self._funnel["formats: rewritten" if found else "formats: the verifier reads another answer there"] += 1
        return found

    def _pair(
        self, row: Mapping[str, Any], form: OutputFormat, best: Response, worst: Response, rng: random.Random
    ) -> Rewritten | None:
        chosen = _under(form, best.text) if form.tags else form.write(best.thought.strip(), _answer(best))
        if not form.complies(chosen) or _status(row, chosen, form) != "right":
            return None
        for kind in self._draw.order():
            text, corruption, read_as = self._badly(kind, form, worst, rng)
            if not form.complies(text) and _status(row, text, read_as) == worst.sample["status"]:
                self._draw.took(kind)
                return Rewritten(form.name, chosen, text, corruption)
        return None

    def _badly(
        self, kind: str, form: OutputFormat, worst: Response, rng: random.Random
    ) -> tuple[str, str, OutputFormat | None]:
        """A rejected text, the name of what is wrong with it, and the format that its answer is read by."""
        thought, answer = worst.thought.strip(), _answer(worst)
        if not answer:  # of coupled pairs: there is nothing that could be put into another format
            return worst.text, worst.corruption, None
        if kind == OTHER:
            others = [other for other in self._forms if other != form]
            if not others or rng.random() < 0.5:
                return trained_form(thought, answer), OTHER, None
            other = rng.choice(others)
            return other.write(thought, answer), OTHER, other
        if form.tags:
            return _under(form, worst.text), worst.corruption, None
        return f"{thought} The answer is {answer}.".strip(), UNMARKED, None


def _under(form: OutputFormat, text: str) -> str:
    """A text with the tags of the trained form under the names of another one."""
    for trained, name in zip(("think", "answer"), form.tags or (), strict=True):
        text = text.replace(f"<{trained}>", f"<{name}>").replace(f"</{trained}>", f"</{name}>")
    return text


def _answer(response: Response) -> str:
    """The answer as the verifier read it; verifiers of text read to the end of the sentence."""
    return str(response.sample["pred"] or "").strip().rstrip(".,;:!").strip()


def _status(row: Mapping[str, Any], text: str, form: OutputFormat | None) -> str:
    return grade_again(row, in_trained_form(text, form.name if form else None))[0]
