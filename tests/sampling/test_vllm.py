"""Real vLLM on a nano model with random weights: the prompts it sees, the tokens it gives, the rows it skips.

vLLM is started once for all tests of this file.
"""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import nano
from specs_verl.files.shapes import shape_fingerprint
from specs_verl.sampling import EngineSettings, Job, SamplingParameters, sample_all

pytestmark = pytest.mark.end_to_end

TOKENS = 16


def random_nano(directory, seed):
    from data_prep.nano.model import build_model

    model, processor = build_model(seed=seed)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return random_nano(tmp_path_factory.mktemp("random-nano"), seed=0)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return random_nano(tmp_path_factory.mktemp("other-nano"), seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """24 rows of the nano world, four of them spoiled."""
    directory = tmp_path_factory.mktemp("data")
    path = nano.write_data(directory, n_train=24, n_test=8, seed=3)["train"]
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[2]["images"][0]["bytes"] = b"no image"
    rows[5]["images"] = [{"bytes": None, "path": "gone.png"}]
    rows[9]["prompt"][0]["content"] += " really" * 2000
    rows[20]["images"] *= 2
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), directory / "spoiled.parquet")
    return directory / "spoiled.parquet"


SPOILED = {2: "corrupt_image", 5: "missing_image", 9: "prompt_too_long", 20: "image_count"}


@pytest.fixture(scope="module")
def runs(checkpoint, other, data, tmp_path_factory):
    """A greedy run, one with the weights of another checkpoint, and two runs at temperature 1 with the same seed."""
    out = tmp_path_factory.mktemp("runs")
    lengths = {"max_tokens": TOKENS, "max_prompt_tokens": 256, "seed": 11}
    greedy = SamplingParameters(n=1, temperature=0.0, **lengths)
    drawn = SamplingParameters(n=3, temperature=1.0, **lengths)
    jobs = [
        Job(str(model), (str(data),), str(out / name), parameters, engine=EngineSettings(workers=1))
        for name, model, parameters in (
            ("greedy", checkpoint, greedy),
            ("other", other, greedy),
            ("drawn", checkpoint, drawn),
            ("again", checkpoint, drawn),
        )
    ]
    return dict(zip(("greedy", "other", "drawn", "again"), sample_all(jobs), strict=True))


def test_rows_that_cannot_be_sampled_are_skipped_with_their_kind(runs):
    for run in runs.values():
        assert {row["row"]: row["kind"] for row in run.skipped()} == SPOILED
        assert {record["row"] for record in run.samples()} == set(range(24)) - set(SPOILED)


@pytest.mark.parametrize("name", ["greedy", "other"])
def test_greedy_samples_are_those_of_transformers(runs, checkpoint, other, data, name):
    """The same chat template, image processing and special tokens: so the same text, token by token.

    The engine of the first run takes the weights of the second: what it cached for the same prompts must be forgotten.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from data_prep.images import decode_image

    assert shape_fingerprint(checkpoint) == shape_fingerprint(other)
    source = {"greedy": checkpoint, "other": other}[name]
    processor = AutoProcessor.from_pretrained(source)
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32)
    rows = pq.read_table(data).to_pylist()
    agreeing = 0
    records = list(runs[name].samples())
    for record in records:
        row = rows[record["row"]]
        text = row["prompt"][0]["content"].removeprefix("<image>")
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        template = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        images = [decode_image(image, data) for image in row["images"]]
        inputs = processor(text=[template], images=images, return_tensors="pt")
        assert inputs["input_ids"].shape[1] == record["prompt_tokens"]
        output = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        agreeing += processor.tokenizer.decode(output, skip_special_tokens=True) == record["response"]
    # With random weights the two best tokens may tie within rounding: one row in twenty may differ.
    assert agreeing >= len(records) - 1


def test_the_same_seed_gives_the_same_samples(runs):
    drawn, again = ([record["response"] for record in runs[name].samples()] for name in ("drawn", "again"))
    assert drawn == again
    assert len(set(drawn)) > len(drawn) / 2, "at temperature 1 random weights hardly ever repeat themselves"


def test_log_probabilities_are_those_of_the_sampling_distribution(checkpoint, data, tmp_path):
    """The first position depends on the prompt alone: transformers gives the same five, after the temperature."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from data_prep.images import decode_image

    parameters = SamplingParameters(n=2, temperature=0.7, max_tokens=4, max_prompt_tokens=256, seed=3, logprobs=5)
    settings = EngineSettings(workers=1)
    (run,) = sample_all([Job(str(checkpoint), (str(data),), str(tmp_path / "run"), parameters, 2, settings)])
    records = list(run.samples())
    assert len(records) == 2 * 2
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    rows = pq.read_table(data).to_pylist()
    for record in records:
        tops = torch.tensor(record["top_logprobs"]).view(-1, 5)
        assert len(tops) == record["n_tokens"] == len(record["token_logprobs"])
        assert (tops.diff(dim=1) <= 0).all() and (tops[:, 0] >= torch.tensor(record["token_logprobs"]) - 1e-6).all()
        row = rows[record["row"]]
        content = [{"type": "image"}, {"type": "text", "text": row["prompt"][0]["content"].removeprefix("<image>")}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        images = [decode_image(image, data) for image in row["images"]]
        with torch.no_grad():
            logits = model(**processor(text=[text], images=images, return_tensors="pt")).logits[0, -1]
        expected = (logits / 0.7).log_softmax(-1).topk(5).values
        assert torch.allclose(tops[0], expected, atol=1e-3)


@pytest.mark.cluster
def test_two_processes_that_hold_one_model_sample_what_one_does(runs, checkpoint, other, data, tmp_path):
    """Also with weights that are exchanged in all of them. Half a minute and 2 GiB more: not part of `make test`."""
    parameters = SamplingParameters(n=1, temperature=0.0, max_tokens=TOKENS, max_prompt_tokens=256, seed=11)
    settings = EngineSettings(workers=1, tensor_parallel=2)
    jobs = [
        Job(str(model), (str(data),), str(tmp_path / name), parameters, engine=settings)
        for name, model in (("greedy", checkpoint), ("other", other))
    ]
    for name, run in zip(("greedy", "other"), sample_all(jobs), strict=True):
        texts = [[record["response"] for record in samples.samples()] for samples in (runs[name], run)]
        # With random weights the two best tokens may tie within rounding: one row in twenty may differ.
        assert sum(one == two for one, two in zip(*texts, strict=True)) >= len(texts[0]) - 1 >= 19


def test_tokens_and_their_kinds_are_counted(runs):
    records = list(runs["drawn"].samples())
    assert all(1 <= record["n_tokens"] <= TOKENS for record in records)
    assert all(record["n_tokens"] == TOKENS for record in records if record["finish_reason"] == "length")
    assert runs["drawn"].summary["truncated"] == sum(record["finish_reason"] == "length" for record in records)
    # Random weights write image tokens too; they are counted and do no harm.
    assert runs["drawn"].summary["with_vision_tokens"] == sum(record["n_vision_tokens"] > 0 for record in records)
    assert all("<|image_pad|>" not in record["response"] for record in records)
