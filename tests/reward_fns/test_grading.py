"""Exceptions in verifiers: a verdict of their own kind, logged, wherever answers are graded; faults of the call raise."""

import importlib.util
import logging

import pytest

from reward_fns import GoldError, compute_score, grading, register, score_batch, verify, verify_batch
from reward_fns.verdict import CallError
from reward_fns.verifiers import mathematics
from reward_fns.workers import pool
from reward_fns.workers.processes import PoolError

HARD = r"\int_0^1 x dx"
"""A gold beyond the built-in reader: grading it asks a worker, so that a batch breaks off and comes back to it."""

USERS_FILE = """
import os
from reward_fns import register

@register("test_faulty", isolated=True, seconds=5.0, replace=True)
def faulty(response, ground_truth):
    if response == "raise":
        raise ValueError("my own mistake")
    if response == "die":
        os._exit(1)
    return response == ground_truth
"""


@pytest.fixture(autouse=True)
def fresh_counts(monkeypatch):
    monkeypatch.setattr(grading, "_failures", type(grading._failures)())


@pytest.fixture
def broken_math(monkeypatch):
    """A bug in the built-in reader, of the kind that a local variable over a function's name makes."""
    read = mathematics.read

    def broken(text):
        if "17" in text:
            raise TypeError("'bool' object is not callable")
        return read(text)

    monkeypatch.setattr(mathematics, "read", broken)


@pytest.fixture
def users_verifier():
    @register("test_raises", replace=True)
    def raises(response, ground_truth):
        if "17" in response:
            return [][0]
        return response == ground_truth


@pytest.fixture(scope="module")
def users_file(tmp_path_factory):
    """Loaded by path, as verl loads a user's reward file."""
    path = tmp_path_factory.mktemp("user") / "mine.py"
    path.write_text(USERS_FILE)
    spec = importlib.util.spec_from_file_location("custom_module_4321", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def errors(caplog):
    return [record for record in caplog.records if record.levelno == logging.ERROR]


def test_a_bug_in_a_built_in_verifier_is_a_verdict_and_a_log_line(broken_math, caplog):
    assert verify(r"so \boxed{17x}", "x")[:3] == ("error", 0.0, None)
    (record,) = errors(caplog)
    said = record.getMessage()
    assert "'math'" in said and "TypeError: 'bool' object is not callable" in said and "17x" in said
    assert record.exc_info[0] is TypeError


@pytest.mark.parametrize("verifier", ["math", "test_raises"])
def test_one_bad_answer_leaves_the_others_of_its_batch_alone(broken_math, users_verifier, verifier):
    items = [("x", "x", verifier), ("17x", "x", verifier), ("y", "x", verifier), (r"\frac{1}{2}", HARD, "math")]
    assert [v.status for v in verify_batch(items)] == ["right", "error", "wrong", "right"]


def test_a_users_exception_is_a_verdict_too(users_verifier, caplog):
    assert verify("17", "b", "test_raises")[:3] == ("error", 0.0, None)
    assert "IndexError: list index out of range" in errors(caplog)[0].getMessage()


@pytest.mark.parametrize("outcome", [None, "yes", 2.0, -1])
def test_an_outcome_that_is_no_verdict_is_an_error(outcome, caplog):
    register("test_outcome", replace=True)(lambda response, ground_truth: outcome)
    assert verify("a", "b", "test_outcome").status == "error"
    assert "return a Verdict, a bool or a score" in errors(caplog)[0].getMessage()


def test_an_isolated_verifier_may_raise_or_die(users_file, caplog):
    statuses = [v.status for v in verify_batch([(r, "x", "test_faulty") for r in ("x", "raise", "die", "y")])]
    assert statuses == ["right", "error", "timeout", "wrong"]
    assert "ValueError: my own mistake" in errors(caplog)[0].getMessage()
    assert verify("raise", "x", "test_faulty").status == "error"


def test_every_kind_of_failure_is_logged_at_powers_of_two(users_verifier, caplog):
    for number in range(9):
        verify(f"17 {number}", "b", "test_raises")
    counts = [int(record.getMessage().partition("(failure ")[2].split()[0]) for record in errors(caplog)]
    assert counts == [1, 2, 4, 8]


def test_a_score_says_that_the_verifier_failed(broken_math):
    well_formed = r"<think>a</think><answer>\boxed{17x}</answer>"
    score = compute_score("any", well_formed, "x")
    # accuracy 0 and half a point for the format, as for a wrong answer: the row is not at fault
    assert (score["score"], score["acc"], score["error"], score["status"]) == (0.5, 0.0, 1.0, "error")
    rows = [{"solution_str": text, "ground_truth": "x"} for text in ("x", "17x", HARD)]
    assert [s["error"] for s in score_batch(rows)] == [0.0, 1.0, 0.0]


def test_a_gold_that_cannot_be_read_is_no_error():
    @register("test_gold", replace=True)
    def gold(response, ground_truth):
        raise GoldError("no")

    assert verify("a", "b", "test_gold").status == "unparsable_gold"


@pytest.mark.parametrize(
    ("params", "verifier", "error"),
    [({"metric": "no_such"}, "text", CallError), ({"no_such": 1}, "math", TypeError), ({}, "no_such", KeyError)],
)
def test_faults_of_the_call_raise(params, verifier, error):
    with pytest.raises(error, match="no_such"):
        verify_batch([("a", "a", verifier, params)])


def test_a_broken_installation_raises(monkeypatch):
    def no_worker(*_):
        raise PoolError("no worker process")

    monkeypatch.setattr(pool, "compare", no_worker)
    with pytest.raises(PoolError):
        verify("x", HARD)
