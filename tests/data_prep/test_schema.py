"""The row schema: every way a row can be wrong has a sentence, and files are named with their rows."""

import copy

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import nano, schema

ROW = {
    "data_source": "hand",
    "prompt": [{"role": "user", "content": "<image>How many?"}],
    "images": [{"bytes": b"x", "path": None}],
    "ability": "count",
    **{
        key: value if key == "reward_model" else {"index": 0, "split": "train", "id": "a", **value}
        for key, value in schema.grading_columns("3", "number", {"answer_type": "integer"}).items()
    },
}


def test_a_sound_row_has_no_problems():
    assert schema.check_row(ROW) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("data_source",), "", "`data_source` must be a name"),
        (("prompt",), [], "`prompt` must be a list of messages"),
        (("prompt",), "text", "`prompt` must be a list of messages"),
        (("prompt", 0, "content"), None, "needs `role` and `content`"),
        (("prompt", 0, "role"), "human", "role 'human' is none of"),
        (("prompt", 0, "role"), "assistant", "must be the user's"),
        (("prompt", 0, "content"), "How many?", "0 <image> placeholders but 1 images"),
        (("prompt", 0, "content"), "<image><image>?", "2 <image> placeholders but 1 images"),
        (("prompt", 0, "content"), "<image> ", "holds no text"),
        (("images",), None, "1 <image> placeholders but 0 images"),
        (("images", 0), {"bytes": None, "path": None}, "image 0 has neither bytes nor a path"),
        (("reward_model",), None, "must hold `ground_truth`"),
        (("reward_model", "ground_truth"), " ", "`reward_model.ground_truth` is empty"),
        (("reward_model", "verifier"), "magic", "`reward_model.verifier` is 'magic', which is no verifier"),
        (("extra_info", "params"), "[1]", "`extra_info.params` is no JSON object"),
        (("extra_info", "verifier"), "text", "`extra_info` 'text'; verl's reward manager sees the latter only"),
    ],
)
def test_each_fault_has_its_sentence(path, value, message):
    row = copy.deepcopy(ROW)
    place = row
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(message in problem for problem in schema.check_row(row)), schema.check_row(row)


def test_validate_names_file_and_row(tmp_path):
    rows = [copy.deepcopy(ROW) for _ in range(50)]
    rows[41]["reward_model"]["ground_truth"] = ""
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    with pytest.raises(schema.DataError, match=r"t\.parquet, row 41: `reward_model.ground_truth` is empty.*--fix"):
        schema.validate(tmp_path / "t.parquet")


def test_validate_counts_the_rows_of_the_nano_world(tmp_path):
    paths = nano.write_data(tmp_path, n_train=16, n_test=8, seed=0)
    assert {split: schema.validate(path) for split, path in paths.items()} == {"train": 16, "test": 8, "ood": 8}


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"hello", "not a readable parquet")])
def test_files_that_are_none_are_named(tmp_path, content, message):
    path = tmp_path / "t.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(schema.DataError, match=message):
        schema.validate(path)


def test_missing_columns_are_named(tmp_path):
    pq.write_table(pa.table({"question": ["?"]}), tmp_path / "t.parquet")
    with pytest.raises(schema.DataError, match="no column data_source, prompt, reward_model; the columns are question"):
        schema.validate(tmp_path / "t.parquet")
