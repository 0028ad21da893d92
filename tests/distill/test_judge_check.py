"""Precision and recall of the judges: on hand-counted responses, and on a run with a known number of unsound ones."""

import random
import sys
from pathlib import Path

import pytest

from data_prep import nano
from data_prep.nano.data import questions
from data_prep.nano.formats import THINK_ANSWER, respond
from data_prep.nano.questions import solve
from data_prep.nano.soundness import unsound
from specs_verl.distill import judge_check
from specs_verl.distill.judge_check import count, score
from specs_verl.errors import UserError
from specs_verl.sampling.store import SampleRun

from . import building


def test_precision_and_recall_by_hand():
    counts = {
        ("supports", "sound"): 60, ("supports", "unsound"): 5, ("silent", "sound"): 10, ("silent", "unsound"): 3,
        ("silent", "none"): 12, ("contradicts", "unsound"): 8, ("contradicts", "sound"): 2,
    }  # fmt: skip
    rule, strict = score("rule", counts), score("strict", counts)
    # rule flags 8 + 2, of which 8 are unsound; there are 5 + 3 + 8 = 16 unsound ones
    assert (rule.precision, rule.recall) == (8 / 10, 8 / 16)
    # strict flags the 25 silent ones too
    assert (strict.precision, strict.recall) == (11 / 35, 11 / 16)
    assert score("none", counts).precision is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Right answers with: the solution, a guess, a wrong conclusion, a wrong cell; and one that is not well formed."""
    folder = tmp_path_factory.mktemp("judge")
    prompts = nano.write_data(folder, n_train=40, n_test=5, seed=0)["train"]
    rng, responses = random.Random(0), []
    for question in questions(40, 0, test=False):
        solution = solve(question.query, question.scene.cells)
        kinds = {}
        while len(kinds) < 2:
            steps = unsound(question, solution, rng)
            kinds[steps.startswith(solution.steps)] = steps
        texts = [solution.steps, "Quick guess.", kinds[True], kinds[False]]
        responses.append([respond(THINK_ANSWER, steps, question.answer) for steps in texts])
        responses[-1].append(f"{kinds[True]} {question.answer}")
    return building.write_run(folder / "zero", str(prompts), responses, rows_per_shard=16), prompts


def test_the_rule_sees_wrong_conclusions_and_no_wrong_cells(run):
    counts = count(SampleRun(Path(run[0])), run[1])
    assert sum(counts.values()) == 4 * 40  # the fifth response is not well formed
    rule = score("rule", counts)
    # It flags the forty wrong conclusions and nothing else: half of what is unsound.
    assert rule.flagged == {"sound": 0, "unsound": 40, "none": 0}
    assert (rule.precision, rule.recall) == (1.0, 0.5)
    strict = score("strict", counts)
    assert strict.flagged["none"] == 40 and strict.flagged["unsound"] >= 40


def test_other_data_are_refused(run, tmp_path):
    other = nano.write_data(tmp_path, n_train=40, n_test=5, seed=1)["train"]
    with pytest.raises(UserError, match="other data"):
        count(SampleRun(Path(run[0])), other)


def test_the_command_prints_a_table_and_refuses_in_one_sentence(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["judge_check", "--samples", run[0], "--prompts", str(run[1])])
    assert judge_check.main() == 0
    assert "50.0 %" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["judge_check", "--samples", str(tmp_path), "--prompts", str(run[1])])
    assert judge_check.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
