"""Users' verifiers: what they may return and where they run. Their mistakes: test_grading.py."""

import pytest

from reward_fns import Verdict, register, verify
from reward_fns.registry import lookup, names

USERS_FILE = """
import time
from reward_fns import Verdict, register

@register("test_isolated", isolated=True, seconds=1.0, replace=True)
def isolated(response, ground_truth, *, sleep: float = 0.0):
    if response == "hang":
        while True:
            pass
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


def test_an_isolated_verifier_runs_elsewhere_with_its_parameters(users_file):
    assert verify("x", "x", "test_isolated", sleep=0.01)[:3] == ("right", 0.75, "x")
    assert verify("x", "y", "test_isolated").status == "wrong"


def test_an_isolated_verifier_that_hangs_is_stopped(users_file):
    assert verify("hang", "x", "test_isolated").status == "timeout"
    assert verify("x", "x", "test_isolated").status == "right"


def test_other_projects_names_lead_to_the_same_verifiers():
    assert lookup("mathverify").name == "math" and lookup("detection").name == "boxes"
    assert "math" in names()
