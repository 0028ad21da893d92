"""Geometry3K from a local copy in the layout of hiyouga/geometry3k (small files made here)."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep import doctor, geometry3k, schema
from specs_verl.errors import UserError


def png(shade):
    content = io.BytesIO()
    Image.new("RGB", (40, 40), (shade, 0, 0)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def source(tmp_path):
    """Two splits; the training split in two files, with one row that lacks its answer."""
    folder = tmp_path / "source"
    folder.mkdir()
    image = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    kinds = pa.schema([("images", image), ("problem", pa.string()), ("answer", pa.string())])

    def write(name, rows):
        pq.write_table(pa.Table.from_pylist(rows, schema=kinds), folder / name)

    problems = [
        {
            "images": [{"bytes": png(i), "path": None}],
            "problem": f"<image>Find x{i}.",
            "answer": rf"\frac {{ {i} }} {{ 3 }}",
        }
        for i in range(5)
    ]
    problems[2]["problem"] = "Find x2."  # the placeholder is missing
    problems[4]["answer"] = ""
    write("train-00000-of-00002.parquet", problems[:3])
    write("train-00001-of-00002.parquet", problems[3:])
    write("validation-00000-of-00001.parquet", problems[:1])
    return folder


def test_rows_become_sound_rows_of_the_schema(source, tmp_path, capsys):
    assert geometry3k.convert(source, tmp_path / "out") == {"train": 4, "validation": 1}
    assert schema.validate(tmp_path / "out" / "train.parquet") == 4
    assert doctor.examine(tmp_path / "out" / "train.parquet").broken == {}
    rows = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert rows[1]["prompt"] == [{"role": "user", "content": f"<image>Find x1.\n{geometry3k.INSTRUCTION}"}]
    assert rows[2]["prompt"][0]["content"].startswith("<image>Find x2."), "a missing placeholder is put in"
    assert rows[1]["images"] == [{"bytes": png(1), "path": None}]
    assert rows[1]["reward_model"]["ground_truth"] == r"\frac { 1 } { 3 }"
    assert rows[1]["reward_model"]["verifier"] == rows[1]["extra_info"]["verifier"] == "math"
    assert rows[3]["extra_info"]["id"] == "geometry3k-train-3"
    assert "source row 4 left out: `reward_model.ground_truth` is empty" in capsys.readouterr().err


def test_no_instruction_leaves_the_problem_alone(source, tmp_path):
    geometry3k.convert(source, tmp_path / "out", instruction="")
    rows = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert rows[0]["prompt"][0]["content"] == "<image>Find x0."


def test_another_layout_is_refused(tmp_path):
    pq.write_table(pa.table({"question": ["?"]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"train\.parquet: no column answer, images, problem"):
        geometry3k.convert(tmp_path, tmp_path / "out")


def test_a_folder_without_splits_is_refused(tmp_path):
    with pytest.raises(UserError, match="no parquet files named train"):
        geometry3k.convert(tmp_path, tmp_path / "out")
