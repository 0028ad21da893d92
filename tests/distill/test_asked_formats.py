"""Pairs whose prompts ask for other formats: well formed there, rejected elsewhere, and never what is evaluated."""

import argparse
import inspect
import random
import re
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import nano
from data_prep.nano import formats
from data_prep.nano.data import questions
from data_prep.nano.formats import CORRUPTIONS, THINK_ANSWER, Slip, respond
from data_prep.nano.names import DRILLED, FILLER, PAIR_NAMES, TEST_NAMES
from data_prep.nano.questions import solve
from reward_fns.formats import think_answer
from specs_verl.distill import Distillation, Pairing, cli, distill
from specs_verl.errors import UserError
from specs_verl.formats.registry import FORMATS, PAIR_FORMATS, for_training
from specs_verl.formats.reward import compute_score

from . import building, nano_oracle

N_ROWS = 160
TAG = re.compile(r"</?([a-z_]+)>")


@pytest.fixture(scope="module")
def nano_pairs(tmp_path_factory):
    """Right answers of every nano question, the base's half badly formed; three pairs in four ask for other names."""
    folder = tmp_path_factory.mktemp("formats")
    asked = questions(N_ROWS, seed=0, test=False)
    prompts = str(nano.write_data(folder, n_train=N_ROWS, n_test=6, seed=0)["train"])
    rng = random.Random(1)
    written = {"zero": [], "base": []}
    for question in asked:
        steps, answer = solve(question.query, question.scene.cells).steps, question.answer
        slip = rng.choice(CORRUPTIONS) if rng.random() < 0.5 else Slip()
        written["zero"].append([respond(THINK_ANSWER, steps, answer)])
        written["base"].append([respond(THINK_ANSWER, steps, answer, slip)])
    runs = [building.write_run(folder / name, prompts, written[name], rows_per_shard=64) for name in written]
    pairing = Pairing(formats=("pair_names",), formats_share=0.75)
    report = distill(Distillation((prompts,), *runs, str(folder / "pairs"), pairing, workers=1))
    return asked, report, building.read(folder / "pairs" / "pairs.parquet"), folder / "pairs" / "README.md"


def test_three_pairs_in_four_ask_for_other_names_of_the_tags(nano_pairs):
    asked, report, rows, card = nano_pairs
    others = [row for row in rows if row["asked_format"] != "think_answer"]
    # 160 draws with p = 0.75: standard deviation 5.5, four of them on each side.
    assert len(rows) == N_ROWS and 98 <= len(others) <= 142
    assert report["asked_formats"] == {"think_answer": N_ROWS - len(others), "pair_names": len(others)}
    assert f"| pair_names | {len(others)} |" in card.read_text()
    for row in others:
        question, form = asked[row["row"]], formats.parse(row["asked_format"])
        assert row["prompt"][-1]["content"] == formats.prompt(question.text, form)
        assert row["extra_info"]["format"] == row["asked_format"]
        assert formats.complies(form, row["chosen"]) and not formats.complies(form, row["rejected"])
        for side in ("chosen", "rejected"):
            assert nano_oracle.stated(row[side]) == question.answer


def test_the_rejected_response_is_in_another_format_as_often_as_in_none(nano_pairs):
    _, _, rows, _ = nano_pairs
    kinds = Counter(row["corruption"] == "other_format" for row in rows if row["asked_format"] != "think_answer")
    assert abs(kinds[True] - kinds[False]) <= 1
    elsewhere = [row["rejected"] for row in rows if row["corruption"] == "other_format"]
    trained = sum(map(think_answer, elsewhere))
    assert 0 < trained < len(elsewhere)
    names = "|".join(PAIR_NAMES)
    others = re.compile(rf"<({names})>[^<]+</\1><(?!\1)({names})>[^<]+</\2>")
    assert all(think_answer(text) or others.fullmatch(text) for text in elsewhere)


def test_pairs_in_the_trained_format_are_those_that_would_be_there_anyway(nano_pairs):
    _, _, rows, _ = nano_pairs
    for row in rows:
        if row["asked_format"] == "think_answer":
            assert think_answer(row["chosen"]) and not think_answer(row["rejected"])
            assert "<think> </think>" in row["prompt"][-1]["content"]


def test_no_name_of_the_evaluation_is_in_any_pair(nano_pairs):
    _, _, rows, _ = nano_pairs
    found = {tag for row in rows for text in (row["prompt"][-1]["content"], row["chosen"], row["rejected"])
             for tag in TAG.findall(text)}  # fmt: skip
    assert found == {"image", "think", "answer", *PAIR_NAMES}
    assert not set(PAIR_NAMES) & {*TEST_NAMES, *DRILLED, *FILLER}
    for family in formats.FAMILIES:
        rng = random.Random(0)
        for _ in range(200):
            name = formats.draw_format(family, rng)
            assert not set(PAIR_NAMES) & set(name.split(":")[1:])
            with pytest.raises(UserError, match="No output format is called"):
                for_training([name])
    with pytest.raises(ValueError, match="no output format"):
        formats.parse("pair_names:notes:output")


