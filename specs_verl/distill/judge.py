"""Does the reasoning of a chosen response support its answer? The `rule` judge, and `none`.

    support("<think> 5+7=12.</think><answer> 12</answer>", "12", "number", {})    -> "supports"

The rule: the value that the think block ends with must agree with the answer, read and compared by the row's own
verifier. A think block that says outright "the answer is 11" contradicts an answer of 12 wherever the statement
stands. Metis-SPECS uses a large model as judge.
"""

from __future__ import annotations

from typing import Literal

from reward_fns import verify
from specs_verl.distill.corrupt import blocks

Support = Literal["supports", "contradicts", "silent"]


def support(response: str, answer: str, verifier: str, params: dict[str, object]) -> Support:
    """Judge a well-formed response by rule.

    Args:
        response: well formed, see reward_fns.formats.think_answer.
        answer: the answer that the response gives.
        verifier, params: how the row's answers are compared.

    Returns:
        supports; contradicts when the reasoning ends with another value; silent when it holds no value of that kind.
    """
    # Without its tags the block is read like any response: its last statement or value is what it concludes.
    status = verify(blocks(response).thought, answer, verifier, **params).status
    if status == "right":
        return "supports"
    return "contradicts" if status == "wrong" else "silent"
