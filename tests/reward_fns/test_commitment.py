"""What a policy must not be paid for, and what it must: committed and uncommitted answers, one JSON line each.

``right`` says whether the response earns its gold, through plain ``verify``. Most lines come twice, bare and in an
answer block, since both readings must agree on them.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from reward_fns import compute_score, verify, verify_batch
from reward_fns.verdict import CallError

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "commitment.jsonl").read_text(encoding="utf-8").splitlines()
]


def by_reason():
    groups = defaultdict(list)
    for row in ROWS:
        groups[f"{row['verifier']}: {row['why']}"].append(row)
    return [pytest.param(group, id=name) for name, group in groups.items()]


@pytest.mark.parametrize("group", by_reason())
def test_only_committed_answers_are_right(group):
    verdicts = verify_batch([(row["response"], row["gold"], row["verifier"], row.get("params", {})) for row in group])
    failed = [
        (row["response"], row["gold"], verdict)
        for row, verdict in zip(group, verdicts, strict=True)
        if (verdict.status == "right") != row["right"]
    ]
    assert not failed


def test_there_are_enough_cases_of_both_kinds():
    assert len(ROWS) > 500
    assert sum(row["right"] for row in ROWS) > 100


def test_strict_needs_a_region_and_lenient_reads_past_it():
    assert verify("The answer is 12.", "12", "number", reading="strict").status == "no_answer"
    assert verify("<answer>12 or 13</answer> The answer is 12.", "12", "number").status == "no_answer"
    assert verify("The total is 12.\n<answer></answer>", "12", "number").status == "no_answer"
    assert verify("The total is 12.\n<answer></answer>", "12", "number", reading="lenient").status == "right"


@pytest.mark.parametrize("verifier", ["math", "number", "count", "choice", "yes_no", "text", "sequence", "set", "dict"])
def test_every_verifier_of_text_knows_the_readings_and_no_other(verifier):
    gold = {"choice": "B", "yes_no": "yes", "dict": '{"a": 1}'}.get(verifier, "12")
    for reading in ("auto", "strict", "lenient"):
        assert verify(f"<answer>{gold}</answer>", gold, verifier, reading=reading).status == "right"
    with pytest.raises(CallError, match="reading must be one of auto, strict, lenient"):
        verify("12", gold, verifier, reading="loose")


def test_a_row_or_a_configuration_chooses_the_reading():
    response = "The answer is 12."
    strict_row = {"verifier": "number", "params": {"reading": "strict"}}
    assert compute_score("", response, "12", {"verifier": "number"})["status"] == "right"
    assert compute_score("", response, "12", strict_row)["status"] == "no_answer"
    assert compute_score("", response, "12", {"verifier": "number"}, reading="strict")["status"] == "no_answer"
    assert compute_score("", response, "12", strict_row, reading="lenient")["status"] == "no_answer"  # the row's own


def test_the_question_of_a_row_is_used():
    response, row = "The function first reaches 2 when the input is 1.", {"verifier": "number"}
    asked = {**row, "question": "For which input does the function first reach 2?"}
    assert compute_score("", response, "2", asked)["status"] == "wrong"
    assert compute_score("", response, "1", asked)["status"] == "right"


def test_containing_a_gold_is_no_reward():
    assert verify("a red car", "red", "text", metric="contains").status == "right"
    with pytest.raises(CallError, match="lists of guesses"):
        compute_score("", "a red car", "red", {"verifier": "text", "params": {"metric": "contains"}})


def test_two_guesses_for_one_box_cost():
    gold, both = [[0, 0, 10, 10]], "[[0,0,10,10],[50,50,60,60]]"
    assert verify(both, gold, "boxes")[:2] == ("wrong", 0.5)
    for metric in ("recall", "ap", "count"):
        assert verify(both, gold, "boxes", metric=metric).score <= 0.5  # times the precision, 1 of 2
        assert verify("[[0,0,10,10]]", gold, "boxes", metric=metric)[:2] == ("right", 1.0)
