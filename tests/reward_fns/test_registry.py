"""Users' verifiers: what they may return, where they run, what happens to their mistakes."""

import time

import pytest

from reward_fns import Verdict, register, verify
from reward_fns.registry import lookup, names
from reward_fns.workers.processes import PoolError

USERS_FILE = """
import time
from reward_fns import Verdict, register

@register("test_isolated", isolated=True, seconds=1.0, replace=True)
def isolated(response, ground_truth, *, sleep: float = 0.0):
    if response == "hang":
        while True:
            pass
    if response == "raise":
        raise ValueError("my own mistake")
    time.sleep(sleep)
    return Verdict("right", 0.75, response) if response == ground_truth else False
"""


@pytest.fixture(scope="module")
def users_file(tmp_path_factory):
    """Loaded by path and under no module name, as verl loads a user's reward file."""
    import importlib.util

    path = tmp_path_factory.mktemp("user") / "mine.py"
    path.write_text(USERS_FILE)
    spec = importlib.util.spec_from_file_location("custom_module_1234", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize(
    ("outcome", "status", "score"),
    [
        (True, "right", 1.0),
        (False, "wrong", 0.0),
        (0.5, "wrong", 0.5),
        (1, "right", 1.0),
        (Verdict("no_answer", 0.0), "no_answer", 0.0),
    ],
)
def test_bools_scores_and_verdicts_are_understood(outcome, status, score):
    register("test_outcome", replace=True)(lambda response, ground_truth: outcome)
    assert verify("a", "b", "test_outcome")[:2] == (status, score)


@pytest.mark.parametrize("outcome", [None, "yes", 2.0, -1])
def test_other_outcomes_are_refused(outcome):
    register("test_outcome", replace=True)(lambda response, ground_truth: outcome)
    with pytest.raises(TypeError, match="return a Verdict, a bool or a score"):
        verify("a", "b", "test_outcome")


def test_an_exception_of_a_users_verifier_is_not_hidden():
    @register("test_raises", replace=True)
    def raises(response, ground_truth):
        return [][0]

    with pytest.raises(IndexError):
        verify("a", "b", "test_raises")


def test_an_isolated_verifier_runs_elsewhere_with_its_parameters(users_file):
    assert verify("x", "x", "test_isolated", sleep=0.01)[:3] == ("right", 0.75, "x")
    assert verify("x", "y", "test_isolated").status == "wrong"


def test_an_isolated_verifier_that_hangs_is_stopped(users_file):
    started = time.perf_counter()
    assert verify("hang", "x", "test_isolated").status == "timeout"
    assert time.perf_counter() - started < 10
    assert verify("x", "x", "test_isolated").status == "right"


def test_a_mistake_in_an_isolated_verifier_is_reported(users_file):
    with pytest.raises(PoolError, match="my own mistake"):
        verify("raise", "x", "test_isolated")


def test_other_projects_names_lead_to_the_same_verifiers():
    assert lookup("mathverify").name == "math" and lookup("detection").name == "boxes"
    assert "math" in names()
