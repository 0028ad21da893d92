"""The front door: statuses, score dict, format rules, registry."""

import asyncio
import json

import pytest

import reward_fns
from reward_fns import compute_score, compute_score_async, formats, register, verify

GOOD = "<think>3 + 4 = 7, and 5 more.</think> <answer>The answer is $\\boxed{12}$</answer>"


def test_score_is_accuracy_plus_half_format():
    # right and well formed: 1.0 * 1 + 0.5 * 1
    assert compute_score("nano", GOOD, "12")["score"] == 1.5
    # right, tags dropped: 1.0 * 1 + 0.5 * 0
    assert compute_score("nano", "so $\\boxed{12}$", "12")["score"] == 1.0
    # wrong but well formed: 0.5
    assert compute_score("nano", GOOD, "13")["score"] == 0.5


def test_row_chooses_verifier_and_parameters():
    row = {"verifier": "choice", "params": json.dumps({"options": ["10 cm", "12 cm"]})}
    assert compute_score("x", "<answer>12 cm</answer>", "B", row)["acc"] == 1.0
    row = {"reward_model": {"verifier": "number", "params": {"precision": 1}}}
    assert compute_score("x", "Answer: 3.14", "3.1", row)["acc"] == 1.0


def test_result_has_the_same_plain_keys_for_every_outcome():
    results = [compute_score("x", r, g) for r, g in ((GOOD, "12"), ("", "12"), (GOOD, ""), ("no idea", "B"))]
    assert len({tuple(result) for result in results}) == 1
    assert {type(value) for result in results for value in result.values()} == {float, str}


def test_unparsable_gold_gives_every_response_the_same_reward():
    assert {compute_score("x", r, "")["score"] for r in (GOOD, "nothing", "")} == {0.0}


def test_async_twin_agrees():
    assert asyncio.run(compute_score_async("x", GOOD, "12"))["score"] == 1.5


@pytest.mark.parametrize(
    ("response", "well_formed"),
    [
        (GOOD, True),
        ("\n" + GOOD + "\n", True),
        ("<think>a</think><answer>b</answer>", True),
        ("<think>a</think>x<answer>b</answer>", False),
        ("<think>a</think><answer>b</answer>.", False),
        ("Sure! <think>a</think><answer>b</answer>", False),
        ("<think></think><answer>b</answer>", False),
        ("<think>a</think><answer> </answer>", False),
        ("<think>a<answer>b</answer>", False),
        ("<think>a</think><think>a</think><answer>b</answer>", False),
        ("<think>a <answer>c</answer></think><answer>b</answer>", False),
        ("<answer>b</answer><think>a</think>", False),
        ("", False),
    ],
)
def test_think_answer(response, well_formed):
    assert formats.think_answer(response) is well_formed


def test_users_verifier_and_its_mistakes():
    @register("test_shout")
    def shout(response, ground_truth, *, times: int = 1):
        return response == ground_truth.upper() * times

    assert verify("HIHI", "hi", "test_shout", times=2).status == "right"
    with pytest.raises(TypeError, match="times"):
        verify("HI", "hi", "test_shout", tmes=2)
    with pytest.raises(KeyError, match="no_such"):
        verify("HI", "hi", "no_such")
    with pytest.raises(ValueError, match="exists already"):
        register("math")(shout)


def test_names_list_the_built_in_verifiers():
    assert {"math", "choice", "number", "count", "yes_no", "text", "boxes", "point"} <= set(reward_fns.names())
