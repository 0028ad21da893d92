"""Every published layout becomes sound rows of ours, graded and prompted as the method wants it."""

import json

import published
import pyarrow as pa
import pytest
from published import IMAGE, IMAGES, TEXT, cell, orsta, parquet, png, rows_of, virl

from data_prep import doctor, schema
from data_prep.convert import convert
from data_prep.prompts import PROMPTS
from data_prep.sets import SETS
from data_prep.sets.generic import read_mapping
from reward_fns import compute_score
from specs_verl.errors import UserError


def converted(name, source, out, **settings):
    report = convert(SETS[name], source, out, **settings)
    for split in report.written:
        assert schema.validate(out / f"{split}.parquet") == report.written[split]
        assert doctor.examine(out / f"{split}.parquet").broken == {}
    return report


BOXES = [{"bbox_2d": [100, 200, 500, 600], "label": "cat"}, {"bbox_2d": [0, 0, 250, 1000], "label": "driver's dog"}]
RATIO = {"iou_max_label_first": 1.0, "iou_max_iou_first": 0.0, "iou_completeness": 0.3, "map": 0.0, "map50": 0.0}


def test_orsta(tmp_path):
    rows = [
        orsta("<image>How long is AB?", r"\boxed{4}", images=[cell(1)]),
        orsta(
            "<image>Find the animals.",
            f"<answer>\n{json.dumps(BOXES)}\n</answer>",
            verifier="detection",
            ability="detection",
            images=[cell(2, (100, 50))],
            ratio=RATIO,
            normalized=True,
        ),
        orsta("<image>Which?\nA. left\nB. right", r"\boxed{B}", ability="puzzle", images=[cell(3)]),
        orsta("<image>?", "magic", verifier="magic", images=[cell(4)]),
    ]
    parquet(tmp_path / "in" / "data" / "train-00000-of-00001.parquet", rows, published.ORSTA)
    parquet(tmp_path / "in" / "data" / "test-00000-of-00001.parquet", rows[:1], published.ORSTA)
    report = converted("orsta", tmp_path / "in", tmp_path / "out")
    assert report.written == {"train": 3, "test": 1} and report.left_out == {"unknown verifier": 1}
    plain, boxes, choice = rows_of(tmp_path / "out" / "train.parquet")
    assert plain["prompt"] == [
        {"role": "system", "content": PROMPTS["specs"].system},
        {"role": "user", "content": "<image>How long is AB?"},
    ]
    assert plain["images"] == [cell(1)]
    assert (plain["data_source"], plain["ability"]) == ("orsta", "math")
    assert (plain["reward_model"]["ground_truth"], plain["reward_model"]["verifier"]) == ("4", "math")
    assert plain["extra_info"]["licence"] == "MIT" and plain["extra_info"]["source"] == "mm_math"
    assert choice["reward_model"]["verifier"] == "choice"
    assert json.loads(choice["extra_info"]["params"]) == {"options": ["left", "right"]}
    # Gold boxes run from 0 to 1000. The model sees 100 x 50 pixels as 112 x 56, both multiples of 28.
    assert json.loads(boxes["reward_model"]["ground_truth"]) == BOXES
    params = json.loads(boxes["extra_info"]["params"])
    assert (params["gold_scale"], params["size"]) == (1000, [112, 56])
    assert params["det_reward_ratio"] == RATIO, "float32 shares are shares again"
    # 112 / 1000 and 56 / 1000 bring the first box to these pixels; the second one is missing: 0.6 for the count,
    # half of the overlap, completeness 1 - (0.5 + 0) / 2 = 0.75.
    response = '<answer>[{"bbox_2d": [11.2, 11.2, 56, 33.6], "label": "cat"}]</answer>'
    score = compute_score("orsta", response, boxes["reward_model"]["ground_truth"], boxes["extra_info"])
    assert score["acc"] == pytest.approx(0.6 * (0.7 * 0.5 + 0.3 * 0.75))


def test_orsta_for_models_that_state_shares_of_1000(tmp_path):
    row = orsta("<image>Find it.", json.dumps(BOXES), "detection", "detection", [cell(1)], RATIO, True)
    parquet(tmp_path / "train.parquet", [row], published.ORSTA)
    converted("orsta", tmp_path / "train.parquet", tmp_path / "out", pixels=False)
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert "size" not in json.loads(row["extra_info"]["params"])


