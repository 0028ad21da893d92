"""The reward function where prompts ask for several formats, in evaluation and in RL: verl's own, format by format.

    --reward specs_verl.formats.reward:compute_score
    reward.custom_reward_function.path=pkg://specs_verl.formats.reward

A verifier looks for the answer where trained responses have it. The answer of a response in one of our formats is read
by that format's strict reader and handed over in the trained form; every other response is graded as it stands. So
"right" means the same in all formats, and no format is punished for what a verifier does not know. The format part of
the reward is that of the format which the row asks for (`extra_info.format`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_fns import compute_score as graded
from reward_fns.grading import GroundTruth
from reward_fns.scoring import Score
from specs_verl.formats.registry import TRAINABLE


def in_trained_form(text: str, asked: str | None) -> str:
    """The response itself, or its answer in the trained form where it obeys one of our formats."""
    form = TRAINABLE.get(asked or "")
    answer = form.read(text) if form is not None else None
    return text if answer is None else f"<think> (read from {asked}) </think><answer> {answer} </answer>"


def compute_score(
    data_source: str | None,
    solution_str: str,
    ground_truth: GroundTruth,
    extra_info: Mapping[str, object] | None = None,
    *,
    response_length: int | None = None,
    progress: float | None = None,
    **settings: Any,
) -> Score:
    """`reward_fns.compute_score` of the response, or of its answer in the trained form.

    Args:
        data_source, solution_str, ground_truth, extra_info: as in verl.
        response_length, progress: as in `reward_fns.compute_score`; the manager `specs` passes what is named here.
        settings: the others of it; `format_rule` is for rows that ask for no format of this room.
    """
    asked = (extra_info or {}).get("format")
    response = solution_str or ""
    settings |= {"response_length": response_length, "progress": progress}
    if not isinstance(asked, str) or asked not in TRAINABLE:
        return graded(data_source, response, ground_truth, extra_info, **settings)
    settings["format_rule"] = "none" if TRAINABLE[asked].complies(response) else "never"
    if response_length is None:
        settings["response_length"] = len(response)  # of what was written, whatever is handed to the verifier
    return graded(data_source, in_trained_form(response, asked), ground_truth, extra_info, **settings)
