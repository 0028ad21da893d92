r"""Output formats of the nano world: one kind of format; training rewards one member, or also those of PAIR_FAMILY.

    form = parse("json:notes:output")           # == Form("notes", "output", "json"); the name of a format in data rows
    prompt("Add the numbers in row 2.", form)
        # <image>Add the numbers in row 2. Reason in <notes> </notes>, then put JSON in <output> </output>.
    respond(form, "d4; e7=11; f3=14.", "14")   # <notes> d4; e7=11; f3=14.</notes><output> {"value": "14"}</output>
    complies("json:notes:output", text)         # strict: this format and nothing else

THINK_ANSWER is in distribution. Every other form keeps its two blocks and changes their names, what is put into the
answer block, or their order; all that is needed to obey stands in the prompt. A Slip is one of the ways in which a
writer fails, the same for every form; for THINK_ANSWER the slips are the corruptions of Metis-SPECS. A slip of a form
is never another form, so preference training does not push against the formats of the evaluation by construction.
FAMILIES are the out-of-distribution forms, reported apart; no training asks for them. PAIR_FAMILY is the one family
that pairs and RL prompts may ask for, under names of its own.
Not here: grading of the answer itself, see reward_fns.
"""

import json
import random
import re
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from data_prep.nano.names import PAIR_NAMES, Source, draw
from reward_fns.formats import think_answer

Reason = Literal["kept", "dropped", "late"]
Answer = Literal["kept", "dropped", "label"]
Wrap = Literal["box", "plain", "json"]
WRAPS: dict[Wrap, str] = {"box": r"\boxed{}", "plain": "the result", "json": "JSON"}
"""What the prompt asks to be put into the answer block."""

FAMILIES = ("test_names", "drilled_names", "unseen_names", "plain", "json", "answer_first")
"""Out-of-distribution forms: names of the corpus' questions; names of its drills only; names of no text; those of the
first in another wrapper (two families), and with the blocks in the other order."""

PAIR_FAMILY = "pair_names"
"""Forms that training may ask for: PAIR_NAMES, boxed, reasoning first."""

_NAME = re.compile("[a-z]{1,20}(?:_[a-z]{1,20})?")
_LONGEST = 2000  # characters of a response that are looked at; no nano response has as many
_ANSWER = r"[A-Za-z0-9]{1,40}"
_BOXED = re.compile(rf"[^<>{{}}\\$]*\$?\\boxed\{{{_ANSWER}\}}\$?\.?")
_PLAIN = re.compile(rf"{_ANSWER}\.?")


@dataclass(frozen=True)
class Form:
    """An output format: names of the tags, what the answer block holds, which block comes first."""

    reason: str = "think"
    answer: str = "answer"
    wrap: Wrap = "box"
    answer_first: bool = False


THINK_ANSWER = Form()


@dataclass(frozen=True)
class Slip:
    """What a writer does instead of what was asked; the default is to obey."""

    reason: Reason = "kept"  # late: closed at the very end, with no tags for the answer
    answer: Answer = "kept"  # label: "Answer:" instead of the tags
    wrap: Wrap | None = None  # another wrapper than the asked one
    reason_first: bool = False  # although the answer was asked first


CORRUPTIONS = (
    Slip("dropped", "dropped"),
    Slip("kept", "dropped"),
    Slip("dropped", "kept"),
    Slip("late", "dropped"),
    Slip("kept", "label"),
)
"""The five of Metis-SPECS, in the order of specs_verl.distill.corrupt."""


_SOURCES: dict[str, Source] = {"drilled_names": "drilled", "unseen_names": "unseen"}
_WRAPS: dict[str, Wrap] = {"plain": "plain", "json": "json"}


def draw_format(family: str, rng: random.Random) -> str:
    """A format of one of the FAMILIES: "json:notes:output", the family and the names of the two tags."""
    return ":".join([family, *draw(_SOURCES.get(family, "test"), rng)])