def test_virl39k_with_images_beside_it_and_questions_without(tmp_path):
    for name in "abc":
        (tmp_path / "in" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "images" / f"{name}.png").write_bytes(png(ord(name)))
    rows = [
        virl("<image>How many?", r"\boxed{12}", ["images/a.png"]),
        virl("<image><image>Which one is symmetric?", r"\boxed{left}", ["images/b.png", "images/c.png"], "q2"),
        virl("What is 1 + 1?", r"\boxed{2}", [], "q3", rates=(-1.0, -1.0)),
        virl("<image>?", r"\boxed{2}", ["images/gone.png"], "q4"),
        virl("<image>?", "", ["images/a.png"], "q5"),
        virl("<image>?", r"\boxed{2}", ["images/a.png", "images/b.png"], "q6"),
    ]
    parquet(tmp_path / "in" / "39Krelease.parquet", rows)
    report = converted("virl39k", tmp_path / "in", tmp_path / "out")
    assert report.written == {"train": 3}
    assert report.left_out == {"image file missing": 1, "no answer": 1, "placeholders and images differ": 1}
    one, two, three = rows_of(tmp_path / "out" / "train.parquet")
    assert [image["bytes"] for image in two["images"]] == [png(ord("b")), png(ord("c"))]
    assert three["images"] == [] and three["prompt"][-1]["content"] == "What is 1 + 1?"
    assert (one["extra_info"]["id"], one["extra_info"]["pass_rate"]) == ("q1", 0.25)
    assert three["extra_info"]["pass_rate"] is None
    assert two["reward_model"]["verifier"] == "text"


WORKED = r"The triangle has three sides. <think>3</think> So the answer is \boxed{3}."


def test_multimodal_cold_start_becomes_supervised_data(tmp_path):
    rows = [
        {"problem": "<image>How many sides?", "answer": WORKED, "images": [cell(1)]},
        {"problem": "<image>How many?", "answer": "No idea.", "images": [cell(2)]},
    ]
    parquet(tmp_path / "train.parquet", rows, pa.schema([("problem", TEXT), ("answer", TEXT), ("images", IMAGES)]))
    report = converted("multimodal_cold_start", tmp_path / "train.parquet", tmp_path / "out")
    assert report.left_out == {"no boxed answer": 1}
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    question = "<image>How many sides?\nPlease reason step by step, and put your final answer within \\boxed{}."
    assert row["messages"] == [{"role": "user", "content": question}, {"role": "assistant", "content": WORKED}]
    assert row["prompt"] == row["messages"][:1] and row["reward_model"]["ground_truth"] == "3"


@pytest.mark.parametrize("name", ["multimodal_rl", "geometry3k"])
def test_problem_answer_images(tmp_path, name):
    rows = [{"problem": "Find x.", "answer": r"\frac { 1 } { 3 }", "images": [cell(1)]}]
    columns = pa.schema([("problem", TEXT), ("answer", TEXT), ("images", IMAGES)])
    parquet(tmp_path / "train-00000-of-00001.parquet", rows, columns)
    parquet(tmp_path / "validation-00000-of-00001.parquet", rows, columns)
    assert converted(name, tmp_path, tmp_path / "out").written == {"train": 1, "validation": 1}
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert row["prompt"][-1]["content"].startswith("<image>Find x."), "a missing placeholder is put in"
    assert row["extra_info"]["id"] == f"{name}-train-0"
    assert len(row["prompt"]) == (1 if name == "multimodal_rl" else 2)


def test_mmk12(tmp_path):
    rows = [
        {
            "id": "7",
            "question": "<image>Which gas?\nA. He\nB. Ne",
            "answer": "B",
            "subject": "chemistry",
            "image": cell(1),
        }
    ]
    columns = pa.schema([(name, TEXT) for name in ("id", "question", "answer", "subject")] + [("image", IMAGE)])
    parquet(tmp_path / "test-00000-of-00001.parquet", rows, columns)
    assert converted("mmk12", tmp_path, tmp_path / "out").written == {"test": 1}
    (row,) = rows_of(tmp_path / "out" / "test.parquet")
    assert (row["extra_info"]["category"], row["extra_info"]["id"]) == ("chemistry", "7")
    assert row["reward_model"]["verifier"] == "choice"


