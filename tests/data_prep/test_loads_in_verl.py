"""What data_prep writes loads in stock verl and in `datasets`, and a killed conversion leaves no half file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import published
import pyarrow as pa
import pytest
from omegaconf import OmegaConf
from published import IMAGES, TEXT, cell, rows_of, virl

from data_prep import nano
from data_prep.convert import convert
from data_prep.prompts import PROMPTS
from data_prep.sets import SETS
from data_prep.tokens.count import PromptCounter


@pytest.fixture(scope="module")
def virl39k(tmp_path_factory):
    """Rows with two images, one and none; one of them far too long."""
    folder = tmp_path_factory.mktemp("virl")
    (folder / "in" / "images").mkdir(parents=True)
    for name in "ab":
        (folder / "in" / "images" / f"{name}.png").write_bytes(published.png(ord(name), (60, 40)))
    rows = [
        virl("<image><image>Which one is larger?", r"\boxed{left}", ["images/a.png", "images/b.png"], "two"),
        virl("How many?", r"\boxed{3}", ["images/a.png"], "one"),
        virl("What is 1 + 1?", r"\boxed{2}", [], "none"),
        virl("What is" + " 1 +" * 400 + " 1?", r"\boxed{401}", [], "long"),
    ]
    published.parquet(folder / "in" / "39K.parquet", rows)
    convert(SETS["virl39k"], folder / "in", folder / "out")
    return folder / "out" / "train.parquet"


def tools():
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(nano.base_checkpoint())
    return processor.tokenizer, processor


def test_rows_load_in_verls_rl_data_set(virl39k, tmp_path):
    from verl.utils.dataset.rl_dataset import RLHFDataset

    tokenizer, processor = tools()
    settings = {"max_prompt_length": 1024, "filter_overlong_prompts": True, "cache_dir": str(tmp_path)}
    settings |= {"filter_overlong_prompts_workers": None}
    data = RLHFDataset(str(virl39k), tokenizer, OmegaConf.create(settings), processor)
    rows = rows_of(virl39k)
    counter = PromptCounter(nano.base_checkpoint())
    tokens = counter.rules.tokens((60, 40))
    counts = counter.count([(row["prompt"], [tokens] * len(row["images"])) for row in rows])
    # verl decodes every image to count; the doctor's arithmetic leaves out the very same rows.
    assert [n <= 1024 for n in counts] == [True, True, True, False]
    assert [data[i]["extra_info"]["id"] for i in range(len(data))] == ["two", "one", "none"]
    first = data[0]["raw_prompt"]
    assert first[0] == {"role": "system", "content": [{"type": "text", "text": PROMPTS["specs"].system}]}
    kinds = [part["type"] for part in first[1]["content"]]
    assert kinds == ["image", "image", "text"] and first[1]["content"][0]["image"].size == (60, 40)
    assert data[0]["reward_model"]["ground_truth"] == "left"


def test_supervised_rows_load_in_verls_multi_turn_data_set(tmp_path):
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    columns = pa.schema([("problem", TEXT), ("answer", TEXT), ("images", IMAGES)])
    rows = [{"problem": "<image>How many sides?", "answer": r"It has three: \boxed{3}", "images": [cell(1)]}]
    published.parquet(tmp_path / "train.parquet", rows, columns)
    convert(SETS["multimodal_cold_start"], tmp_path / "train.parquet", tmp_path / "out")
    tokenizer, processor = tools()
    settings = OmegaConf.create({"max_length": 512, "pad_mode": "no_padding", "ignore_input_ids_mismatch": True})
    data = MultiTurnSFTDataset(str(tmp_path / "out" / "train.parquet"), tokenizer, settings, processor)
    row = data[0]
    trained = tokenizer.decode(row["input_ids"][row["loss_mask"].bool()])
    assert trained.strip().startswith(r"It has three: \boxed{3}"), "the response alone is trained on"
    assert processor.tokenizer.convert_tokens_to_ids("<|image_pad|>") in row["input_ids"].tolist()


def test_rows_load_in_datasets(virl39k, tmp_path):
    import datasets

    table = datasets.load_dataset("parquet", data_files=str(virl39k), cache_dir=str(tmp_path))["train"]
    assert table.num_rows == 4
    images = table.cast_column("images", datasets.List(datasets.Image()))
    assert [len(row) for row in images["images"]] == [2, 1, 0, 0] and images[0]["images"][0].size == (60, 40)


SLOW = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with interrupts ignored
from data_prep.reading import source
original = source.read_parquet
def slow(*arguments):
    for number, found in enumerate(original(*arguments)):
        if number == 150:
            print("half way", flush=True)
            time.sleep(600)
        yield found
source.read_parquet = slow
from specs_verl.cli import main
main(["data", "virl39k", "--source", {source!r}, "--out", {out!r}])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_conversion_leaves_no_half_file(tmp_path, how):
    rows = [virl(f"What is {i} + 1?", rf"\boxed{{{i + 1}}}", [], f"q{i}") for i in range(200)]
    published.parquet(tmp_path / "in" / "train.parquet", rows)
    code = SLOW.format(source=str(tmp_path / "in"), out=str(tmp_path / "out"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path.cwd(), env=os.environ)
    assert process.stdout.readline() == b"half way\n"
    time.sleep(0.1)
    process.send_signal(how)
    process.wait(timeout=300)
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == []
    convert(SETS["virl39k"], tmp_path / "in", tmp_path / "out")
    assert len(rows_of(tmp_path / "out" / "train.parquet")) == 200
    drafts = [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".") and path.name != ".lock"]
    assert drafts == [], "the next run sweeps what the killed one left"


def test_the_same_source_gives_the_same_bytes(virl39k, tmp_path):
    again = virl39k.parent.parent / "in"
    convert(SETS["virl39k"], again, tmp_path / "out")
    for name in ("train.parquet", "left_out.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (virl39k.parent / name).read_bytes()
