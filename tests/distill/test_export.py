"""Exports, read back by the rules that the other trainers document for their data (other_trainers.py), and by TRL."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from data_prep.nano.model import build_processor
from specs_verl.distill import Distillation, distill
from specs_verl.distill.export import export, typed_parts
from specs_verl.errors import UserError

from . import building, other_trainers


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


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed (extra `bench`)")
def test_trl_prepares_and_trains_on_the_export(pairs, tmp_path):
    """TRL's own collator sees the pairs' tokens and images, and its DPO trainer takes a step on them.

    Form: https://huggingface.co/docs/trl/dataset_formats (preference, explicit prompt, conversational, with images).
    """
    path = export(pairs, tmp_path, "trl")
    script = Path(__file__).with_name("read_with_trl.py")
    command = [sys.executable, str(script), str(path), str(tmp_path / "cache"), str(tmp_path / "read.pt")]
    subprocess.run(command, check=True, timeout=300, env={**os.environ, "TORCHDYNAMO_DISABLE": "1"})
    read = torch.load(tmp_path / "read.pt", weights_only=False)
    batch, processor, rows = read["batch"], build_processor(), building.read(pairs)
    assert batch["input_ids"].shape[0] == 2 * len(rows), "chosen ones first, then rejected ones"
    assert torch.equal(batch["image_grid_thw"], torch.tensor([[1, 2, 2]]).expand(2 * len(rows), 3))
    texts = [row[side] for side in ("chosen", "rejected") for row in rows]
    for ids, kept, text in zip(batch["input_ids"], batch["completion_mask"].bool(), texts, strict=True):
        assert processor.tokenizer.decode(ids[kept]) == text + "<|im_end|>\n"
        prompt = processor.tokenizer.decode(ids[~kept], skip_special_tokens=True)
        assert "Question" in prompt and text not in prompt
    # With the initial policy as its own reference both rewards are 0: -log sigmoid(0) = log 2.
    assert read["losses"] == [pytest.approx(math.log(2), abs=1e-3)]


def test_llama_factory_loads_the_set_by_its_documented_rules(pairs, tmp_path):
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    export(pairs, tmp_path, "llama_factory")
    assert "mine" in json.loads((tmp_path / "dataset_info.json").read_text()), "what was registered before stays"
    read = other_trainers.read_llama_factory(tmp_path, "specs_pairs")
    for (system, turns, chosen, rejected, images), row in zip(read, building.read(pairs), strict=True):
        assert (system, chosen, rejected) == ("", row["chosen"], row["rejected"])
        assert [turn["value"] for turn in turns] == [row["prompt"][0]["content"]]
        assert [image.read_bytes() for image in images] == [image["bytes"] for image in row["images"]]


def test_ms_swift_loads_the_set_by_its_documented_rules(pairs, tmp_path, monkeypatch):
    path = export(pairs, tmp_path, "ms_swift")
    monkeypatch.chdir("/")
    read = other_trainers.read_ms_swift(path)
    for (messages, rejected, images), row in zip(read, building.read(pairs), strict=True):
        assert messages == [*row["prompt"], {"role": "assistant", "content": row["chosen"]}]
        assert rejected == row["rejected"]
        assert [image.read_bytes() for image in images] == [image["bytes"] for image in row["images"]]


def with_prompt(pairs, path, *roles):
    """The first pair with other turns in its prompt."""
    table = pq.read_table(pairs).slice(0, 1)
    (row,) = table.to_pylist()
    texts = ["<image>first", *(f"turn {number}" for number in range(1, len(roles)))]
    if roles[0] == "system":
        texts[:2] = ["Be brief.", "<image>first"]
    row["prompt"] = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    pq.write_table(pa.Table.from_pylist([row], schema=table.schema), path)
    return path


def test_system_prompts_and_several_turns_arrive(pairs, tmp_path):
    source = with_prompt(pairs, tmp_path / "p.parquet", "system", "user", "assistant", "user")
    export(source, tmp_path / "l", "llama_factory")
    ((system, turns, *_),) = other_trainers.read_llama_factory(tmp_path / "l", "specs_pairs")
    assert (system, [turn["from"] for turn in turns]) == ("Be brief.", ["human", "gpt", "human"])
    ((messages, *_),) = other_trainers.read_ms_swift(export(source, tmp_path / "s", "ms_swift"))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize("form", ["llama_factory", "ms_swift"])
@pytest.mark.parametrize(
    "roles", [("user", "user"), ("user", "assistant"), ("assistant", "user"), ("user", "tool", "user")]
)
def test_conversations_that_would_be_skipped_silently_are_refused(pairs, tmp_path, form, roles):
    source = with_prompt(pairs, tmp_path / "p.parquet", *roles)
    with pytest.raises(UserError, match=rf"p\.parquet, row q\d+: the prompt's roles are {', '.join(roles)}"):
        export(source, tmp_path / "out", form)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("rejected"),
        lambda row: row["conversations"].append({"from": "gpt", "value": "one more"}),
        lambda row: row["images"].clear(),
        lambda row: row["images"].__setitem__(0, "images/gone.png"),
        lambda row: row["chosen"].__setitem__("from", "human"),
    ],
)
def test_the_check_of_llama_factorys_rules_can_fail(pairs, tmp_path, spoil):
    path = export(pairs, tmp_path, "llama_factory")
    rows = json.loads(path.read_text())
    spoil(rows[3])
    path.write_text(json.dumps(rows))
    with pytest.raises((AssertionError, FileNotFoundError)):
        other_trainers.read_llama_factory(tmp_path, "specs_pairs")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.__setitem__("rejected_response", row["messages"][-1]["content"]),
        lambda row: row["messages"].pop(),
        lambda row: row["images"].append(row["images"][0]),
        lambda row: row.__setitem__("chosen", "x"),
    ],
)
def test_the_check_of_ms_swifts_rules_can_fail(pairs, tmp_path, spoil):
    path = export(pairs, tmp_path, "ms_swift")
    lines = path.read_text().splitlines()
    row = json.loads(lines[3])
    spoil(row)
    lines[3] = json.dumps(row)
    path.write_text("\n".join(lines))
    with pytest.raises(AssertionError):
        other_trainers.read_ms_swift(path)


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
