"""Responses -> grades by a reward function in verl's signature.

    grades = grade_responses(load_function("reward_fns:compute_score", "Reward function"), [(question, response), ...])

The function is the one that training uses (`reward_fns.compute_score` unless another is named), so evaluation and
training agree. All responses are graded at once: comparisons that need a worker process then run on all workers, and a
hostile answer that uses up its deadline holds nobody up for longer than a slice of it (reward_fns/batch.py).

Not here: files and processes (shards.py), and what grades add up to (measure/metrics.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from reward_fns import formats
from reward_fns.batch import settle_all
from reward_fns.grading import GroundTruth
from reward_fns.question import with_question
from specs_verl.errors import UserError

DEFAULT_REWARD = "reward_fns:compute_score"
OWN_FORMATS = {"think_answer": formats.think_answer, "think_answer_boxed": formats.think_answer_boxed}

GRADING_COLUMNS = ["data_source", "reward_model", "extra_info", "prompt"]
"""Columns of a row that decide how its responses are graded."""

ROW_ERRORS = (KeyError, TypeError, ValueError)
"""What reward_fns raises for a row that names no known verifier, or gives it parameters that it does not know."""

FormatChecks = Mapping[str, Callable[[str], bool]]
RewardFunction = Callable[..., object]
Row = Mapping[str, Any]
"""Columns of a data file's row; what they hold is checked where it is used."""


class Gradable(Protocol):
    """What grading must know of a row."""

    @property
    def data_source(self) -> str | None: ...

    @property
    def ground_truth(self) -> object: ...

    @property
    def extra_info(self) -> Mapping[str, object]: ...

    @property
    def row_id(self) -> str: ...


@dataclass(frozen=True)
class Question:
    """One row as verl hands it to a reward function; `row_id` is for messages."""

    data_source: str | None
    ground_truth: GroundTruth
    extra_info: Mapping[str, object]
    row_id: str

    @classmethod
    def of_row(cls, row: Row, row_id: str) -> Question:
        """Of a row in verl's schema."""
        source = row.get("data_source")
        return cls(None if source is None else str(source), ground_truth(row), grading_info(row), row_id)


@dataclass(frozen=True)
class Grade:
    """What the reward function said about one response."""

    acc: float
    score: float
    status: str
    extracted: str | None
    format: float | None = None
    """Its word on the form, in [0, 1]; None from functions that have none."""

    @property
    def right(self) -> bool:
        """Whether the answer counts for pass@k: full credit, or the verifier's own word where credit is graded."""
        return self.status == "right" if self.status in ("right", "wrong") else self.acc >= 1.0 - 1e-9


def grading_info(row: Row) -> dict[str, object]:
    """What compute_score needs to know of a row to grade it as the row says."""
    extra = row.get("extra_info")
    info = {**(extra if isinstance(extra, Mapping) else {}), "reward_model": row.get("reward_model")}
    return with_question(info, row.get("prompt"))


def ground_truth(row: Row) -> GroundTruth:
    """The reference answer of a row, None where it has none."""
    model = row.get("reward_model")
    return model.get("ground_truth") if isinstance(model, Mapping) else None


def load_function(spec: str, what: str) -> Callable[..., object]:
    """The function that "package.module:function" or "path/to/file.py:function" names; ``what`` is for the error."""
    place, _, name = spec.rpartition(":")
    if not place:
        raise UserError(f"{what} {spec!r}: write module:function or file.py:function.")
    try:
        function = getattr(_module_at(place), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{what} {spec!r} cannot be loaded: {error}.") from error
    if not callable(function):
        raise UserError(f"{what} {spec!r} is no function but a {type(function).__name__}.")
    return function


def _module_at(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    if not Path(place).is_file():
        raise ImportError(f"{place} is no Python file")
    spec = importlib.util.spec_from_file_location(f"specs_function_{Path(place).stem}", place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grade_responses(reward: RewardFunction, responses: Sequence[tuple[Gradable, str]]) -> list[Grade]:
    """One grade per (question, response), in order.

    Raises:
        UserError: a row cannot be graded as it asks (unknown verifier or parameter), or the reward function returned no
            finite number for it; the row is named.
    """
    calls = [
        partial(reward, question.data_source, response, question.ground_truth, question.extra_info)
        for question, response in responses
    ]
    try:
        results = settle_all(calls)
    except ROW_ERRORS as error:
        raise _blamed(calls, responses, error) from error
    return [grade_of(result, question.row_id) for (question, _), result in zip(responses, results, strict=True)]


def grade_of(result: object, row_id: str) -> Grade:
    """A reward function's result as a grade; it is checked, since metrics are only as good as it is."""
    values: Mapping[str, Any] = result if isinstance(result, Mapping) else {"score": result}
    score = float(values["score"])
    acc = float(values.get("acc", score))
    if not (math.isfinite(score) and math.isfinite(acc)):
        raise UserError(f"{row_id}: the reward function returned {result!r}; score and acc must be finite numbers.")
    status = str(values.get("status") or ("right" if acc >= 1.0 - 1e-9 else "wrong"))
    extracted = values.get("pred") or values.get("extracted")
    form = values.get("format")
    return Grade(
        acc,
        score,
        status,
        None if extracted is None else str(extracted),
        float(form) if isinstance(form, int | float) else None,
    )


def _blamed(
    calls: Sequence[Callable[[], object]], responses: Sequence[tuple[Gradable, str]], error: Exception
) -> Exception:
    """The error of a batch as one that names the row whose grading it is, if it is a row's."""
    for call, (question, _) in zip(calls, responses, strict=True):
        try:
            call()
        except ROW_ERRORS as fault:
            said = fault.args[0] if fault.args else fault
            return UserError(
                f"{question.row_id}: it cannot be graded as its `reward_model` and `extra_info` ask: {said} "
                "Fix the row, or leave it out (`specs data doctor --fix`)."
            )
    return error


def checks_for(asked: Mapping[str, str], given: FormatChecks | None) -> dict[str, Callable[[str], bool]]:
    """The check of every format that prompts ask for: training's own rule for its formats, else the caller's.

    Args:
        asked: name of the format -> id of a row that asks for it.
        given: the caller's checks by name.
    """
    checks = {**(given or {}), **OWN_FORMATS}
    for unknown in sorted(set(asked) - set(checks)):
        raise UserError(
            f"Row {asked[unknown]} asks for the format {unknown!r}, for which there is no check. "
            f"Known: {', '.join(sorted(checks))}. Pass a check for it (--format-check module:function)."
        )
    return {name: checks[name] for name in sorted(asked)}
