"""Reading rows in slices, and what a row becomes before it reaches the engine."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep import nano
from data_prep.tokens.resize import PixelLimits
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable, row_id
from specs_verl.sampling.prompts import PromptBuilder, PromptError, structured, with_prompts


def ids(table, start, stop):
    return [(index, row["extra_info"]["id"]) for index, row in table.slice(start, stop)]


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (24, 27), (89, 91), (120, 160), (195, 300), (0, 200)])
def test_slices_cross_row_groups_and_files(prompts, start, stop):
    assert ids(RowTable(prompts), start, stop) == [(i, f"q{i}") for i in range(start, min(stop, 200))]


def test_slices_in_any_order_give_the_same_rows(prompts):
    table = RowTable(prompts)
    for start in (0, 5, 150, 20, 89, 199, 0):
        assert ids(table, start, start + 5) == [(i, f"q{i}") for i in range(start, min(start + 5, 200))]


def test_limit_cuts_the_rows(prompts):
    table = RowTable(prompts, limit=95)
    assert len(table) == 95 and ids(table, 90, 200) == [(i, f"q{i}") for i in range(90, 95)]


def test_a_file_without_prompts_is_named(tmp_path):
    pq.write_table(pa.table({"question": ["?"]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet: no column `prompt`; its columns are question"):
        RowTable([str(tmp_path / "x.parquet")])


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(UserError, match="not a readable parquet"):
        RowTable([str(tmp_path / "x.parquet")])


def test_row_id_falls_back_to_the_row_number():
    assert row_id(4, {"extra_info": {"id": "q9"}}) == "q9"
    assert row_id(4, {"extra_info": {}}) == row_id(4, {}) == "4"


def user(text):
    return [{"role": "user", "content": text}]


def test_image_marks_become_parts_in_order():
    assert structured(user("<image>What is it? <image>And this?"), 2) == [
        {
            "role": "user",
            "content": [
                {"type": "image"},
                {"type": "text", "text": "What is it? "},
                {"type": "image"},
                {"type": "text", "text": "And this?"},
            ],
        }
    ]


def test_without_images_the_mark_is_ordinary_text():
    assert structured(user("the tag <image> in HTML"), 0) == user("the tag <image> in HTML")


@pytest.mark.parametrize("marks", ["", "<image><image>"])
def test_marks_and_images_must_agree(marks):
    with pytest.raises(PromptError, match=f"{marks.count('<')} <image> placeholders but 1 images") as caught:
        structured(user(marks + "what?"), 1)
    assert caught.value.kind == "image_count"


def test_system_prompt_replaces_and_instruction_follows():
    messages = [{"role": "system", "content": "old"}, *user("What?")]
    assert with_prompts(messages, "new", "Think first.") == [
        {"role": "system", "content": "new"},
        {"role": "user", "content": "What?\nThink first."},
    ]
    assert messages[0]["content"] == "old", "the row itself is not changed"


@pytest.mark.parametrize("prompt", [None, [], [{"role": "user"}], [{"content": "x"}], 3])
def test_prompts_of_another_shape_are_skipped(prompt):
    with pytest.raises(PromptError) as caught:
        with_prompts(prompt, None, None)
    assert caught.value.kind == "bad_prompt"


@pytest.mark.parametrize(
    ("size", "keys", "words"),
    [
        ((64, 48), {"max_pixels": 2000}, "min_pixels=3136 and max_pixels=2000"),
        ((64, 48), {"max_pixels": "many"}, "max_pixels='many' is no number"),
        ((10_900, 55), {"max_pixels": 500_000}, "aspect ratio"),  # 9940x28 after fetch_image
    ],
)
def test_an_image_that_cannot_be_resized_is_skipped(size, keys, words):
    content = io.BytesIO()
    Image.new("RGB", size).save(content, "PNG")
    row = {"prompt": user("<image>?"), "images": [{"bytes": content.getvalue(), **keys}]}
    builder = PromptBuilder(nano.base_checkpoint(), 4096, PixelLimits(min_pixels=3136))
    with pytest.raises(PromptError, match=words) as raised:
        builder.build(row, Path("t.parquet"))
    assert raised.value.kind == "unusable_image"
