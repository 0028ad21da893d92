"""One side of a pair while it is made, and grading a text again that was made from a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reward_fns import compute_score
from reward_fns.formats import think_answer
from specs_verl.grading.responses import grading_info, ground_truth


@dataclass(frozen=True)
class Response:
    """A graded sample and the text made from it."""

    sample: dict[str, Any]
    text: str
    origin: str
    """See Pair.chosen_origin and Pair.rejected_origin."""

    thought: str
    """Its reasoning, without tags."""

    corruption: str = ""


def grade_again(row: Mapping[str, Any], text: str) -> tuple[str, bool]:
    """Status and form of a text made from a sample."""
    status = compute_score(row.get("data_source"), text, ground_truth(row), grading_info(row))["status"]
    return str(status), think_answer(text)
