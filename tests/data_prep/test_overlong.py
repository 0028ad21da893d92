"""Rows that a trainer cannot use, where an image's own entry asks for a size: its keys win, as they do in training."""

import io
from pathlib import Path

import published
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from transformers import AutoProcessor

from data_prep import doctor, nano, schema
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.overlong import find
from data_prep.tokens.resize import PixelLimits
from specs_verl.cli import main

SIDE = 28 * 10
"""280 x 280 pixels: 100 squares of 28 x 28."""

TEXT = "<image>How many?"


def shown(**keys):
    return {"bytes": published.encoded(Image.new("RGB", (SIDE, SIDE))), "path": None, **keys}


def image_tokens(entry, limits):
    """By the libraries, with pixels."""
    from qwen_vl_utils import fetch_image

    processor = AutoProcessor.from_pretrained(nano.base_checkpoint()).image_processor
    said = {**limits, **{key: value for key, value in entry.items() if value is not None}}
    said["image"] = Image.open(io.BytesIO(said.pop("bytes")))
    said.pop("path", None)
    grid = processor([fetch_image(said, image_patch_size=processor.patch_size)], return_tensors="pt")["image_grid_thw"]
    return int(grid.prod()) // processor.merge_size**2


def found(rows, most, limits):
    """Reasons by row, of rows that are lists of image entries."""
    prompt = [{"role": "user", "content": TEXT}]
    table = pa.Table.from_pylist([{"prompt": prompt, "images": images} for images in rows])
    counter = PromptCounter(nano.base_checkpoint(), PixelLimits(**limits))
    return {one.row: one.reason for one in find([table], counter, most, Path("t.parquet"))}


def test_keys_of_an_entry_are_counted():
    limits = {"max_pixels": 28 * 28 * 4}
    entries = [shown(), shown(max_pixels=28 * 28 * 16), shown(resized_height=28 * 3, resized_width=28 * 3)]
    tokens = [image_tokens(entry, limits) for entry in entries]
    assert tokens == [4, 16, 9]
    (words,) = PromptCounter(nano.base_checkpoint()).count([([{"role": "user", "content": TEXT}], [0])])
    rows = [[entry] for entry in entries]
    assert found(rows, words + tokens[0], limits) == {
        1: f"{words + tokens[1]} prompt tokens",
        2: f"{words + tokens[2]} prompt tokens",
    }
    assert set(found(rows, words + tokens[2], limits)) == {1}
    assert found(rows, words + tokens[1], limits) == {}


def test_an_entry_that_cannot_be_resized_is_told_with_its_numbers():
    entries = [shown(max_pixels="many"), shown(max_pixels="2000"), shown()]
    assert found([[entry] for entry in entries], 4096, {"min_pixels": 4096}) == {
        0: "image 0: max_pixels='many' is no number",
        1: "image 0: min_pixels=4096 and max_pixels=2000: 1 <= min <= max is needed",
    }


def test_images_that_are_no_list_are_told():
    assert found([shown(), shown()], 4096, {}) == {0: "images is no list", 1: "images is no list"}


@pytest.fixture
def file(tmp_path):
    """Rows in verl's schema: an image of 100 squares, the same made small or large by its entry, and a wrong entry."""
    columns = schema.grading_columns("3", "number", None)
    rows = [
        {
            "data_source": "hand",
            "prompt": [{"role": "user", "content": TEXT}],
            "images": [shown(max_pixels=most)],
            "ability": "count",
            "reward_model": columns["reward_model"],
            "extra_info": {"index": index, "split": "train", "id": str(index), **columns["extra_info"]},
        }
        for index, most in enumerate([None, 28 * 28 * 5, 28 * 28 * 100, 100])
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_the_doctor_counts_the_same_and_names_what_cannot_be_resized(file, capsys):
    limits = {"max_pixels": 28 * 28 * 9}
    (words,) = PromptCounter(nano.base_checkpoint()).count([([{"role": "user", "content": TEXT}], [0])])
    most = words + image_tokens(shown(), limits)
    report = doctor.examine(file, doctor.Limits(str(nano.base_checkpoint()), most, "r", PixelLimits(**limits)))
    large = words + image_tokens(shown(max_pixels=28 * 28 * 100), limits)
    assert report.broken[2] == [f"{large} prompt tokens, {most} are allowed (r)"]
    assert report.broken[3][0].startswith("image 0: min_pixels=") and "max_pixels=100" in report.broken[3][0]
    assert set(report.broken) == {2, 3}
    # the same limit on the command line; without it the first image is too large as well
    command = ["data", "doctor", str(file), "--model", str(nano.base_checkpoint()), "--max-prompt-tokens", str(most)]
    assert main([*command, "--max-pixels", str(limits["max_pixels"])]) == 1
    assert "2 broken rows" in capsys.readouterr().out
    assert main(command) == 1
    assert "3 broken rows" in capsys.readouterr().out
    assert main([*command, "--max-pixels", "5", "--min-pixels", "9"]) == 2
    assert main(["data", "doctor", str(file), "--max-pixels", "5000"]) == 2