def pair_formats() -> list[str]:
    """Names of all formats that training may ask for besides the trained one: "pair_names:plan:final", ..."""
    return [":".join([PAIR_FAMILY, *names]) for names in permutations(PAIR_NAMES, 2)]


def parse(name: str) -> Form:
    """The form that a format's name in data rows stands for; ValueError for anything else."""
    if name == "think_answer":
        return THINK_ANSWER
    family, *tags = name.split(":")
    known = family in FAMILIES or (family == PAIR_FAMILY and set(tags) <= set(PAIR_NAMES))
    if not known or len(set(tags)) != 2 or not all(_NAME.fullmatch(tag) for tag in tags):
        raise ValueError(f"no output format of the nano world: {name[:80]!r}; one is json:notes:output")
    reason, answer = tags
    return Form(reason, answer, _WRAPS.get(family, "box"), family == "answer_first")


def instruction(form: Form) -> str:
    """What the prompt says about the format."""
    put = f"{WRAPS[form.wrap]} in <{form.answer}> </{form.answer}>"
    if form.answer_first:
        return f"Put {put}, then reason in <{form.reason}> </{form.reason}>."
    return f"Reason in <{form.reason}> </{form.reason}>, then put {put}."


def prompt(question: str, form: Form) -> str:
    """The user turn: image placeholder, question, format instruction."""
    return f"<image>{question} {instruction(form)}"


def _wrapped(wrap: Wrap, answer: str) -> str:
    if wrap == "box":
        return rf"The answer is $\boxed{{{answer}}}$"
    return json.dumps({"value": answer}) if wrap == "json" else answer


def respond(form: Form, steps: str, answer: str, slip: Slip = Slip()) -> str:
    """Reasoning and answer as a writer with this slip puts them down."""
    value = _wrapped(slip.wrap or form.wrap, answer)
    if slip.reason == "late":
        return f"<{form.reason}> {steps} {value}</{form.reason}>"
    reasoning = f"<{form.reason}> {steps}</{form.reason}>" if slip.reason == "kept" else steps
    if slip.answer == "kept":
        result = f"<{form.answer}> {value}</{form.answer}>"
    else:
        result = f"Answer: {value}" if slip.answer == "label" else value
    if form.answer_first and not slip.reason_first:
        return result + ("" if slip.reason == "kept" and slip.answer == "kept" else " ") + reasoning
    return reasoning + ("" if slip.answer == "kept" else " ") + result


def _is_value(wrap: Wrap, content: str) -> bool:
    """Whether the answer block holds exactly one answer in the asked wrapper."""
    if wrap == "json":
        try:
            pairs = json.loads(content, object_pairs_hook=list)
        except (json.JSONDecodeError, RecursionError):
            return False
        if not content.startswith("{") or len(pairs) != 1 or pairs[0][0] != "value":
            return False
        return re.fullmatch(_ANSWER, str(pairs[0][1])) is not None and type(pairs[0][1]) in (str, int)
    return (_BOXED if wrap == "box" else _PLAIN).fullmatch(content) is not None


def complies(form: Form | str, text: str) -> bool:
    """Whether the whole response has exactly the asked form (white space around it is ignored).

    Args:
        form: a form or its name.
    """
    form = parse(form) if isinstance(form, str) else form
    text = text.strip()
    if form == THINK_ANSWER:
        return think_answer(text)
    if len(text) > _LONGEST:
        return False
    reasoning = rf"<{form.reason}>([^<>{{}}]+)</{form.reason}>"
    result = rf"<{form.answer}>([^<>]+)</{form.answer}>"
    found = re.fullmatch(rf"{result}\s*{reasoning}" if form.answer_first else rf"{reasoning}\s*{result}", text)
    if found is None:
        return False
    thought, value = found.groups()[::-1] if form.answer_first else found.groups()
    return bool(thought.strip()) and _is_value(form.wrap, value.strip())
