"""Exports, read back by the rules that the other trainers document for their data."""

import io
import json

import pytest
from PIL import Image

from specs_verl.distill import Distillation, distill
from specs_verl.distill.export import export, typed_parts
from specs_verl.errors import UserError

from . import building


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pairs")
    prompts = building.write_prompts(directory / "p.parquet", 30)
    runs = building.random_runs(directory, prompts, 30)
    distill(Distillation((prompts,), *runs, str(directory / "out"), workers=1))
    return directory / "out" / "pairs.parquet"


def test_trl_loads_as_a_conversational_vision_preference_set(pairs, tmp_path):
    import datasets

    path = export(pairs, tmp_path, "trl")
    loaded = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    rows = building.read(pairs)
    assert set(loaded.column_names) == {"prompt", "chosen", "rejected", "images"} and len(loaded) == len(rows)
    for row, original in zip(loaded, rows, strict=True):
        (turn,) = row["prompt"]
        assert turn["role"] == "user" and [part["type"] for part in turn["content"]] == ["image", "text"]
        assert turn["content"][1]["text"] == original["prompt"][0]["content"].removeprefix("<image>")
        for side in ("chosen", "rejected"):
            assert row[side] == [{"role": "assistant", "content": [{"type": "text", "text": original[side]}]}]
        (image,) = row["images"]
        assert isinstance(image, Image.Image), "TRL wants decoded images, which the Image feature gives"
        assert image.getpixel((0, 0)) == (original["row"], 0, 90)


def test_llama_factory_finds_the_set_registered(pairs, tmp_path):
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    export(pairs, tmp_path, "llama_factory")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert "mine" in info, "what was registered before stays"
    entry = info["specs_pairs"]
    assert entry["formatting"] == "sharegpt" and entry["ranking"] is True
    columns = entry["columns"]
    rows = json.loads((tmp_path / entry["file_name"]).read_text())
    for row, original in zip(rows, building.read(pairs), strict=True):
        turns = row[columns["messages"]]
        assert [turn["from"] for turn in turns] == ["human"]
        assert row[columns["chosen"]] == {"from": "gpt", "value": original["chosen"]}
        assert row[columns["rejected"]] == {"from": "gpt", "value": original["rejected"]}
        images = row[columns["images"]]
        assert turns[0]["value"].count("<image>") == len(images) == 1
        assert (tmp_path / images[0]).read_bytes() == original["images"][0]["bytes"]


def test_ms_swift_gets_one_json_object_per_line(pairs, tmp_path):
    path = export(pairs, tmp_path, "ms_swift")
    lines = path.read_text().splitlines()
    for line, original in zip(lines, building.read(pairs), strict=True):
        row = json.loads(line)
        assert set(row) == {"messages", "rejected_response", "images"}
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["messages"][-1]["content"] == original["chosen"]
        assert row["rejected_response"] == original["rejected"]
        assert Image.open(io.BytesIO((tmp_path / row["images"][0]).read_bytes())).size == (28, 28)


def test_typed_parts_keep_the_order():
    assert typed_parts("a<image>b") == [
        {"type": "text", "text": "a"},
        {"type": "image", "text": None},
        {"type": "text", "text": "b"},
    ]


def test_prompts_are_no_pairs(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)
    with pytest.raises(UserError, match="no column chosen, rejected"):
        export(prompts, tmp_path / "out", "trl")


def test_an_unknown_format_is_named(pairs, tmp_path):
    with pytest.raises(UserError, match="'axolotl'; there are trl, llama_factory, ms_swift"):
        export(pairs, tmp_path, "axolotl")
