"""Prompts of RL: images within the recipe's limits, and rows that do not fit listed before Ray starts and left out."""

import asyncio
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from PIL import Image
from transformers import AutoProcessor

from data_prep import nano
from data_prep.tokens.count import PromptCounter
from data_prep.tokens.resize import ImageRules, PixelLimits
from specs_verl.cold_start.images import ProcessorRules
from specs_verl.cold_start.pairs import PairTable
from specs_verl.doctor import prompts
from specs_verl.errors import UserError
from specs_verl.plugin.prompt_dataset import PromptDataset
from specs_verl.sampling.prompts import PromptBuilder

LIMIT = 28 * 28 * 6
BIG = (560, 392)
"""20 x 14 = 280 tokens of 28 x 28. Within 6: sqrt(560 * 392 / 4,704) = 6.83 -> 82 x 57 -> 2 x 2 tokens."""


def png(size: tuple[int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, "teal").save(content, "PNG")
    return content.getvalue()


def asked(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    picture, strip = png(BIG), png((804, 4))
    rows = [
        (asked("<image>How many?"), [{"bytes": picture}]),
        (asked("How" + " many" * 400), []),
        (asked("<image>How long?"), [{"bytes": strip}]),
        (asked("<image>Damaged?"), [{"bytes": b"no image"}]),
        (asked("<image><image>Two?"), [{"bytes": picture}]),
        (asked("How?"), []),
    ]
    columns = {"data_source": ["x"] * 6, "prompt": [row[0] for row in rows], "images": [row[1] for row in rows]}
    path = tmp_path_factory.mktemp("rows") / "train.parquet"
    pq.write_table(pa.table(columns | {"reward_model": [{"ground_truth": "1"}] * 6}), path)
    return path


def settings(file, tmp_path, too_long="drop", **data):
    section = {"train_files": str(file), "val_files": str(file), "max_prompt_length": 64, "max_pixels": LIMIT}
    section |= {"too_long": too_long, "custom_cls": {"path": prompts.OWN}, "filter_overlong_prompts": False}
    section |= {"cache_dir": str(tmp_path / "cache"), **data}
    model = {"actor_rollout_ref": {"model": {"path": nano.base_checkpoint()}}}
    return OmegaConf.create({"data": section, "trainer": {"default_local_dir": str(tmp_path)}, **model})


def test_limits_by_hand():
    assert ImageRules().tokens(BIG) == 280
    limited = ImageRules(limits=PixelLimits(max_pixels=LIMIT))
    assert limited.resized(BIG) == (56, 56)
    assert limited.tokens(BIG) == 4
    # the image's own entry wins; an empty cell says nothing
    assert limited.tokens(BIG, {"max_pixels": 28 * 28 * 300, "min_pixels": None}) == 280
    assert ImageRules(limits=PixelLimits(min_pixels=28 * 28 * 9)).resized((28, 28)) == (84, 84)
    with pytest.raises(UserError, match="1 <= min <= max"):
        PixelLimits(min_pixels=10, max_pixels=9)


def test_rl_sampling_and_cold_start_see_the_same_image(file, tmp_path):
    """56 x 56 pixels, 4 x 4 patches, 4 tokens: from verl's own resizing in RL, and in the two other rooms."""
    processor = AutoProcessor.from_pretrained(nano.base_checkpoint())
    config = settings(file, tmp_path).data
    data = PromptDataset(str(file), processor.tokenizer, config, processor)
    images, _ = asyncio.run(PromptDataset.process_vision_info(data[0]["raw_prompt"], 14, config))
    assert images[0].size == (56, 56)
    row = pq.read_table(file).slice(0, 1).to_pylist()[0]
    built = PromptBuilder(nano.base_checkpoint(), 64, PixelLimits(max_pixels=LIMIT)).build(row, file)
    assert built.images[0].size == (56, 56)
    pairs = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({name: [row.get(name, "x")] for name in ("prompt", "images", "chosen", "rejected")}), pairs)
    image = PairTable.open([str(pairs)], limits=PixelLimits(max_pixels=LIMIT))[0].images[0]
    rules = ProcessorRules.of(processor)
    assert rules.grid(BIG, image) == (1, 4, 4)
    assert rules.pixels(Image.new("RGB", BIG, "teal"), image)["image_grid_thw"].tolist() == [[1, 4, 4]]
    counter = PromptCounter(nano.base_checkpoint(), PixelLimits(max_pixels=LIMIT))
    assert counter.count([(row["prompt"], [counter.rules.tokens(BIG)])]) == [built.n_tokens]


def test_what_does_not_fit_is_listed_and_left_out(file, tmp_path, capsys):
    config = settings(file, tmp_path)
    assert prompts.count(config) == {"train_files": 2, "val_files": 2}
    lines = [json.loads(line) for line in (tmp_path / "too_long.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == [1, 2, 3, 4] * 2
    assert lines[0]["file"] == str(file)
    assert lines[0]["reason"].endswith("prompt tokens")
    reasons = ("200 times as long", "no image", "2 <image> placeholders but 1 images")
    assert all(expected in line["reason"] for expected, line in zip(reasons, lines[1:4], strict=True))
    assert "4 of 6 prompts cannot be used (row 1: " in capsys.readouterr().out
    # the training processes keep the same rows
    processor = AutoProcessor.from_pretrained(nano.base_checkpoint())
    data = PromptDataset(str(file), processor.tokenizer, config.data, processor)
    assert len(data) == 2
    assert data[1]["raw_prompt"] == asked("How?")


def test_without_limits_the_large_image_does_not_fit(file, tmp_path):
    row = pq.read_table(file).slice(0, 1).to_pylist()[0]
    (tokens,) = PromptCounter(nano.base_checkpoint(), PixelLimits(max_pixels=LIMIT)).count([(row["prompt"], [4])])
    assert prompts.count(settings(file, tmp_path, max_prompt_length=tokens))["train_files"] == 2
    # the nano processor's own limit leaves more than 4 tokens
    assert prompts.count(settings(file, tmp_path, max_prompt_length=tokens, max_pixels=None))["train_files"] == 1


def test_or_refused(file, tmp_path):
    with pytest.raises(UserError, match=r"4 of 6 prompts cannot be used .*max_prompt_length=64 tokens"):
        prompts.count(settings(file, tmp_path, too_long="error"))
    with pytest.raises(UserError, match="drop or error, not 'cut'"):
        prompts.count(settings(file, tmp_path, too_long="cut"))
    with pytest.raises(UserError, match=r"no prompt fits data\.max_prompt_length=1"):
        prompts.count(settings(file, tmp_path, max_prompt_length=1))
    processor = AutoProcessor.from_pretrained(nano.base_checkpoint())
    with pytest.raises(UserError, match=r"4 of 6 rows cannot be used, the first is row 1 "):
        PromptDataset(str(file), processor.tokenizer, settings(file, tmp_path, too_long="error").data, processor)
    assert prompts.count(settings(file, tmp_path, custom_cls={"path": "mine.py"})) is None
