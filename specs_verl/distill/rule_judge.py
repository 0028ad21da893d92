r"""Does the reasoning of a right, well-formed response support its answer? The judge that needs no model.

    support("<think> 5+7=12.</think><answer> 12</answer>", "12", "number", {})              -> "supports"
    support("<think> 5+7=11.</think><answer> 12</answer>", "12", "number", {})              -> "contradicts"
    support("<think> Left: 4. Right: 6.</think><answer> 46</answer>", "46", "number", {})   -> "silent"

supports      what the think block ends with agrees with the answer, compared by the row's own verifier
contradicts   the think block concludes something else: its last box, "answer is", "so", or computed equation
silent        it concludes nothing that can be compared; many sound descriptions end so

The judge `rule` drops what contradicts, `strict` what is silent too, `none` nothing. A rule cannot see a wrong step
that leads to the right value; the judge `model` (model_judge.py) can.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from reward_fns import verify
from reward_fns.answer.phrases import THEREFORE
from reward_fns.answer.places import last_box, phrase
from reward_fns.answer.sentences import split_sentences
from reward_fns.grading import GroundTruth
from specs_verl.distill.corrupt import blocks

Support = Literal["supports", "contradicts", "silent"]

JUDGES: dict[str, tuple[str, ...]] = {
    "rule": ("supports", "silent"),
    "strict": ("supports",),
    "model": ("supports",),
    "none": ("supports", "silent", "contradicts"),
}
"""What each judge keeps."""

RULES = ("rule", "strict")
"""The judges that are this file."""

_LAST_CLAUSES = 3
_TAIL = 2000
_CONCLUDES = re.compile(rf"(?i)\b(?:{THEREFORE}|in total|altogether|we (?:get|have|find|conclude))\b")
_EQUATED = re.compile(r"=\s*([^=\n]{1,200})$")
_COMPUTED = re.compile(r"[\w)\]}]\s*[-+*/×÷·^]\s*[\w(\[{\\][^=\n]*=([^=\n]+)$")


def support(response: str, answer: GroundTruth, verifier: str, params: dict[str, Any]) -> Support:
    """Judge a well-formed response by rule.

    Args:
        response: well formed, see reward_fns.formats.think_answer.
        answer: the right answer, which the response gives.
        verifier, params: how the row's answers are compared.
    """
    thought = blocks(response).thought
    # Without its tags the block is read like any response: its last statement or value is what it ends with.
    if verify(thought, answer, verifier, **params).status == "right":
        return "supports"
    concluded = conclusion(thought)
    if concluded is None:
        # "d8; e1=9; f6=15": nothing is stated, but the last value that is set equal to something may be the answer.
        equated = _EQUATED.search(thought.strip().rstrip(".;"))
        agrees = equated and verify(equated.group(1), answer, verifier, **params).status == "right"
        return "supports" if agrees else "silent"
    status = verify(concluded, answer, verifier, **params).status
    words: dict[str, Support] = {"right": "supports", "wrong": "contradicts"}
    return words.get(status, "silent")


def conclusion(thought: str) -> str | None:
    """The text in which a think block states its result, or None when it only describes."""
    tail = thought[-_TAIL:]
    stated = last_box(tail) or phrase(tail)
    if stated is not None:
        return stated
    clauses = [part.strip(" .!?") for sentence in split_sentences(tail) for part in sentence.split(";")]
    for clause in reversed([clause for clause in clauses if clause][-_LAST_CLAUSES:]):
        computed = _COMPUTED.search(clause)
        if computed is not None:
            return computed.group(1).strip()
        if _CONCLUDES.search(clause):
            return clause
    return None
