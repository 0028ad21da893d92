"""``verify``: one response against one ground truth, through a verifier by name.

    verify(r"so \\boxed{12}", "12")                          -> Verdict("right", 1.0, "12", ...)
    verify("The answer is (B) 12 cm.", "B", "choice")        -> Verdict("right", 1.0, "B", ...)

Here a verifier's outcome becomes a ``Verdict``. A wrong ground truth is a status, and so is an exception in a verifier
(``error``, logged with the answer): neither one bad row nor one bug stops a training run. A fault of the *call*
(unknown verifier or parameter) or of the installation (PoolError) does raise, since every answer would meet it. Not
here: many answers at once (batch.py), rewards (scoring.py).
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from reward_fns.registry import Verifier, lookup
from reward_fns.verdict import CallError, GoldError, Verdict
from reward_fns.workers import pool
from reward_fns.workers.processes import PoolError

logger = logging.getLogger(__name__)

GroundTruth = str | int | float | Sequence[object] | Mapping[str, object] | None

HEAD = 200
"""Characters of an answer that are logged when a verifier fails on it."""

MAX_RESPONSE = 400_000
"""Characters of a response that are read (its end); what a model writes beyond that is no answer."""


def verify(response: str, ground_truth: GroundTruth, verifier: str = "math", **params: object) -> Verdict:
    """Grade ``response``.

    Args:
        response: what the model wrote, whole.
        ground_truth: the reference answer, from the row.
        verifier: name of a built-in or registered verifier.
        params: parameters of that verifier, see its signature.

    Returns:
        Verdict: status right, wrong, no_answer, unparsable_gold, timeout or error; score in [0, 1].
    """
    chosen = lookup(verifier)
    if params:
        chosen.check(params)
    return apply(chosen, response, ground_truth, params)


def apply(verifier: Verifier, response: str, ground_truth: GroundTruth, params: dict[str, object]) -> Verdict:
    """Run a verifier whose parameters were checked, and time it."""
    started = perf_counter()
    if not isinstance(response, str):
        response = "" if response is None else str(response)
    if len(response) > MAX_RESPONSE:
        response = response[-MAX_RESPONSE:]
    if ground_truth is None or (isinstance(ground_truth, str) and not ground_truth.strip()):
        return Verdict("unparsable_gold", 0.0, None, perf_counter() - started)
    if isinstance(ground_truth, int | float) and not isinstance(ground_truth, str):
        ground_truth = str(ground_truth)
    try:
        if verifier.isolated:
            outcome = _in_worker(verifier, response, ground_truth, params)
        else:
            outcome = verifier.function(response, ground_truth, **params)
        return _as_verdict(outcome, verifier.name, perf_counter() - started)
    except GoldError:
        return Verdict("unparsable_gold", 0.0, None, perf_counter() - started)
    except (CallError, PoolError):
        raise
    except Exception as error:
        # A verifier that stumbles over an answer has a bug, but one odd answer must not end a training run of days.
        _report(verifier.name, response, error)
        return Verdict("error", 0.0, None, perf_counter() - started)


class VerifierFailed(RuntimeError):
    """An isolated verifier raised in its worker process."""


def _in_worker(
    verifier: Verifier, response: str, ground_truth: GroundTruth, params: dict[str, object]
) -> Verdict | bool | float:
    """The outcome of an isolated verifier."""
    module = sys.modules.get(verifier.function.__module__)
    where = {
        "module": verifier.function.__module__,
        "file": verifier.function.__code__.co_filename,
        "name": verifier.name,
        "arguments": json.dumps({"response": response, "ground_truth": ground_truth, "params": params}),
    }
    if module is None or where["module"] == "__main__":
        where["module"] = ""  # loaded by path, as verl loads a user's file: the worker does the same
    answer = pool.ask(pool.Job("call", tuple(where.items()), verifier.seconds))
    if isinstance(answer, str):  # TIMEOUT: out of time or memory, or the worker died
        return Verdict("timeout", 0.0, None)
    if "error" in answer:
        raise VerifierFailed(str(answer["error"]))
    outcome: list[Any] = answer["ok"]
    if len(outcome) == 1:
        single: bool | float = outcome[0]
        return single
    return Verdict(*outcome)


_failures: Counter[tuple[str, type[Exception]]] = Counter()


def _report(verifier: str, response: str, error: Exception) -> None:
    """Failures are counted by verifier and exception, and logged at the first, second, fourth, eighth ... of a kind."""
    kind = (verifier, type(error))
    _failures[kind] += 1
    count = _failures[kind]
    if count & (count - 1) == 0:
        logger.error(
            "Verifier %r failed on an answer, which scores 0 with the status error (failure %d of this kind). "
            "%s: %s. The answer begins %r.",
            verifier, count, type(error).__name__, error, response[:HEAD], exc_info=error,
        )  # fmt: skip


def _as_verdict(outcome: object, name: str, seconds: float) -> Verdict:
    """Verdicts pass; bools and scores of users' verifiers are understood."""
    if isinstance(outcome, Verdict):
        return Verdict(outcome[0], outcome[1], outcome[2], seconds)
    if isinstance(outcome, bool):
        return Verdict("right" if outcome else "wrong", float(outcome), None, seconds)
    if isinstance(outcome, int | float) and 0.0 <= outcome <= 1.0:
        return Verdict("right" if outcome >= 1.0 else "wrong", float(outcome), None, seconds)
    raise TypeError(f"Verifier {name!r} returned {outcome!r}: return a Verdict, a bool or a score in [0, 1].")
