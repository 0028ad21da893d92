"""Small fabricated runs: a data set with drawn pictures and responses of known quality, in the real on-disk formats."""

import io
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.sampling.store import SampleRun

sys.path.insert(0, str(Path(__file__).parent))  # the helper modules beside this file

TASKS = ("sum", "product")


def picture_of(index: int) -> bytes:
    image = Image.new("RGB", (84, 84), "white")
    ImageDraw.Draw(image).rectangle((index % 50, 10, index % 50 + 30, 60), fill=(40 * index % 255, 90, 160))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_prompts(path: Path, count: int, asked_format: str = "think_answer") -> Path:
    rows = [
        {
            "data_source": f"shapes_{TASKS[index % 2]}",
            "prompt": [{"role": "user", "content": f"<image>What is the {TASKS[index % 2]} in picture {index}?"}],
            "images": [{"bytes": picture_of(index), "path": None}],
            "ability": "visual_reasoning",
            "reward_model": {"style": "rule", "ground_truth": str(10 + index), "verifier": "number", "params": "{}"},
            "extra_info": {
                "id": f"shape-{index}",
                "task": TASKS[index % 2],
                "format": asked_format,
                "verifier": "number",
            },
        }
        for index in range(count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def formatted(answer: int, well_formed: bool, asked_format: str = "think_answer") -> str:
    if asked_format == "colon":
        return f"I add them. Answer: {answer}" if well_formed else f"<answer>{answer}</answer>"
    if well_formed:
        return f"<think> I look at the picture. </think><answer> The answer is $\\boxed{{{answer}}}$</answer>"
    return f"<think> I look at the picture. The answer is $\\boxed{{{answer}}}$"


@dataclass(frozen=True)
class Quality:
    """Chances per response."""

    right: float
    well_formed: float


def write_run(
    out: Path, prompts: Path, quality: Quality, n: int = 4, seed: int = 0, asked_format: str = "think_answer"
) -> SampleRun:
    """A complete sampling run whose responses are right and well formed with the given chances."""
    rows = pq.read_table(prompts, columns=["reward_model", "extra_info"]).to_pylist()
    generator = random.Random(seed)
    run = SampleRun(out)
    per_shard = 16
    run.open(
        {
            "format": 1,
            "parameters": {"n": n},
            "model_fingerprint": "c-0",
            "data_fingerprint": data_fingerprint([prompts]),
            "rows": len(rows),
            "shard_rows": per_shard,
        }
    )
    for shard, start in enumerate(range(0, len(rows), per_shard)):
        samples = []
        for index in range(start, min(start + per_shard, len(rows))):
            gold = rows[index]["reward_model"]["ground_truth"]
            truth = int(gold) if gold.isdigit() else 0
            for number in range(n):
                answer = truth if generator.random() < quality.right else truth + 1
                text = formatted(answer, generator.random() < quality.well_formed, asked_format)
                samples.append(
                    {
                        "row": index,
                        "row_id": rows[index]["extra_info"]["id"],
                        "sample": number,
                        "response": text,
                        "finish_reason": "stop",
                        "n_tokens": len(text.split()),
                        "prompt_tokens": 20,
                        "n_vision_tokens": 9,
                        "model": "c-0",
                    }
                )
        run.write_shard(shard, samples, [])
    run.summarise(1.0)
    return run


def write_samples(out, prompts, responses, finish_reasons=None):
    """A complete run with the given responses: a list per row."""
    ids = [info["id"] for info in pq.read_table(prompts, columns=["extra_info"]).column(0).to_pylist()]
    run = SampleRun(out)
    run.open(
        {
            "format": 1,
            "parameters": {"n": len(responses[0])},
            "model_fingerprint": "c-0",
            "data_fingerprint": data_fingerprint([prompts]),
            "rows": len(responses),
            "shard_rows": len(responses),
        }
    )
    samples = [
        {
            "row": row,
            "row_id": ids[row],
            "sample": number,
            "response": text,
            "finish_reason": (finish_reasons or {}).get((row, number), "stop"),
            "n_tokens": 10 * (number + 1),
            "prompt_tokens": 5,
            "n_vision_tokens": 1,
            "model": "c-0",
        }
        for row, texts in enumerate(responses)
        for number, text in enumerate(texts)
    ]
    run.write_shard(0, samples, [])
    run.summarise(1.0)
    return run


def write_grpo_log(path: Path, steps: int, start: float, end: float) -> Path:
    """verl's `file` logger: {"step": .., "data": {..}} per line, nothing about accuracy or format."""
    generator = random.Random(steps)
    lines = []
    for step in range(1, steps + 1):
        score = start + (end - start) * step / steps + generator.gauss(0, 0.05)
        lines.append(
            {"step": step, "data": {"critic/score/mean": score, "response_length/mean": 40 - score, "actor/lr": 1e-4}}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_cold_start_log(path: Path, steps: int) -> Path:
    lines = [
        {
            "step": step,
            "loss": 1.2 / (1 + step / 10),
            "rewards/chosen": step / 20,
            "rewards/rejected": -step / 8,
            "rewards/margin": step / 20 + step / 8,
        }
        for step in range(1, steps + 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="session")
def fabricate():
    """The functions above under one name, since test modules cannot import a conftest."""

    class Fabricate:
        prompts = staticmethod(write_prompts)
        run = staticmethod(write_run)
        samples = staticmethod(write_samples)
        grpo_log = staticmethod(write_grpo_log)
        cold_start_log = staticmethod(write_cold_start_log)
        response = staticmethod(formatted)
        quality = Quality

    return Fabricate
