"""The reward function of evaluation where prompts ask for many formats: verl's own, after the answer was read out.

    --reward specs_verl.formats.reward:compute_score

A verifier looks for the answer where trained responses have it. The answer of a response in one of our formats is read
by that format's strict reader and handed over in the trained form; every other response is graded as it stands. So
"right" means the same in all formats, and no format is punished for what a verifier does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from reward_fns import compute_score as graded
from reward_fns.grading import GroundTruth
from reward_fns.scoring import Score
from specs_verl.formats.registry import FORMATS


def in_trained_form(text: str, asked: str | None) -> str:
    """The response itself, or its answer in the trained form where it obeys one of our formats."""
    form = FORMATS.get(asked or "")
    answer = form.read(text) if form is not None else None
    return text if answer is None else f"<think> (read from {asked}) </think><answer> {answer} </answer>"


def compute_score(
    data_source: str | None,
    solution_str: str,
    ground_truth: GroundTruth,
    extra_info: Mapping[str, object] | None = None,
    **settings: object,
) -> Score:
    """`reward_fns.compute_score` of the response, or of its answer in the trained form."""
    asked = (extra_info or {}).get("format")
    text = in_trained_form(solution_str or "", asked if isinstance(asked, str) else None)
    return graded(data_source, text, ground_truth, extra_info, **settings)
