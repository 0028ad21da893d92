"""The parquet files: verl's row schema, the same bytes again, train and test apart, gradable rows."""

import io
import json
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.nano import write_data
from data_prep.nano.data import questions
from data_prep.nano.formats import FAMILIES, THINK_ANSWER, complies, instruction, parse, respond
from data_prep.nano.questions import TASKS
from data_prep.nano.world import draw, held_out
from reward_fns import verify


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    paths = write_data(tmp_path_factory.mktemp("nano"), n_train=60, n_test=60, seed=3)
    return {split: pq.read_table(path).to_pylist() for split, path in paths.items()}


def test_row_schema(files):
    assert {split: len(rows) for split, rows in files.items()} == {"train": 60, "test": 60, "ood": 60}
    for split, rows in files.items():
        assert len({row["extra_info"]["id"] for row in rows}) == len(rows)
        for index, row in enumerate(rows):
            (turn,) = row["prompt"]
            assert turn["role"] == "user" and turn["content"].count("<image>") == len(row["images"]) == 1
            assert row["reward_model"]["style"] == "rule"
            assert row["extra_info"]["split"] == split and row["extra_info"]["index"] == index
            assert {k: row["extra_info"][k] for k in ("verifier", "params")} == {
                k: row["reward_model"][k] for k in ("verifier", "params")
            }


def test_images_are_the_drawn_scenes(files):
    asked = questions(60, seed=3, test=False)
    for row, question in zip(files["train"], asked, strict=True):
        picture = Image.open(io.BytesIO(row["images"][0]["bytes"]))
        assert np.array_equal(np.asarray(picture), np.asarray(draw(question.scene)))


def test_ground_truths_are_graded_right_and_others_wrong(files):
    for row in files["test"]:
        model = row["reward_model"]
        params = json.loads(model["params"])
        right = respond(THINK_ANSWER, "Easy.", model["ground_truth"])
        wrong = respond(THINK_ANSWER, "Easy.", "QQQ" if model["verifier"] == "text" else model["ground_truth"] + "1")
        assert verify(right, model["ground_truth"], model["verifier"], **params).status == "right"
        assert verify(wrong, model["ground_truth"], model["verifier"], **params).status == "wrong"


def test_formats_of_the_splits(files):
    for split in ("train", "test"):
        assert all(row["prompt"][0]["content"].endswith(instruction(THINK_ANSWER)) for row in files[split])
        assert {row["data_source"] for row in files[split]} == {f"nano_{task}" for task in TASKS}
    # 60 rows = 12 rounds of 5 tasks: each of the 6 families meets each task twice.
    seen = Counter((row["data_source"], row["extra_info"]["task"]) for row in files["ood"])
    assert seen == {(f"nano_ood_{family}", task): 2 for family in FAMILIES for task in TASKS}
    for row in files["ood"]:
        form = parse(row["extra_info"]["format"])
        assert row["prompt"][0]["content"].endswith(" " + instruction(form)) and form != THINK_ANSWER
        assert form.answer_first == (row["data_source"] == "nano_ood_answer_first")
        assert complies(row["extra_info"]["format"], respond(form, "Easy.", row["reward_model"]["ground_truth"]))


def test_rows_hold_the_true_reasoning(files):
    asked = questions(60, seed=3, test=True)
    for split in ("test", "ood"):
        for row, question in zip(files[split], asked, strict=True):
            solution = row["extra_info"]["solution"]
            # Every look of the solution is at a cell of the scene; the last value is the ground truth.
            for name, digit in re.findall(r"\b([a-i])(\d)", solution):
                assert question.scene.cells["abcdefghi".index(name)].digit == int(digit)
            assert re.fullmatch(rf".*[= ]{row['reward_model']['ground_truth']}\.", solution)


def test_deterministic_by_seed_and_nothing_left_behind(tmp_path):
    one = write_data(tmp_path / "one", 12, 12, seed=1)
    two = write_data(tmp_path / "two", 12, 12, seed=1)
    other = write_data(tmp_path / "other", 12, 12, seed=2)
    for split in one:
        assert pq.read_table(one[split]).equals(pq.read_table(two[split]))
        assert not pq.read_table(one[split]).equals(pq.read_table(other[split]))
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "ood.parquet",
        "test.parquet",
        "train.parquet",
    ]


def test_train_and_test_share_no_scene_whatever_the_seed():
    train = {q.scene.kinds for seed in (0, 1) for q in questions(500, seed, test=False)}
    test = {q.scene.kinds for seed in (0, 1) for q in questions(300, seed, test=True)}
    assert not train & test
    assert all(held_out(q.scene) for q in questions(50, 0, test=True))


def test_more_rows_extend_fewer_rows():
    assert questions(40, 7, test=True)[:20] == questions(20, 7, test=True)
