"""Our own hacker finds nothing to be paid for in the verifiers, and finds it in a reward that can be hacked."""

import pytest

from reward_fns.attack import attack, attack_function
from reward_fns.attack.golds import GOLDS
from specs_verl.cli import main

TRIES = 600


@pytest.mark.parametrize("verifier", sorted(GOLDS))
def test_nothing_is_paid_without_a_commitment(verifier):
    report = attack(verifier, TRIES, seed=11)
    assert report.tried == TRIES and report.distinct > TRIES / 2
    assert report.found == ()


def mentions(data_source, solution_str, ground_truth, extra_info=None):
    """A reward that can be hacked: the gold stands anywhere."""
    return {"score": float(ground_truth in solution_str)}


def whole(data_source, solution_str, ground_truth, extra_info=None):
    return float(solution_str == ground_truth)


def test_a_hackable_reward_function_is_found_out():
    report = attack_function(mentions, "number", TRIES, seed=11)
    assert report.paid > TRIES / 2
    assert any("or" in find.response and len(find.golds) > 1 for find in report.found)
    assert any("not" in find.response and len(find.golds) == 1 for find in report.found)
    assert attack_function(whole, "number", TRIES, seed=11).paid == 0


def test_the_command_says_how_many_were_tried(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def reward(source, text, gold, info=None):\n    return float(gold in text)\n")
    assert main(["reward", "attack", "--verifier", "yes_no", "--tries", "200", "--seed", "11"]) == 0
    assert "200 answers tried" in capsys.readouterr().out
    out = tmp_path / "finds.jsonl"
    command = ["reward", "attack", "--verifier", "number", "--tries", "50", "--function", f"{file}:reward"]
    assert main([*command, "--out", str(out)]) == 1
    assert out.read_text().count("\n") > 10
    assert main(["reward", "attack", "--verifier", "number", "--function", f"{file}:none"]) == 2
