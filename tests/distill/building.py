"""Small data sets and sampling runs written by hand, with vLLM nowhere near."""

import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.sampling.store import SampleRun


def image_bytes(number):
    """A small PNG that differs from row to row."""
    content = io.BytesIO()
    Image.new("RGB", (28, 28), (number % 256, number // 256 % 256, 90)).save(content, "PNG")
    return content.getvalue()


def row(index, answer):
    """A row of verl's schema whose right answer is a number."""
    grading = {"verifier": "number", "params": "{}"}
    return {
        "data_source": "hand",
        "prompt": [{"role": "user", "content": f"<image>Question {index}?"}],
        "images": [{"bytes": image_bytes(index), "path": None}],
        "ability": "count",
        "reward_model": {"style": "rule", "ground_truth": str(answer), **grading},
        "extra_info": {"index": index, "split": "train", "id": f"q{index}", **grading},
    }


def write_prompts(path, n, same=False):
    """n rows; the answer of row i is 10 + i. Or n times the same row."""
    pq.write_table(pa.Table.from_pylist([row(0 if same else i, 10 if same else 10 + i) for i in range(n)]), path)
    return str(path)


def write_run(path, prompts, responses, *, model="c-model", rows_per_shard=4):
    """A complete sampling run; responses[i] are the samples of row i, None for a row that was skipped."""
    run = SampleRun(Path(path))
    run.path.mkdir(parents=True)
    run.open(
        {
            "format": 1,
            "parameters": {"n": max(len(r) for r in responses if r is not None), "seed": 0},
            "model": "models/hand",
            "model_fingerprint": model,
            "data": [prompts],
            "data_fingerprint": data_fingerprint([prompts]),
            "rows": len(responses),
            "shard_rows": rows_per_shard,
            "versions": {},
        }
    )
    for shard in range(-(-len(responses) // rows_per_shard)):
        samples, skipped = [], []
        for index in range(shard * rows_per_shard, min(len(responses), (shard + 1) * rows_per_shard)):
            if responses[index] is None:
                skipped.append({"row": index, "row_id": f"q{index}", "kind": "corrupt_image", "reason": "made up"})
                continue
            samples += [sample(index, number, text, model) for number, text in enumerate(responses[index])]
        run.write_shard(shard, samples, skipped)
    run.summarise(1.0)
    return str(path)


def sample(index, number, text, model="c-model"):
    """One record of a shard."""
    return {
        "row": index,
        "row_id": f"q{index}",
        "sample": number,
        "response": text,
        "finish_reason": "stop",
        "n_tokens": len(text),
        "prompt_tokens": 10,
        "n_vision_tokens": 0,
        "model": model,
    }


def whole(thought_value, answer_value):
    """A well-formed response that concludes one value and answers another (or the same)."""
    return rf"<think> 3+4={thought_value}.</think><answer> The answer is $\boxed{{{answer_value}}}$</answer>"


def bare(value):
    """Right content without any tag."""
    return rf"3+4={value}. The answer is $\boxed{{{value}}}$"


def read(path):
    """Rows of a parquet as dictionaries."""
    return pq.read_table(path).to_pylist()


def random_runs(directory, prompts, n_rows, seed=0, n=4):
    """Chosen and rejected runs with realistic mixtures of form and correctness; returns their directories."""
    rng = random.Random(seed)
    zero, base = [], []
    for index in range(n_rows):
        truth = 10 + index
        zero.append([whole(truth, truth) if rng.random() < 0.7 else whole(truth + 1, truth + 1) for _ in range(n)])
        texts = []
        for _ in range(n):
            value = truth if rng.random() < 0.6 else truth + 1
            texts.append(whole(value, value) if rng.random() < 0.4 else bare(value))
        base.append(texts)
    return (
        write_run(directory / "zero", prompts, zero, model="c-zero", rows_per_shard=16),
        write_run(directory / "base", prompts, base, model="c-base", rows_per_shard=16),
    )


def report_of(out):
    """report.json of a distillation."""
    return json.loads((Path(out) / "report.json").read_text())
