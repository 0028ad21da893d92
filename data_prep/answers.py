r"""From a published answer to what a verifier gets: the gold, the verifier's name, its parameters.

    graded(r"\boxed{12}", "How many?")                          # Graded("12", "math", {})
    graded("B", "Which?\nA. red\nB. blue")                      # Graded("B", "choice", {"options": ["red", "blue"]})
    gold_problem(Graded("12", "math", {}))                      # None: graded against itself it is right

The form of the answer decides: boxes, a letter where the question offers options, yes or no, words, else mathematics.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from data_prep.reading.cells import Unfit
from reward_fns import verify
from reward_fns.answer.boxed import boxes as boxed
from reward_fns.boxes.reading import read_boxes

MOST_GOLD = 1_000
"""Characters of a gold that is not a list of boxes; longer ones are solutions, not answers."""

MOST_QUESTION = 20_000
"""Characters of a question that are searched for options, from its end."""

MOST_OPTION = 400

_AROUND_BOX = re.compile(r"[\s$.]*|(?:the\s+)?(?:final\s+)?answer(?:\s+is)?[\s$:]*", re.IGNORECASE)
_ANSWER_TAGS = re.compile(r"\s*<answer>(.*)</answer>\s*", re.DOTALL)
_LETTER = re.compile(r"\(?([A-J])\)?[.:]?")
_LETTERS = re.compile(r"[A-J](?:(?:[\s,;]|and)*[A-J])+")
_OPTION = re.compile(r"(?<![A-Za-z0-9\\])\(?([A-J])[).:、]\s*")
_YES_NO = re.compile(r"(?:yes|no)\.?", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*(?:[ ,]+[^\W\d_]+(?:['’-][^\W\d_]+)*)*\.?")


@dataclass(frozen=True)
class Graded:
    """How an answer is graded."""

    gold: str
    verifier: str
    params: dict[str, object]


def graded(answer: str, question: str, verifier: str = "", options: Sequence[str] = ()) -> Graded:
    """The gold and its verifier; Unfit when there is no answer to grade.

    Args:
        answer: as published: plain, boxed, in answer tags, or a list of boxes as JSON or Python.
        question: searched for options.
        verifier: its name where the data set states it; empty to go by the form of the answer.
        options: their texts, where the data set lists them.
    """
    tagged = _ANSWER_TAGS.fullmatch(answer) if "<answer>" in answer else None
    gold = (tagged[1] if tagged else answer).strip()
    if verifier == "boxes" or (not verifier and "bbox" in gold):
        return Graded(_box_list(gold), "boxes", {})
    gold = _unboxed(gold)
    if not gold:
        raise Unfit("no answer", "the answer is empty")
    if len(gold) > MOST_GOLD:
        raise Unfit("answer too long", f"an answer of {len(gold)} characters is a solution, not an answer")
    if verifier:
        return Graded(gold, verifier, {})
    letter, several = _LETTER.fullmatch(gold), _LETTERS.fullmatch(gold)
    if letter or several:
        texts = list(options) or options_in(question)
        last = letter[1] if letter else max(re.findall("[A-J]", gold))
        if texts and ord(last) - ord("A") < len(texts):
            return Graded(gold, "choice", {"options": texts})
        if letter and re.search(r"\b(?:choices|options|which of the following)\b", question[-MOST_QUESTION:], re.I):
            return Graded(gold, "choice", {})
    elif _YES_NO.fullmatch(gold):
        return Graded(gold, "yes_no", {})
    elif _WORDS.fullmatch(gold):
        return Graded(gold, "text", {})
    return Graded(gold, "math", {})


def options_in(question: str) -> list[str]:
    """The texts of the options A, B, C, ... that a question lists; empty without at least two in order."""
    question = question[-MOST_QUESTION:]
    marks = list(_OPTION.finditer(question))
    listed: list[re.Match[str]] = []
    for mark in marks:  # the last list counts: a figure's points come before the options
        if mark[1] == "A":
            listed = [mark]
        elif listed and ord(mark[1]) - ord("A") == len(listed):
            listed.append(mark)
    ends = [mark.start() for mark in listed[1:]]
    texts = [question[mark.end() : end].strip(" \t\n;,") for mark, end in zip(listed, ends, strict=False)]
    if listed:
        texts.append(question[listed[-1].end() :].strip().partition("\n")[0].strip())
    return texts if len(texts) >= 2 and all(0 < len(text) <= MOST_OPTION for text in texts) else []


def _unboxed(text: str) -> str:
    r"""The content of the one \boxed{} around an answer; the text itself when it is none."""
    if "oxed" not in text:
        return text
    contents = boxed(text)
    if len(contents) != 1:
        return text
    start = text.find("\\boxed")
    around = text[:start], text[start:].partition(contents[0])[2].removeprefix("}")
    if all(_AROUND_BOX.fullmatch(part.strip()) for part in around):
        return contents[0].strip()
    return text


def _box_list(text: str) -> str:
    """Boxes as JSON, whatever spelling they come in."""
    found = read_boxes(text)
    if found is None:
        raise Unfit("unreadable boxes", f"no boxes in the answer {text[:80]!r}")
    entries = [{"bbox_2d": [_plain(side) for side in box.corners], "label": box.label} for box in found]
    return json.dumps(entries, ensure_ascii=False)


def _plain(side: float) -> int | float:
    return int(side) if side == int(side) else side


def gold_problem(how: Graded) -> str | None:
    """What is wrong with a gold: it must be right when it is given as the answer. None when it is, or when only a judge
    could say: no check of data asks a server."""
    if how.verifier == "judge":
        return None
    return _problem(how.gold, how.verifier, json.dumps(how.params, sort_keys=True))


@lru_cache(maxsize=1 << 16)
def _problem(gold: str, verifier: str, params_text: str) -> str | None:
    params = json.loads(params_text)
    try:
        verdict = verify(f"<answer>{_as_answered(gold, verifier, params)}</answer>", gold, verifier, **params)
    except (KeyError, TypeError, ValueError, ModuleNotFoundError) as error:
        return f"{verifier}: {error.args[0] if error.args else error}"
    if verdict.status == "unparsable_gold":
        return f"{verifier} cannot read the ground truth {gold[:60]!r}"
    if verdict.status != "right":
        return f"the ground truth {gold[:60]!r}, given as the answer, is {verdict.status} for {verifier}"
    return None


def _as_answered(gold: str, verifier: str, params: dict[str, object]) -> str:
    """The gold on the scale that responses are on: boxes may be shares of 1000 in the gold, pixels in a response."""
    size, full = params.get("size"), params.get("gold_scale")
    if verifier not in ("boxes", "detection", "grounding", "bbox") or not full or not isinstance(size, list):
        return gold
    x_scale, y_scale = size[0] / full, size[1] / full
    entries = [
        {"bbox_2d": [side * scale for side, scale in zip(box.corners, (x_scale, y_scale) * 2, strict=True)]}
        | {"label": box.label}
        for box in read_boxes(gold) or []
    ]
    return json.dumps(entries)
