"""Answers against an independent recomputation from the question's words; solutions of hand-made scenes."""

import random
import re
from collections import Counter

import pytest

from data_prep.nano.questions import TASKS, Query, Solution, ask, solve
from data_prep.nano.world import CELLS, Cell, held_out

GRID = [
    Cell("red", "circle", 4), Cell("blue", "square", 7), Cell("green", "triangle", 3),
    Cell("red", "square", 1), Cell("yellow", "circle", 9), Cell("blue", "circle", 2),
    Cell("green", "square", 8), Cell("red", "triangle", 6), Cell("yellow", "square", 5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "steps", "answer"),
    [
        (Query("sum", (0, 1, 2), "++"), "a4; b7=11; c3=14.", "14"),
        (Query("product", (4, 7), "*"), "e9; h6=54.", "54"),
        (Query("combine", (1, 8, 5), "*-"), "b7; i5=35; f2=33.", "33"),
        (Query("read", (1, 4, 7)), "b7; e9=79; h6=796.", "796"),
        (Query("spell", (0, 3, 6)), "a circle; d square=CS; g square=CSS.", "CSS"),
    ],
)
def test_solutions_by_hand(query, steps, answer):
    assert solve(query, GRID) == Solution(steps, answer)


def recompute(text: str, cells: list[Cell]) -> str:
    """The answer from the wording alone, written without looking at questions.py."""
    at = dict(zip("abcdefghi", cells, strict=True))
    if line := re.search(r"in (row|column) (\d)", text):
        number = int(line[2]) - 1
        members = [c for i, c in enumerate(cells) if (i // 3 if line[1] == "row" else i % 3) == number]
        if text.startswith("Add"):
            return str(sum(c.digit for c in members))
        if text.startswith("Read"):
            return str(int("".join(str(c.digit) for c in members)))
        return "".join(c.shape[0] for c in members).upper()
    if product := re.fullmatch(r"Multiply (\w) by (\w)\.", text):
        return str(at[product[1]].digit * at[product[2]].digit)
    first, second, word, third = re.fullmatch(r"What is (\w) times (\w) (plus|minus) (\w)\?", text).groups()
    return str(at[first].digit * at[second].digit + (1 if word == "plus" else -1) * at[third].digit)


@pytest.mark.parametrize("task", TASKS)
def test_answers_agree_with_an_independent_recomputation(task):
    rng = random.Random(task)
    for _ in range(300):
        question = ask(task, rng)
        assert question.answer == recompute(question.text, question.scene.cells), question
        assert solve(question.query, question.scene.cells).steps.endswith(".")


@pytest.mark.parametrize("task", TASKS)
def test_steps_look_only_at_cells_that_matter(task):
    question = ask(task, random.Random(5))
    steps = solve(question.query, question.scene.cells).steps
    looked_at = [CELLS.index(name) for name in re.findall(r"(?:^|; )([a-i])", steps)]
    assert looked_at == list(question.query.cells)


@pytest.mark.parametrize("task", TASKS)
def test_many_possible_answers(task):
    rng = random.Random(1)
    answers = Counter(ask(task, rng).answer for _ in range(2000))
    assert len(answers) >= 20
    # Always giving the most frequent answer is a poor strategy.
    assert answers.most_common(1)[0][1] / 2000 < 0.12


def test_train_and_test_questions_are_on_different_scenes():
    rng = random.Random(2)
    for task in TASKS:
        assert not any(held_out(ask(task, rng).scene) for _ in range(100))
        assert all(held_out(ask(task, rng, test=True).scene) for _ in range(20))


def test_unknown_task_names_the_known_ones():
    with pytest.raises(ValueError, match="sum, product"):
        ask("nonsense", random.Random(0))
