"""Token ids equal those of the processor itself, and bad rows are named."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_vlm as tiny
from transformers import AutoProcessor

from specs_verl.cold_start.encode import Encoder
from specs_verl.cold_start.pairs import PairTable
from specs_verl.errors import UserError


@pytest.fixture(scope="module")
def processor(model_dir):
    return AutoProcessor.from_pretrained(model_dir)


@pytest.fixture
def encode(processor, tmp_path):
    def run(rows, **settings):
        table = PairTable.open([str(tiny.write_pairs(tmp_path / "pairs.parquet", rows))])
        settings.setdefault("max_length", 4096)
        return Encoder.from_processor(processor, processor.tokenizer, **settings).encode(table)

    return run


@pytest.mark.parametrize("images", [0, 1, 3])
def test_prompt_equals_the_processors(processor, encode, images):
    row = tiny.row(5, images=images)
    (pair,), _ = encode([row])
    parts = [{"type": "image"}] * images + [
        {"type": "text", "text": row["prompt"][0]["content"].replace("<image>", "")}
    ]
    messages = [{"role": "user", "content": parts}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    pictures = [tiny.open_png(image["bytes"]) for image in row["images"]] or None
    made = processor(text=[text], images=pictures, return_tensors="pt")
    assert pair.prompt.tolist() == made["input_ids"][0].tolist()
    assert [list(grid) for grid in pair.grids] == (made["image_grid_thw"].tolist() if images else [])


@pytest.mark.parametrize("size", [(20, 20), (29, 100), (300, 31), (640, 480), (1000, 90)])
def test_image_size_is_foreseen_without_decoding(encode, processor, size):
    row = dict(tiny.row(1), images=[{"bytes": tiny.png(*size, seed=1), "path": None}])
    (pair,), _ = encode([row])
    from specs_verl.cold_start.images import ProcessorRules

    made = ProcessorRules.of(processor).pixels(tiny.open_png(row["images"][0]["bytes"]), {})
    assert list(pair.grids[0]) == made["image_grid_thw"][0].tolist()


def test_a_response_is_its_text_and_the_end_of_turn_token(processor, encode):
    row = dict(tiny.row(0), chosen="yes", rejected="no, never")
    (pair,), _ = encode([row])
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert pair.chosen.tolist() == [*processor.tokenizer("yes")["input_ids"], end]
    assert processor.tokenizer.decode(pair.rejected) == "no, never<|im_end|>"


def test_end_of_turn_as_the_template_writes_it(processor, encode):
    (pair,), _ = encode([tiny.row(0)], end_of_turn="template")
    assert processor.tokenizer.decode(pair.chosen).endswith("<|im_end|>\n")


def test_pairs_of_one_prompt_have_one_prompt_key(encode):
    row = tiny.row(0)
    pairs, _ = encode([row, dict(row, chosen="another"), dict(row, images=tiny.row(1)["images"])])
    assert pairs[0].prompt_key == pairs[1].prompt_key != pairs[2].prompt_key
    assert len({pair.key for pair in pairs}) == 3


def test_what_is_too_long_is_an_error_or_counted(encode):
    rows = [tiny.row(0), dict(tiny.row(1), chosen="word " * 200)]
    with pytest.raises(UserError, match=r"pairs.parquet, row 1: prompt \d+ \+ chosen response \d+ .* exceed"):
        encode(rows, max_length=600)
    pairs, dropped = encode(rows, max_length=600, too_long="drop")
    assert (len(pairs), dropped) == (1, 1)
    with pytest.raises(UserError, match="All 2 rows"):
        encode(rows, max_length=10, too_long="drop")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": " "}, "row 1: the chosen response is empty"),
        ({"rejected": None}, "row 1: the rejected response is empty"),
        ({"chosen": "same", "rejected": "same"}, "row 1: chosen and rejected are the same"),
        ({"images": []}, "row 1: 1 <image> placeholders but 0 images"),
        ({"images": [{"bytes": b"junk", "path": None}]}, "row 1: an image cannot be read"),
        ({"images": [{"bytes": None, "path": None}]}, "row 1: an image cannot be read .*neither bytes nor a path"),
        ({"images": [{"bytes": None, "path": "nowhere.png"}]}, "row 1: an image cannot be read .*no such image"),
        ({"images": [{"bytes": None, "path": "/etc/hostname"}]}, "row 1: an image cannot be read .*leads out"),
        ({"chosen": "see <|image_pad|>"}, "row 1: the chosen response contains an image placeholder"),
        ({"prompt": []}, "row 1: the prompt is empty"),
        ({"prompt": [{"role": "user", "content": None}]}, "row 1: message 0 lacks a content"),
        ({"prompt": [{"role": None, "content": "<image>?"}]}, "row 1: message 0 .* or has a role other than"),
    ],
)
def test_a_bad_row_is_named(encode, change, message):
    with pytest.raises(UserError, match=message):
        encode([tiny.row(0), dict(tiny.row(1), **change)])


def test_images_for_a_text_only_model(processor, tmp_path):
    table = PairTable.open([str(tiny.write_pairs(tmp_path / "pairs.parquet", [tiny.row(0)]))])
    with pytest.raises(UserError, match="text-only"):
        Encoder.from_processor(None, processor.tokenizer, max_length=100).encode(table)


def test_an_image_by_path_beside_the_parquet_file(encode, tmp_path):
    row = tiny.row(3)
    (tmp_path / "one.png").write_bytes(row["images"][0]["bytes"])
    pairs, _ = encode([row, dict(row, images=[{"bytes": None, "path": "one.png"}], chosen="x")])
    assert pairs[0].prompt_key == pairs[1].prompt_key


@pytest.mark.parametrize("image", ["one.png", "file://one.png"])
def test_an_image_as_a_path_alone(processor, tmp_path, monkeypatch, image):
    (tmp_path / "data").mkdir()
    row = tiny.row(3)
    (tmp_path / "one.png").write_bytes(row["images"][0]["bytes"])
    table = pa.Table.from_pylist([{**row, "images": [image]}])
    pq.write_table(table, tmp_path / "data" / "pairs.parquet")
    pairs = PairTable.open([str(tmp_path / "data" / "pairs.parquet")])
    with pytest.raises(UserError, match="no such image file"):
        Encoder.from_processor(processor, processor.tokenizer, max_length=4096).encode(pairs)
    monkeypatch.chdir(tmp_path)  # as in sampling and RL, beside the data or below the working directory
    (pair,), _ = Encoder.from_processor(processor, processor.tokenizer, max_length=4096).encode(pairs)
    assert pair.grids[0][1:] == tuple(side // 14 for side in tiny.open_png(row["images"][0]["bytes"]).size[::-1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([3], "an image must have bytes or a path, got int"),
        ([{"path": "one.png", "max_pixels": "many"}], "an image cannot be read .*'many' is no number"),
        ([{"path": "one.png", "max_pixels": float("inf")}], "an image cannot be read .*'inf' is no number"),
    ],
)
def test_an_image_entry_that_is_none_is_named(tmp_path, images, message):
    pq.write_table(pa.Table.from_pylist([{**tiny.row(3), "images": images}]), tmp_path / "pairs.parquet")
    with pytest.raises(UserError, match=f"pairs.parquet, row 0: .*{message}"):
        PairTable.open([str(tmp_path / "pairs.parquet")]).example(0)
