"""When does a prompt have enough samples? Predicates for adaptive sampling.

    SamplingParameters(n=4, until="well_formed", max_samples=24)      # four at a time, until one sample is good

    right         one sample is right
    well_formed   one sample is right and has the think-answer form
    wrong         one sample is wrong
    both          one sample is right and one is wrong

A user's own predicate is named as module:function and gets the row and the responses so far.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from specs_verl.errors import UserError

Enough = Callable[[dict[str, Any], list[str]], bool]


def _right(row: dict[str, Any], responses: list[str]) -> bool:
    return any(score["status"] == "right" for score in _scores(row, responses))


def _well_formed(row: dict[str, Any], responses: list[str]) -> bool:
    return any(score["status"] == "right" and score["format"] == 1.0 for score in _scores(row, responses))


def _wrong(row: dict[str, Any], responses: list[str]) -> bool:
    return any(score["status"] in ("wrong", "no_answer") for score in _scores(row, responses))


def _both(row: dict[str, Any], responses: list[str]) -> bool:
    return _right(row, responses) and _wrong(row, responses)


def _scores(row: dict[str, Any], responses: list[str]) -> list[dict[str, Any]]:
    from reward_fns import compute_score

    given = row.get("reward_model")
    model = given if isinstance(given, dict) else {}
    info = {**(row.get("extra_info") or {}), "reward_model": model}
    return [compute_score(row.get("data_source"), text, model.get("ground_truth"), info) for text in responses]


PREDICATES: dict[str, Enough] = {"right": _right, "well_formed": _well_formed, "wrong": _wrong, "both": _both}


def predicate(name: str) -> Enough:
    """The predicate of that name, UserError when there is none."""
    if name in PREDICATES:
        return PREDICATES[name]
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"until: {name!r} is none of {', '.join(PREDICATES)} and no module:function that can be imported ({error})."
        ) from error
