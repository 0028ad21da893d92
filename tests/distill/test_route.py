"""RISE routing by pass rate: dropped, own trajectory, expert trajectory; the expert is a real server on loopback."""

import json
import subprocess
import sys

import pytest
from chat_server import ChatServer

from reward_fns import verify
from specs_verl.distill.route import Routing, expert_prompt, route, usable_expert_text
from specs_verl.errors import UserError

from . import building


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    for name, value in (("ATTEMPTS", "3"), ("FIRST_PAUSE", "0.01"), ("TIMEOUT", "5")):
        monkeypatch.setenv(f"SPECS_ENDPOINT_{name}", value)


@pytest.fixture
def runs(tmp_path):
    """Row i (truth 10 + i) is right in PASSES[i] of 4 samples; row 6 was skipped."""
    passes = [4, 4, 3, 1, 0, 0, None, 0]
    prompts = building.write_prompts(tmp_path / "p.parquet", len(passes))
    samples = []
    for row, right in enumerate(passes):
        good, bad = building.whole(10 + row, 10 + row), building.whole(5, 5)
        samples.append(None if right is None else [good] * right + [bad] * (4 - right))
    samples[3] = [building.bare(13), *samples[3][:1], *samples[3][1:3]]  # right twice, once badly formed
    return prompts, building.write_run(tmp_path / "rl", prompts, samples)


def answer_of(body):
    """The answer that the expert was told."""
    return body["messages"][-1]["content"][-1]["text"].partition("correct answer is ")[2].partition(".")[0]


def expert(body):
    """Right in its own form for row 4, right but giving itself away at first for row 5, always wrong for row 7."""
    told = answer_of(body)
    if told == "14":
        return f"Count the left, count the right: 7+7={told}. The answer is {told}."
    if told == "15":
        whole = building.whole(told, told)
        return whole.replace("3+4", "As I was told the result, 3+4") if body["seed"] % 2 else whole
    return building.whole(1, 1)


def test_every_prompt_goes_where_its_pass_rate_says(runs, tmp_path):
    prompts, samples = runs
    with ChatServer(expert, faults=[500, "empty"]) as server:
        routing = Routing(
            (prompts,), samples, str(tmp_path / "out"), expert=f"{server.url}#teacher", attempts=8, workers=1
        )
        report = route(routing)
    assert report["counts"] == {
        "prompts": 7,
        "dropped: always right": 2,
        "self: sometimes right": 2,
        "expert: never right": 3,
        # The first ones of rows 4 and 5 can be used; row 7 is given up after all eight.
        "expert: samples": 10,
        "expert: verified": 2,
        "expert: dropped, no verified response": 1,
    }
    rows = {row["row"]: row for row in building.read(tmp_path / "out" / "sft.parquet")}
    assert sorted(rows) == [2, 3, 4, 5]
    assert [(rows[i]["origin"], rows[i]["stage"]) for i in (2, 3, 4, 5)] == [("self", 1)] * 2 + [("expert", 2)] * 2
    assert rows[2]["pass_rate"] == 0.75
    assert rows[3]["response"] == building.whole(13, 13), "a well-formed trajectory comes before a badly formed one"
    assert rows[4]["response"].startswith("<think> Count the left, count the right: 7+7=14.</think><answer>")
    for index, row in rows.items():
        assert verify(row["response"], str(10 + index), "number").status == "right"
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["messages"][0]["content"] == f"<image>Question {index}?", "the student's prompt tells no answer"
        assert row["messages"][1]["content"] == row["response"]
        assert row["images"][0]["bytes"] == building.image_bytes(index)


def test_without_an_expert_hard_prompts_are_dropped_and_counted(runs, tmp_path):
    prompts, samples = runs
    report = route(Routing((prompts,), samples, str(tmp_path / "out"), workers=1))
    assert report["trajectories"] == 2 and report["counts"]["expert: no expert given"] == 3


def test_an_expert_that_is_told_nothing_gets_the_prompts_as_they_are(runs, tmp_path):
    prompts, samples = runs
    asked = []

    def own_reader(body):
        asked.append(body["messages"][-1]["content"][-1]["text"])
        return building.whole(14, 14)

    with ChatServer(own_reader) as server:
        expert_at = f"{server.url}#teacher"
        report = route(
            Routing((prompts,), samples, str(tmp_path / "out"), expert_at, told=False, attempts=2, workers=1)
        )
    # Rows 4, 5 and 7 are never right; the truth of row 4 is 14, the others are tried twice.
    assert sorted(text.strip() for text in asked) == [f"Question {row}?" for row in (4, 5, 5, 7, 7)]
    assert report["counts"]["expert: verified"] == 1 and report["counts"]["expert: samples"] == 5


def test_the_expert_is_told_the_answer_or_the_knowledge():
    row = building.row(0, 12)
    assert "the correct answer is 12." in expert_prompt(row)[-1]["content"]
    row["extra_info"]["knowledge"] = "Circles count double."
    prompt = expert_prompt(row)[-1]["content"]
    assert "Circles count double." in prompt and "12" not in prompt
    assert row["prompt"][-1]["content"] == "<image>Question 0?", "the row itself is not changed"


@pytest.mark.parametrize(
    "response",
    ["The reference answer is 12, so 12.", "12", "5+6=11. The answer is 11.", "As told, 5+7=12. The answer is 12."],
)
def test_what_an_expert_may_not_write(response):
    assert usable_expert_text(building.row(0, 12), response) is None


def test_samples_of_other_prompts_are_refused(runs, tmp_path):
    other = building.write_prompts(tmp_path / "other.parquet", 3)
    with pytest.raises(UserError, match="other prompts"):
        route(Routing((other,), runs[1], str(tmp_path / "out")))


READ_WITH_VERL = """
import json, sys
from omegaconf import OmegaConf
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from data_prep.nano.model import build_processor

processor = build_processor()
config = OmegaConf.create({"max_length": 256, "pad_mode": "no_padding", "truncation": "error"})
loaded = MultiTurnSFTDataset(sys.argv[1], processor.tokenizer, config, processor)
items = [loaded[index] for index in range(len(loaded))]
learned = [processor.tokenizer.decode(item["input_ids"][item["loss_mask"].bool()]) for item in items]
patches = [item["multi_modal_inputs"]["pixel_values"].shape[0] for item in items]
json.dump({"learned": learned, "patches": patches}, open(sys.argv[2], "w"))
"""


def test_verls_own_data_set_reads_the_trajectories(tmp_path):
    """The response and nothing else is learned. In a process of its own: verl changes much in one that imports it."""
    from data_prep import nano

    prompts = str(nano.write_data(tmp_path, n_train=6, n_test=6, seed=0)["train"])
    truths = [row["reward_model"]["ground_truth"] for row in building.read(prompts)]
    samples = [[building.whole(truth, truth), building.whole("no", "no")] for truth in truths]
    route(Routing((prompts,), building.write_run(tmp_path / "rl", prompts, samples), str(tmp_path / "out"), workers=1))
    command = [sys.executable, "-c", READ_WITH_VERL, str(tmp_path / "out" / "sft.parquet"), str(tmp_path / "read.json")]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    read = json.loads((tmp_path / "read.json").read_text())
    assert len(read["learned"]) == len(truths) and min(read["patches"]) > 0
    for learned, truth in zip(read["learned"], truths, strict=True):
        assert learned.startswith(building.whole(truth, truth)) and "user" not in learned