def test_thinklite_with_choices_apart(tmp_path):
    rows = [
        {"id": "a", "problem": "<image>Which?", "ground_truth": "A", "choices": ["red", "blue"], "image": cell(1)},
        {"id": "b", "problem": "<image>How many?", "ground_truth": "3", "choices": None, "image": cell(2)},
    ]
    parquet(tmp_path / "train.parquet", rows)
    assert converted("thinklite", tmp_path, tmp_path / "out").written == {"train": 2}
    choice, number = rows_of(tmp_path / "out" / "train.parquet")
    assert json.loads(choice["extra_info"]["params"]) == {"options": ["red", "blue"]}
    assert number["reward_model"]["verifier"] == "math"


def test_clevr_counting(tmp_path):
    rows = [{"image": cell(1), "problem": "How many items are there?", "solution": "<answer> 3 </answer>"}]
    parquet(tmp_path / "train.parquet", rows)
    assert converted("clevr_counting", tmp_path, tmp_path / "out").written == {"train": 1}
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert (row["reward_model"]["ground_truth"], row["reward_model"]["verifier"]) == ("3", "count")


MAPPING = """
name: shapes
licence: CC-BY-4.0
question: ask.text
answer: label
images: picture
id: uid
verifier: count
params: {abs_tol: 1}
prompt: none
"""


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_generic_from_json(tmp_path, suffix):
    (tmp_path / "shapes.yaml").write_text(MAPPING)
    (tmp_path / "a.png").write_bytes(png(1))
    rows = [{"ask": {"text": "How many?"}, "label": 3, "picture": "a.png", "uid": "u"}]
    if suffix == "jsonl":
        published.jsonl(tmp_path / "dev_shapes.jsonl", rows)
    else:
        (tmp_path / "dev_shapes.json").write_text(json.dumps(rows))
    dataset = read_mapping(tmp_path / "shapes.yaml")
    assert convert(dataset, tmp_path / f"dev_shapes.{suffix}", tmp_path / "out").written == {"validation": 1}
    (row,) = rows_of(tmp_path / "out" / "validation.parquet")
    assert row["prompt"] == [{"role": "user", "content": "<image>How many?"}]
    assert (row["data_source"], row["extra_info"]["licence"]) == ("shapes", "CC-BY-4.0")
    assert json.loads(row["extra_info"]["params"]) == {"abs_tol": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("question: ask.text", "no key question"),
        ("+colour: red", "unknown key colour"),
        ("+source: 3", "`source` must be text"),
        ("verifier: count", None),
        ("+verifier: magic", "No verifier is called 'magic'"),
        ("+params: {depth: 1}", "no parameter 'depth'"),
        ("+]", "no readable YAML"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(tmp_path, change, message):
    text = MAPPING + change[1:] if change.startswith("+") else MAPPING.replace(change, "")
    (tmp_path / "m.yaml").write_text(text)
    if message is None:
        assert read_mapping(tmp_path / "m.yaml").name == "shapes"
    else:
        with pytest.raises(UserError, match=f"m.yaml: .*{message}"):
            read_mapping(tmp_path / "m.yaml")


def test_a_hub_name_goes_through_datasets(tmp_path, monkeypatch):
    import datasets

    columns = pa.schema([("image", IMAGE), ("problem", TEXT), ("solution", TEXT)])
    rows = [{"image": cell(1), "problem": "How many?", "solution": "3"}]
    features = datasets.Features(
        {"image": datasets.Image(), "problem": datasets.Value("string"), "solution": datasets.Value("string")}
    )
    table = datasets.Dataset(pa.Table.from_pylist(rows, schema=columns), fingerprint="a").cast(features)
    asked = []

    def load_dataset(name, streaming, split=None):
        asked.append(name)
        streams = datasets.IterableDatasetDict({"train": table.to_iterable_dataset()})
        return streams[split] if split else streams

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert converted("clevr_counting", "somebody/clevr", tmp_path / "out").written == {"train": 1}
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert row["images"][0]["bytes"] == png(1), "the bytes as published, not encoded again"
    assert set(asked) == {"somebody/clevr"}


def test_a_name_that_is_nothing_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="gone: neither a local path nor a data set"):
        convert(SETS["virl39k"], tmp_path / "gone", tmp_path / "out")
