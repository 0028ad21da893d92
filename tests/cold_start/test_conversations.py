"""The supervised stage: conversations give the loss of separate forward passes, in the order of their stages."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_vlm as tiny
import torch
from engine_setup import Setup, compose_config, one_process
from safetensors.torch import load_file
from separate import rollout_image
from transformers import AutoModelForImageTextToText, AutoProcessor

from specs_verl.cold_start.conversations import ConversationTable
from specs_verl.cold_start.inputs import check_data
from specs_verl.errors import UserError


def conversation(number: int, images: int = 1, turns: int = 1, stage: int = 1) -> dict:
    """A row as `specs route` writes it; with `turns` answers."""
    row = tiny.row(number, images)
    messages = [{"role": "system", "content": "Be brief."}, *row["prompt"]]
    for turn in range(turns):
        messages.append({"role": "assistant", "content": f"{row['chosen']} {turn}"})
        if turn < turns - 1:
            messages.append({"role": "user", "content": f"And {turn}?"})
    kept = {name: row[name] for name in ("data_source", "prompt", "images", "extra_info")}
    return {**kept, "messages": messages, "stage": stage}


def write(file, rows: list[dict], images: bool = True):
    if images:
        return tiny.write_pairs(file, rows)
    pq.write_table(pa.Table.from_pylist([{k: v for k, v in row.items() if k != "images"} for row in rows]), file)
    return file


ROWS = [
    conversation(0),
    conversation(1, images=2),
    conversation(2, images=0),
    conversation(3, turns=3),
    dict(conversation(0), messages=[*conversation(0)["messages"][:-1], {"role": "assistant", "content": "Another."}]),
]


@pytest.fixture(scope="module")
def setup(model_dir, tmp_path_factory):
    return Setup(model_dir, ROWS, tmp_path_factory.mktemp("conversations"), table_class=ConversationTable)


@pytest.fixture(scope="module")
def reference(model_dir):
    model = AutoModelForImageTextToText.from_pretrained(model_dir, attn_implementation="sdpa")
    return model.eval(), AutoProcessor.from_pretrained(model_dir)


def separate_nll(reference, row: dict) -> list[torch.Tensor]:
    """Token NLL of every answer of a row, each from a forward pass of its own over the conversation up to its end."""
    model, processor = reference
    images = [rollout_image(image, processor) for image in row["images"]]
    found = []
    for end, message in enumerate(row["messages"]):
        if message["role"] != "assistant":
            continue
        messages = []
        for earlier in row["messages"][:end]:
            parts = [{"type": "image"}] * earlier["content"].count("<image>")
            text = {"type": "text", "text": earlier["content"].replace("<image>", "")}
            messages.append({"role": earlier["role"], "content": [*parts, text]})
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        before = processor(text=[text], images=images or None, return_tensors="pt")
        answer = processor.tokenizer(message["content"] + "<|im_end|>", return_tensors="pt")["input_ids"]
        ids = torch.cat([before["input_ids"], answer], 1)
        extra = {name: before[name] for name in ("pixel_values", "image_grid_thw") if images}
        types = (ids == model.config.image_token_id).int()
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=types, **extra).logits
        start = before["input_ids"].shape[1]
        scores = logits[0, start - 1 : -1].log_softmax(-1)
        found.append(-scores.gather(1, answer[0][:, None])[:, 0])
    return found


def expected(reference, setup) -> torch.Tensor:
    """Token NLL of the row that `setup` has packed."""
    rows = [setup.rows[setup.pairs[pair].index] for pair in setup.row.pairs]
    return torch.cat([nll for row in rows for nll in separate_nll(reference, row)])


def test_nll_equals_that_of_separate_forward_passes(setup, reference):
    setup.pack()
    assert len(setup.row.layout.groups) == 4, "two of the five rows share their prompt and image"
    with torch.no_grad():
        ours = -setup.engine.token_log_probs(setup.row)
    assert (ours - expected(reference, setup)).abs().max() < 1e-5


def test_a_row_whose_answers_saw_each_other_would_be_noticed(setup, reference, monkeypatch):
    # the control: row 4 continues the prompt of row 0; let it follow row 0's answer instead
    from specs_verl.cold_start.layout import Group, Layout

    setup.pack()
    first, *rest = setup.row.layout.groups
    leaky = Layout((Group(first.prompt + first.branches[0], first.branches[1:]), *rest))
    row = setup.row.__class__(**{**vars(setup.row), "layout": leaky})
    with torch.no_grad():
        ours = -setup.engine.token_log_probs(row)
    assert (ours - expected(reference, setup)).abs().max() > 1e-3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """11 conversations of two stages, 3 for validation, 5 without a column of images, and preference pairs."""
    folder = tmp_path_factory.mktemp("files")
    stages = [2, 1, 1, 2, 1, 2, 1, 1, 2, 1, 1]
    rows = [conversation(n, images=n % 3, turns=1 + n % 2, stage=stage) for n, stage in enumerate(stages)]
    write(folder / "train.parquet", rows)
    write(folder / "val.parquet", [conversation(40 + n) for n in range(3)])
    write(folder / "text.parquet", [conversation(50 + n, images=0) for n in range(5)], images=False)
    tiny.write_pairs(folder / "pairs.parquet", tiny.rows(3))
    return folder


def settings(model, out, files, *overrides: str):
    return compose_config(
        f"model.path={model}",
        f"data.train_files={files / 'train.parquet'}",
        f"trainer.default_local_dir={out}",
        f"reference.cache_dir={out}/cache",
        "loss=sft",
        "data.train_batch_size=4",
        "data.max_token_len_per_gpu=600",
        "optim.lr=1e-3",
        "optim.lr_warmup_steps_ratio=0.0",
        *overrides,
    )


@pytest.fixture
def train(model_dir, files, tmp_path):
    def run(*overrides: str, out=tmp_path / "out") -> list[dict]:
        from specs_verl.cold_start.trainer import Trainer

        one_process()
        Trainer(settings(model_dir, out, files, *overrides)).run()
        return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]

    run.out, run.model = tmp_path / "out", model_dir
    return run


@pytest.mark.parametrize("normalization", ["token", "pair", "sum"])
def test_the_first_loss_is_the_mean_of_separate_passes(train, files, reference, normalization):
    metrics = train(f"loss.sft_normalization={normalization}", "data.train_batch_size=11", "trainer.total_epochs=2")
    per_row = [torch.cat(separate_nll(reference, row)) for row in pq.read_table(files / "train.parquet").to_pylist()]
    mean = {
        "token": torch.cat(per_row).mean(),
        "pair": torch.stack([row.mean() for row in per_row]).mean(),
        "sum": torch.stack([row.sum() for row in per_row]).mean(),
    }
    assert metrics[0]["loss"] == pytest.approx(float(mean[normalization]), rel=1e-5)
    assert metrics[0]["nll"] == pytest.approx(float(mean["token"]), rel=1e-5)
    assert metrics[1]["loss"] < metrics[0]["loss"]
    before, after = (load_file(folder / "model.safetensors") for folder in (train.model, train.out / "hf"))
    assert all(torch.equal(before[name], after[name]) == name.startswith("visual.") for name in before)


def test_stages_come_one_after_the_other(train):
    # 7 rows of stage 1 and 4 of stage 2, in batches of 4: 2 epochs of 2 steps, then 2 epochs of 1
    report = train("data.stage_column=stage", "trainer.total_epochs=2")
    assert [(line["stage"], line["epoch"]) for line in report] == [(1, 0), (1, 0), (1, 1), (1, 1), (2, 0), (2, 1)]


def test_a_resumed_run_is_the_uninterrupted_run(train, files, tmp_path):
    options = ["data.stage_column=stage", "trainer.total_epochs=2", "trainer.save_freq=1"]
    options += ["trainer.max_ckpt_to_keep=null", f"data.val_files={files / 'val.parquet'}", "trainer.test_freq=2"]
    straight = train(*options)
    broken = tmp_path / "broken"
    shutil.copytree(train.out, broken)
    (broken / "complete.json").unlink()
    for step in (4, 5, 6):
        shutil.rmtree(broken / "checkpoints" / f"step_00000{step}")
    resumed = train(*options, out=broken)
    kept = ("step", "loss", "nll", "lr", "grad_norm", "val/loss", "val/nll", "stage")
    assert [[line.get(name) for name in kept] for line in resumed] == [
        [line.get(name) for name in kept] for line in straight
    ]
    assert "val/nll" in straight[1] and straight[-1]["val/nll"] < straight[1]["val/nll"]


def test_rows_with_and_without_a_column_of_images_are_mixed(train, files):
    both = f"data.train_files=[{files / 'train.parquet'},{files / 'text.parquet'}]"
    assert len(train(both, "data.train_batch_size=8")) == 2  # 11 + 5 rows


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=dpo_sft", "train.parquet holds conversations .*Set loss=sft"),
        ("data.stage_column=nothing", "train.parquet: there is no column nothing"),
        ("+data.stage_column=stage data.stages=[1]", r"data.stages=\['1'\]: name each stage .*found: 1, 2"),
        ("data.stage_column=stage trainer.total_training_steps=3", "cannot be set together with several stages"),
        ("data.val_files=PAIRS", "pairs.parquet: column messages is missing"),
    ],
)
def test_settings_that_cannot_be(train, files, override, message):
    overrides = override.replace("PAIRS", str(files / "pairs.parquet")).replace("+", "").split()
    with pytest.raises(UserError, match=message):
        train(*overrides)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "needs a prompt and an assistant's turn"),
        ([("user", "Q")], "needs a prompt and an assistant's turn"),
        ([("assistant", "A")], "needs a prompt and an assistant's turn"),
        ([("user", "Q"), ("assistant", " ")], "message 1, an assistant's turn, is empty"),
        ([("user", "Q"), ("robot", "A")], "message 1 lacks a content or has a role other than"),
        ([("user", "<image>Q"), ("assistant", "A")], "1 <image> placeholders but 0 images"),
        ([("user", "Q"), ("assistant", "A"), ("user", "<image>?"), ("assistant", "B")], "image after the first answer"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_named(tmp_path, messages, message):
    rows = [conversation(0, images=0), conversation(1, images=0)]
    rows[1]["messages"] = [{"role": role, "content": content} for role, content in messages]
    table = ConversationTable.open([str(write(tmp_path / "sft.parquet", rows))])
    table.example(0)
    with pytest.raises(UserError, match=rf"sft.parquet, row 1: .*{message}"):
        table.example(1)


def test_the_kind_of_data_is_that_of_its_columns(model_dir, files, tmp_path):
    assert check_data(settings(model_dir, tmp_path, files)) == "conversations"
    assert check_data(settings(model_dir, tmp_path, files, f"data.train_files={files / 'pairs.parquet'}")) == "pairs"
