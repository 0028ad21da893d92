"""Pairs from nano-world samples, judged by an oracle that shares no code with reward_fns (nano_oracle.py).

The samples are written by the same kinds of writers as the base model's corpus: careful ones with slips, hasty ones who
guess, in the asked form or with one of the five corruptions.
"""

import random

import pytest

from data_prep import nano
from data_prep.nano import formats
from data_prep.nano.data import questions
from data_prep.nano.formats import THINK_ANSWER, Slip, respond
from data_prep.nano.questions import ask, solve
from data_prep.nano.world import KINDS
from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.corrupt import KINDS as CORRUPTIONS

from . import building, nano_oracle

N_ROWS, N_SAMPLES = 700, 4


def written(question, rng, careful, obedient):
    """One response: reasoning with a slip in one cell of thirty, or a guess; in the asked form or corrupted."""
    if rng.random() < careful:
        cells = [rng.choice(KINDS) if rng.random() < 0.03 else cell for cell in question.scene.cells]
        solution = solve(question.query, cells)
        steps, answer = solution.steps, solution.answer
    else:
        guess = question if rng.random() < 0.12 else ask(question.query.task, rng)
        steps, answer = "Quick guess.", guess.answer
    slip = Slip() if rng.random() < obedient else rng.choice(formats.CORRUPTIONS)
    return respond(THINK_ANSWER, steps, answer, slip)


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    """Questions, prompts' file and pairs, drawn with 40 % of the base's and 97 % of the zero model's form right."""
    folder = tmp_path_factory.mktemp("nano")
    asked = questions(N_ROWS, seed=0, test=False)
    prompts = str(nano.write_data(folder, n_train=N_ROWS, n_test=6, seed=0)["train"])
    rng = random.Random(5)
    samples = {
        name: [[written(question, rng, *rates) for _ in range(N_SAMPLES)] for question in asked]
        for name, rates in (("zero", (0.8, 0.97)), ("base", (0.5, 0.4)))
    }
    runs = [building.write_run(folder / name, prompts, samples[name], rows_per_shard=128) for name in ("zero", "base")]
    results = {}
    for kind in ("decoupled", "coupled"):
        report = distill(Distillation((prompts,), *runs, str(folder / kind), Pairing(kind=kind), workers=1))
        results[kind] = (report, building.read(folder / kind / "pairs.parquet"))
    return asked, results


def right(row, side, asked):
    """Whether the oracle finds a side of a pair right."""
    question = asked[row["extra_info"]["index"]]
    assert question.text == row["extra_info"]["question"]
    return nano_oracle.stated(row[side]) == nano_oracle.true_answer(question.text, question.scene.cells)


def test_the_oracle_knows_the_tasks(distilled):
    asked, _ = distilled
    assert {question.query.task for question in asked} == {"sum", "product", "combine", "read", "spell"}
    assert all(nano_oracle.true_answer(q.text, q.scene.cells) == q.answer for q in asked)


def test_decoupled_pairs_are_right_on_both_sides(distilled):
    asked, results = distilled
    _, rows = results["decoupled"]
    both = sum(right(row, "chosen", asked) and right(row, "rejected", asked) for row in rows)
    assert len(rows) > 400 and both >= 0.95 * len(rows), f"{both} of {len(rows)}"
    assert {row["extra_info"]["task"] for row in rows} == {q.query.task for q in asked}


def test_coupled_pairs_are_right_on_one_side(distilled):
    asked, results = distilled
    _, rows = results["coupled"]
    one = sum(right(row, "chosen", asked) and not right(row, "rejected", asked) for row in rows)
    assert len(rows) > 400 and one >= 0.95 * len(rows), f"{one} of {len(rows)}"


@pytest.mark.parametrize("kind", ["decoupled", "coupled"])
def test_sides_differ_in_form_and_corruptions_are_balanced(distilled, kind):
    report, rows = distilled[1][kind]
    for row in rows:
        assert row["chosen"] != row["rejected"]
        assert nano_oracle.well_formed(row["chosen"]) and not nano_oracle.well_formed(row["rejected"])
    assert set(report["corruptions"]) == set(CORRUPTIONS)
    for corruption, count in report["corruptions"].items():
        assert 0.17 <= count / len(rows) <= 0.23, f"{corruption}: {count} of {len(rows)}"
        assert count == sum(row["corruption"] == corruption for row in rows)


def test_the_card_tells_careful_from_hasty_writers(distilled):
    report, rows = distilled[1]["decoupled"]
    chosen, rejected = report["reasoning"]["soundness"]
    # The chosen source is careful in 80 % of its samples and hasty ones are right in 12 %: hasty among the right ones
    # about 0.2 * 0.12 / 0.8 = 3 %; of the rejected source 0.5 * 0.12 / 0.5 = 12 %.
    assert sum(chosen.values()) == sum(rejected.values()) == len(rows)
    assert chosen.get("none", 0) / len(rows) < 0.08 < rejected["none"] / len(rows) < 0.2
    for row in rows:
        assert (row["rejected_soundness"] == "none") == ("Quick guess." in row["rejected"])
