"""The truth about reasoning: against hand-made cases, and wrong reasoning is always told from right."""

import random

import pytest

from data_prep.nano.corpus import HASTY_PHRASES
from data_prep.nano.questions import TASKS, ask, solve
from data_prep.nano.soundness import soundness, unsound

SUM = "d4; e7=11; f3=14."


@pytest.mark.parametrize(
    ("thought", "kind"),
    [
        (SUM, "sound"),
        (f"\n {SUM} ", "sound"),
        (f"{SUM} So 12.", "unsound"),
        ("d4; e7=11; g3=14.", "unsound"),
        ("d4; e7=12; f3=14.", "unsound"),
        ("d4; e7=11.", "unsound"),
        ("So 14.", "unsound"),
        ("", "none"),
        *((phrase, "none") for phrase in HASTY_PHRASES),
    ],
)
def test_by_hand(thought, kind):
    assert soundness(thought, SUM) == kind


@pytest.mark.parametrize("task", TASKS)
def test_wrong_reasoning_is_wrong_and_of_two_kinds(task):
    rng = random.Random(task)
    concluded = 0
    for _ in range(200):
        question = ask(task, rng)
        solution = solve(question.query, question.scene.cells)
        steps = unsound(question, solution, rng)
        assert soundness(steps, solution.steps) == "unsound"
        if steps.startswith(solution.steps):
            concluded += 1
            assert steps.removeprefix(solution.steps).startswith(" So ") and f" So {solution.answer}." not in steps
        else:
            # One letter differs: the name of a cell.
            differing = [i for i, (a, b) in enumerate(zip(steps, solution.steps, strict=True)) if a != b]
            assert len(differing) == 1 and {steps[differing[0]], solution.steps[differing[0]]} <= set("abcdefghi")
    assert 60 < concluded < 140  # half of 200, standard deviation 7
