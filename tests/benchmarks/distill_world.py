r"""Prompts and finished sampling runs as a real distillation has them, without a model: for distill_pairs.py and
distill_memory.py.

    write_prompts(path, rows, image_bytes);  write_run(folder, prompts, rows, n, ZERO, seed)

Rows are in equal parts multiple choice, integers, decimals with units and mathematics (fractions, roots, polynomials,
trigonometry, intervals, integrals in several forms each). Responses have 300 to 3,000 characters; right ones give
their answer in several forms, wrong ones give that of another row. ZERO and BASE are the rates that the paper reports
for form (96.7 and 41.6 %), with a share right that both sides of a pair need.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data_prep import schema
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.sampling.parameters import rows_per_shard
from specs_verl.sampling.store import SampleRun

LETTERS = "ABCD"


@dataclass(frozen=True)
class Rates:
    """Shares of samples that are well formed, and right."""

    well_formed: float
    right: float


ZERO, BASE = Rates(0.967, 0.65), Rates(0.416, 0.5)


@dataclass(frozen=True)
class Task:
    """How a row is graded and what can be said that is right."""

    truth: str
    forms: tuple[str, ...]
    verifier: str
    params: dict[str, object]


def task(index: int) -> Task:
    """The task of a row; the kinds take turns."""
    rng = random.Random(index)
    kind = index % 4
    if kind == 0:
        options = [f"{rng.randint(2, 99)} cm" for _ in LETTERS]
        place = rng.randrange(4)
        letter = LETTERS[place]
        forms = (letter, f"({letter})", rf"\text{{{letter}}}", f"{letter}. {options[place]}")
        return Task(letter, forms, "choice", {"options": options})
    if kind == 1:
        value = rng.randint(1, 9999)
        return Task(str(value), (str(value), f"{value:,}", f"x = {value}"), "number", {"answer_type": "integer"})
    if kind == 2:
        value = rng.randint(100, 99999) / 100
        return Task(f"{value:.2f}", (f"{value:.2f}", f"{value} cm", rf"{value} \text{{ cm}}"), "number", {})
    return Task(*mathematics(index // 4, rng), "math", {})


def mathematics(number: int, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """A ground truth and the ways to write it; the last kind is decided by a symbolic worker only."""
    a, b = rng.randint(2, 40), rng.randint(41, 90)
    return (
        (rf"\frac{{{a}}}{{{b}}}", (rf"\frac{{{a}}}{{{b}}}", f"{a}/{b}", rf"\dfrac{{{2 * a}}}{{{2 * b}}}")),
        (rf"{a}\sqrt{{{b}}}", (rf"{a}\sqrt{{{b}}}", rf"{a} \sqrt {{{b}}}", rf"\sqrt{{{b}}} \cdot {a}")),
        (f"x^2+{a + b}x+{a * b}", (rf"(x+{a})(x+{b})", f"(x + {b})(x + {a})", f"x^2 + {a + b}x + {a * b}")),
        (rf"\sin({2 * a}x)", (rf"\sin {2 * a}x", rf"2\sin({a}x)\cos({a}x)")),
        (f"({a},{b}]", (f"({a}, {b}]", rf"{a} < x \le {b}", rf"x \in ({a},{b}]")),
        (rf"\frac{{{a * a}}}{{2}}", (rf"\int_0^{{{a}}} x\,dx", rf"\frac{{{a * a}}}{{2}}", str(a * a / 2))),
    )[number % 6]


def response(index: int, rng: random.Random, rates: Rates) -> str:
    """Some reasoning and an answer."""
    right = rng.random() < rates.right
    answer = rng.choice(task(index if right else index + 24).forms)
    steps = " ".join(
        f"Step {step}: in the figure the length of side {chr(97 + step % 26)} is {rng.randint(1, 99)} and the angle "
        f"beside it has {rng.randint(1, 179)} degrees."
        for step in range(1, rng.randint(4, 34))
    )
    thought = f"{steps} So the result is ${answer}$."
    stated = rf"The answer is $\boxed{{{answer}}}$"
    draw = rng.random()
    if draw < rates.well_formed:
        return f"<think> {thought} </think><answer> {stated}</answer>"
    return rng.choice((f"{thought} {stated}", f"<think> {thought} </think> {stated}", f"{thought}\nAnswer: {answer}"))


def image(index: int, size: int) -> bytes:
    """A PNG that no other row has, of about size * size * 3 / 2 bytes: coloured noise that compresses by half."""
    noise = np.random.default_rng(index).integers(0, 16, (size, size, 3), dtype=np.uint8) * 16
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "PNG", compress_level=1)
    return content.getvalue()


def write_prompts(path: Path, rows: int, image_size: int) -> None:
    """Rows in verl's schema with one image each."""
    with pq.ParquetWriter(path, schema.SCHEMA) as writer:
        for start in range(0, rows, 256):
            part = []
            for index in range(start, min(rows, start + 256)):
                asked = task(index)
                graded = schema.grading_columns(asked.truth, asked.verifier, asked.params)
                part.append(
                    {
                        "data_source": f"bench_{index % 4}",
                        "prompt": [{"role": "user", "content": f"<image>Question {index}: what is asked for?"}],
                        "images": [{"bytes": image(index, image_size), "path": None}],
                        "ability": "math",
                        "reward_model": graded["reward_model"],
                        "extra_info": {"index": index, "split": "train", "id": str(index), **graded["extra_info"]},
                    }
                )
            writer.write_table(pa.Table.from_pylist(part, schema=schema.SCHEMA))


def write_run(folder: Path, prompts: Path, rows: int, n: int, rates: Rates, seed: int) -> None:
    """A complete sampling run in `folder`, in the shards that sampling cuts."""
    run = SampleRun(folder)
    folder.mkdir()
    shard_rows = rows_per_shard(n)
    run.open(
        {
            "format": 1,
            "parameters": {"n": n},
            "model": folder.name,
            "model_fingerprint": folder.name,
            "data": [str(prompts)],
            "data_fingerprint": data_fingerprint([prompts]),
            "rows": rows,
            "shard_rows": shard_rows,
            "versions": {},
        }
    )
    rng = random.Random(seed)
    for shard, start in enumerate(range(0, rows, shard_rows)):
        samples = [
            {
                "row": index,
                "row_id": str(index),
                "sample": number,
                "response": response(index, rng, rates),
                "finish_reason": "stop",
                "n_tokens": 400,
                "prompt_tokens": 100,
                "n_vision_tokens": 0,
                "model": folder.name,
            }
            for index in range(start, min(rows, start + shard_rows))
            for number in range(n)
        ]
        run.write_shard(shard, samples, [])
    run.summarise(0.0)
