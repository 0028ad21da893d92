"""The pairs as a data set that verl's own loaders build, checked against the processor and the model itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf

from data_prep import nano
from data_prep.images import decode_image
from data_prep.nano.model import build_model
from specs_verl.cold_start.preference_dataset import PreferenceDataset
from specs_verl.distill import Distillation, distill
from specs_verl.errors import UserError

from . import building

N_ROWS = 12


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs of a real distillation over nano-world rows; two images in one of them, none in another."""
    folder = tmp_path_factory.mktemp("pairs")
    source = nano.write_data(folder, n_train=N_ROWS, n_test=6, seed=0)["train"]
    table = pq.read_table(source)
    rows = table.to_pylist()
    rows[1]["prompt"][0]["content"] = "<image>" + rows[1]["prompt"][0]["content"]
    rows[1]["images"] *= 2
    rows[2]["prompt"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": rows[2]["prompt"][0]["content"].replace("<image>", "")},
    ]
    rows[2]["images"] = []
    prompts = str(folder / "prompts.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), prompts)
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    zero = building.write_run(folder / "zero", prompts, [[building.whole(truth, truth)] for truth in truths])
    base = building.write_run(folder / "base", prompts, [[building.bare(truth)] for truth in truths])
    distill(Distillation((prompts,), zero, base, str(folder / "out"), workers=1))
    return folder / "out" / "pairs.parquet"


@pytest.fixture(scope="module")
def read(pairs, tmp_path_factory):
    """What verl's loaders made of the file."""
    out = tmp_path_factory.mktemp("read") / "read.pt"
    script = Path(__file__).with_name("read_as_preferences.py")
    subprocess.run([sys.executable, str(script), str(pairs), str(out)], check=True, timeout=300)
    return torch.load(out, weights_only=False)


@pytest.fixture(scope="module")
def nano_model():
    return build_model(seed=0)


def test_every_pair_is_an_item(pairs, read):
    rows = building.read(pairs)
    assert len(read["items"]) == len(rows) == N_ROWS and read["few"] == 3
    assert [item["index"] for item in read["items"]] == list(range(N_ROWS))


def test_tokens_are_the_prompt_of_the_processor_and_the_response_and_nothing_else(pairs, read, nano_model):
    _, processor = nano_model
    for row, item in zip(building.read(pairs), read["items"], strict=True):
        content = [{"type": "image"} for _ in row["images"]]
        messages = [
            *row["prompt"][:-1],
            {
                "role": "user",
                "content": [*content, {"type": "text", "text": row["prompt"][-1]["content"].replace("<image>", "")}],
            },
        ]
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        images = [decode_image(image, pairs) for image in row["images"]] or None
        expected = processor(text=[text], images=images, return_tensors="pt")
        prompt = expected["input_ids"][0]
        for prefix, side in (("", "chosen"), ("rejected_", "rejected")):
            ids, mask = item[f"{prefix}input_ids"], item[f"{prefix}loss_mask"].bool()
            assert torch.equal(ids[~mask], prompt) and not mask[: len(prompt)].any()
            # What the model writes: the response, then the one token that ends its turn.
            assert processor.tokenizer.decode(ids[mask]) == row[side] + "<|im_end|>"
            assert len(item[f"{prefix}position_ids"][0]) == len(ids)
        if images:
            assert torch.equal(item["multi_modal_inputs"]["pixel_values"], expected["pixel_values"])
            assert torch.equal(item["multi_modal_inputs"]["image_grid_thw"], expected["image_grid_thw"])
        else:
            assert item["multi_modal_inputs"] == {}


def test_positions_are_those_of_the_model(read, nano_model):
    model, processor = nano_model
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for item in read["items"]:
        for prefix in ("", "rejected_"):
            ids = item[f"{prefix}input_ids"].unsqueeze(0)
            grids = item["multi_modal_inputs"].get("image_grid_thw")
            expected, _ = model.model.get_rope_index(ids, (ids == pad).int(), image_grid_thw=grids)
            positions = item[f"{prefix}position_ids"]
            assert torch.equal(positions[0], torch.arange(ids.shape[1]))
            assert torch.equal(positions[1:], expected[:, 0])


def test_both_loaders_give_the_same_items(read):
    for one, other in zip(read["items"], read["from_the_other_loader"], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one if isinstance(one[key], torch.Tensor))


def test_verls_collator_keeps_every_length(read):
    first = read["items"][:3]
    for key, lengths in read["collated_lengths"].items():
        assert lengths == [item[key].shape[-1] for item in first]
    assert len(read["collated_lengths"]) == 6
    assert torch.equal(read["collated_grids"][1], first[1]["multi_modal_inputs"]["image_grid_thw"])


@pytest.mark.end_to_end
def test_verls_sft_trainer_trains_on_the_chosen_responses(pairs, nano_model, tmp_path):
    """The first loss it prints is the mean over all chosen tokens, computed here with the model alone."""
    model, processor = nano_model
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    table = pq.read_table(pairs)
    with_images = [index for index, row in enumerate(table.to_pylist()) if row["images"]]
    pq.write_table(table.take(with_images), tmp_path / "pairs.parquet")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "-m", "verl.trainer.sft_trainer"),
        "data.custom_cls.path=pkg://specs_verl.cold_start.preference_dataset",
        "data.custom_cls.name=PreferenceDataset",
        f"data.train_files={tmp_path / 'pairs.parquet'}",
        f"+data.cache_dir={tmp_path / 'cache'}",
        *(f"data.train_batch_size={len(with_images)}", "data.num_workers=0", "data.max_length=512"),
        *(f"model.path={tmp_path / 'model'}", "model.use_remove_padding=False"),
        "+model.override_config.attn_implementation=sdpa",
        *("engine.strategy=fsdp2", "+engine.mixed_precision={param_dtype:fp32,reduce_dtype:fp32,buffer_dtype:fp32}"),
        *("trainer.device=cpu", "trainer.total_training_steps=2", "trainer.logger=[console]"),
        *(f"trainer.default_local_dir={tmp_path / 'out'}", "trainer.resume_mode=disable"),
    ]
    environment = {**os.environ, "VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda", "TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    losses = [float(loss) for loss in re.findall(r"train/loss:([0-9.]+)", done.stdout)]
    total = tokens = 0
    loaded = PreferenceDataset(
        str(tmp_path / "pairs.parquet"), processor.tokenizer, data_section(cache_dir=str(tmp_path)), processor
    )
    for item in (loaded[index] for index in range(len(loaded))):
        ids = item["input_ids"].unsqueeze(0)
        pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        with torch.no_grad():
            logits = model(input_ids=ids, mm_token_type_ids=(ids == pad).int(), **item["multi_modal_inputs"]).logits
        losses_of_tokens = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
        answer = item["loss_mask"][1:].bool()
        total += losses_of_tokens[answer].sum().item()
        tokens += int(answer.sum())
    assert losses[0] == pytest.approx(total / tokens, abs=1e-4)
    assert losses[1] != losses[0], "the second step sees weights that have moved"


def data_section(**settings):
    return OmegaConf.create({"max_length": 512, "truncation": "error", "pad_mode": "no_padding"} | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pad_mode": "right"}, "pad_mode=right"),
        ({"truncation": "left"}, "never cut"),
        ({"max_length": 40}, r"pairs\.parquet, row 0: prompt \d+ \+ chosen response \d+ \+ rejected .* exceed"),
    ],
)
def test_settings_that_would_damage_pairs_are_refused(pairs, nano_model, tmp_path, settings, message):
    processor = nano_model[1]
    config = data_section(cache_dir=str(tmp_path), **settings)
    with pytest.raises(UserError, match=message):
        PreferenceDataset(str(pairs), processor.tokenizer, config, processor)


def test_long_pairs_can_be_left_out_and_are_counted(pairs, nano_model, tmp_path):
    processor = nano_model[1]
    lengths = sorted(
        pair.shared_tokens
        for pair in PreferenceDataset(
            str(pairs), processor.tokenizer, data_section(cache_dir=str(tmp_path)), processor
        ).pairs
    )
    config = data_section(cache_dir=str(tmp_path), too_long="drop", max_length=lengths[-1] - 1)
    kept = PreferenceDataset(str(pairs), processor.tokenizer, config, processor)
    longest = lengths.count(lengths[-1])
    assert (len(kept), kept.dropped) == (N_ROWS - longest, longest)


def test_files_without_pairs_are_named(tmp_path, nano_model):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)
    processor = nano_model[1]
    with pytest.raises(UserError, match=r"p\.parquet: column chosen, rejected is missing"):
        PreferenceDataset(prompts, processor.tokenizer, data_section(cache_dir=str(tmp_path)), processor)
