"""Questions about nano scenes, each with its solution written out step by step.

    question = ask("sum", random.Random(0))
    question.text                                # Add the numbers in row 2.
    solve(question.query, question.scene.cells)  # Solution(steps='d4; e7=11; f3=14.', answer='14')

Five tasks, all with many possible answers, so that guessing eight times does not help much:

    sum       of the three numbers in a row or column                     25 answers
    product   of the numbers in two named cells                           36 answers
    combine   first times second plus (minus) third of three named cells  about 90 answers
    read      the digits of a row or column as one number                 729 answers
    spell     the shapes of a row or column by first letters              27 answers

The colours of a scene are never asked for: a model has to look past them.
``solve`` works on any cells, also on misread ones: that is how the corpus makes honest mistakes.
Not here: in which format an answer is written (formats.py) and how careful a writer is (corpus.py).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.nano.world import CELLS, SIDE, Cell, Scene, held_out, random_scene

TASKS = ("sum", "product", "combine", "read", "spell")


@dataclass(frozen=True)
class Query:
    """What is asked: the cells concerned (indices) and the operators between them."""

    task: str
    cells: tuple[int, ...]
    operators: str = ""  # between consecutive cells, applied from left to right


@dataclass(frozen=True)
class Solution:
    steps: str
    answer: str


@dataclass(frozen=True)
class Question:
    scene: Scene
    query: Query
    text: str
    answer: str


_LINES = {f"row {r + 1}": tuple(range(SIDE * r, SIDE * r + SIDE)) for r in range(SIDE)} | {
    f"column {c + 1}": tuple(range(c, SIDE * SIDE, SIDE)) for c in range(SIDE)
}


def _apply(operator: str, left: int, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def _running(cells: Sequence[Cell], where: Sequence[int], operators: str) -> Solution:
    """'d4; e7=11; f3=14.': each cell with its number, from the second on also the result so far."""
    value = cells[where[0]].digit
    steps = [f"{CELLS[where[0]]}{value}"]
    for index, operator in zip(where[1:], operators, strict=True):
        value = _apply(operator, value, cells[index].digit)
        steps.append(f"{CELLS[index]}{cells[index].digit}={value}")
    return Solution("; ".join(steps) + ".", str(value))


def _appended(looks: Sequence[tuple[str, str]]) -> Solution:
    """'b7; e9=79; h6=796.': each look at a cell, from the second on also the answer so far."""
    answer, steps = "", []
    for look, piece in looks:
        answer += piece
        steps.append(f"{look}={answer}" if len(answer) > 1 else look)
    return Solution("; ".join(steps) + ".", answer)


def solve(query: Query, cells: Sequence[Cell]) -> Solution:
    """Look at each cell that matters, compute on the way."""
    if query.task == "read":
        return _appended([(f"{CELLS[i]}{cells[i].digit}", str(cells[i].digit)) for i in query.cells])
    if query.task == "spell":
        return _appended([(f"{CELLS[i]} {cells[i].shape}", cells[i].shape[0].upper()) for i in query.cells])
    return _running(cells, query.cells, query.operators)


def _draft(task: str, rng: random.Random) -> tuple[Query, str, Scene]:
    """A query, its wording and a scene for it."""
    scene = random_scene(rng)
    if task in ("sum", "read", "spell"):
        line = rng.choice(list(_LINES))
        wording = {
            "sum": f"Add the numbers in {line}.",
            "read": f"Read the digits in {line} as one number.",
            "spell": f"Spell the first letters of the shapes in {line}.",
        }[task]
        return Query(task, _LINES[line], "++" if task == "sum" else ""), wording, scene
    where = tuple(rng.sample(range(len(CELLS)), 2 if task == "product" else 3))
    names = [CELLS[index] for index in where]
    if task == "product":
        return Query(task, where, "*"), f"Multiply {names[0]} by {names[1]}.", scene
    if task == "combine":
        operators = rng.choice(["*+", "*-"])
        verb = "plus" if operators[1] == "+" else "minus"
        return Query(task, where, operators), f"What is {names[0]} times {names[1]} {verb} {names[2]}?", scene
    raise ValueError(f"unknown nano task {task!r}; known: {', '.join(TASKS)}")


def ask(task: str, rng: random.Random, test: bool = False) -> Question:
    """A question on a scene of the test (or training) part of the world, with its true answer.

    Drafts are drawn until the scene lies in the wanted part and the answer is not negative.
    """
    while True:
        query, text, scene = _draft(task, rng)
        if held_out(scene) != test:
            continue
        answer = solve(query, scene.cells).answer
        if not answer.startswith("-"):
            return Question(scene, query, text, answer)