@pytest.fixture
def hand_made(tmp_path):
    """Eighty rows of numbers whose prompts ask for the trained format, and right samples of them."""
    instruction = "Reason inside <think> </think>, then give the final answer inside <answer> </answer>."
    rows = [building.row(index, 10 + index) for index in range(80)]
    for row in rows:
        row["prompt"][0]["content"] += " " + instruction
    prompts = str(tmp_path / "prompts.parquet")
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    texts = {"zero": building.whole, "base": lambda value, _: building.bare(value)}
    runs = [
        building.write_run(tmp_path / name, prompts, [[text(10 + i, 10 + i)] for i in range(80)])
        for name, text in texts.items()
    ]
    return prompts, runs


def test_any_data_set_asks_for_the_other_formats_by_its_instruction(hand_made, tmp_path):
    prompts, runs = hand_made
    pairing = Pairing(formats=PAIR_FORMATS, formats_share=1.0)
    distill(Distillation((prompts,), *runs, str(tmp_path / "pairs"), pairing, workers=1))
    rows = building.read(tmp_path / "pairs" / "pairs.parquet")
    assert len(rows) == 80 and {row["asked_format"] for row in rows} == set(PAIR_FORMATS)
    assert {row["corruption"] for row in rows} == {"other_format", "unmarked"}
    for row in rows:
        form, truth = FORMATS[row["asked_format"]], str(10 + row["row"])
        assert form.read(row["chosen"]) == truth and form.read(row["rejected"]) is None
        assert truth in row["rejected"]
        assert row["prompt"][0]["content"] == f"<image>Question {row['row']}?\n{form.instruction}"


def run_recipe(prompts, runs, tmp_path, *more):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    given = ["--prompts", prompts, "--zero-samples", runs[0], "--base-samples", runs[1], "--out", tmp_path / "out"]
    return cli.run(parser.parse_args([str(part) for part in (*given, "--recipe", "formats", "--quiet", *more)]))


def test_formats_of_the_evaluation_are_refused(hand_made, tmp_path):
    held_out = tmp_path / "ood.parquet"
    row = building.row(3, 13)
    row["extra_info"]["format"] = "json_object"
    pq.write_table(pa.Table.from_pylist([row]), held_out)
    with pytest.raises(UserError, match="row 0 asks for the format json_object, and so would training"):
        run_recipe(*hand_made, tmp_path, "--held-out", held_out)
    assert run_recipe(*hand_made, tmp_path, "--held-out", held_out, "--formats", "result_tag", "boxed_only") == 0
    asked = {row["asked_format"] for row in building.read(tmp_path / "out" / "pairs.parquet")}
    assert asked == {"think_answer", "result_tag", "boxed_only"}


def test_prompts_without_an_instruction_are_refused_before_anything_is_done(tmp_path):
    prompts = building.write_prompts(tmp_path / "bare.parquet", 20)
    with pytest.raises(UserError, match="no format instruction found in the prompt '<image>Question 0"):
        run_recipe(prompts, ("zero", "base"), tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="No output format is called 'morse'"):
        run_recipe(prompts, ("zero", "base"), tmp_path, "--formats", "morse")


def test_the_reward_of_a_prompt_is_that_of_its_format():
    grading = {"verifier": "number", "params": "{}"}
    asked = {"format": "pair_names:plan:final", **grading}
    obeyed = r"<plan> 3+4=7.</plan><final> The answer is $\boxed{7}$</final>"
    habit = r"<think> 3+4=7.</think><answer> The answer is $\boxed{7}$</answer>"
    scores = {text: compute_score("nano", text, "7", asked) for text in (obeyed, habit)}
    # Weights of Metis-SPECS: 1 for the answer, 0.5 for the form.
    assert (scores[obeyed]["score"], scores[habit]["score"]) == (1.5, 1.0)
    assert compute_score("nano", habit, "7", {"format": "think_answer", **grading})["score"] == 1.5
    assert compute_score("nano", obeyed, "7", {"format": "think_answer", **grading})["score"] == 1.0


def test_a_long_response_is_punished_for_its_own_length_in_any_format():
    asked = {"format": "pair_names:plan:final", "verifier": "number", "params": "{}"}
    text = r"<plan> 3+4=7.</plan><final> The answer is $\boxed{7}$</final>"
    rule = {"max_length": 100, "overlong_buffer": 50}
    # 1.5 for answer and form; 75 tokens are 25 of 50 over the bound of 100 - 50, its 61 characters 11 of 50.
    assert len(text) == 61
    assert compute_score("nano", text, "7", asked, combination=rule, response_length=75)["score"] == pytest.approx(1.0)
    assert compute_score("nano", text, "7", asked, combination=rule)["score"] == pytest.approx(1.5 - 11 / 50)
    # verl's manager passes length and progress only to a function that names them.
    assert {"response_length", "progress"} <= set(inspect.signature(compute_score).parameters)
