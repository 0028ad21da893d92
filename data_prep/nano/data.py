"""Parquet files of the nano world in verl's row schema.

    write_data("data/nano", n_train=2000, n_test=1000, seed=0)

    train.parquet   training scenes, prompts ask for think_answer
    test.parquet    held-out scenes, prompts ask for think_answer: in distribution
    ood.parquet     the questions of test.parquet, prompts ask in turn for the FAMILIES of other output formats: out of
                    distribution. ``data_source`` names the family, ``extra_info.format`` the very format (formats.py)

``extra_info.solution`` is the true reasoning, for judging judges and for a teacher that writes it.

The same arguments give the same rows on every machine; files appear complete or not at all.
Not here: how many rows a recipe uses (specs_verl.pipeline).
"""

import io
import json
import random
import zlib
from pathlib import Path

import pyarrow as pa

from data_prep.nano.formats import FAMILIES, draw_format, parse, prompt
from data_prep.nano.questions import TASKS, Question, ask, solve
from data_prep.nano.world import draw
from data_prep.tables import write_rows

_VERIFIERS = {task: ("text", {}) if task == "spell" else ("number", {"answer_type": "integer"}) for task in TASKS}


def verifier_of(task: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of the reward_fns verifier that grades answers of a task."""
    return _VERIFIERS[task]


def questions(count: int, seed: int, test: bool) -> list[Question]:
    """Distinct questions, the tasks in turn; test questions are on held-out scenes."""
    rng = random.Random(f"nano/{'test' if test else 'train'}/{seed}")
    found: dict[tuple[tuple[int, ...], str], Question] = {}
    while len(found) < count:
        question = ask(TASKS[len(found) % len(TASKS)], rng, test)
        found.setdefault((question.scene.kinds, question.text), question)
    return list(found.values())


def row(question: Question, form: str, split: str, index: int) -> dict[str, object]:
    """One row: the prompt asks ``question`` and wants the answer in ``form`` (a name that formats.py parses)."""
    task = question.query.task
    verifier, params = verifier_of(task)
    grading = {"verifier": verifier, "params": json.dumps(params)}
    png = io.BytesIO()
    draw(question.scene).save(png, format="PNG")
    identity = zlib.crc32(bytes(question.scene.kinds) + question.text.encode())
    return {
        "data_source": f"nano_{task}" if form == "think_answer" else f"nano_ood_{form.partition(':')[0]}",
        "prompt": [{"role": "user", "content": prompt(question.text, parse(form))}],
        "images": [{"bytes": png.getvalue(), "path": None}],
        "ability": "visual_reasoning",
        "reward_model": {"style": "rule", "ground_truth": question.answer, **grading},
        "extra_info": {
            "index": index,
            "split": split,
            "id": f"nano-{split}-{index:06d}-{identity:08x}",
            "task": task,
            "format": form,
            "question": question.text,
            "solution": solve(question.query, question.scene.cells).steps,
            **grading,
        },
    }


def ood_formats(count: int, seed: int) -> list[str]:
    """Formats for test questions: one family per round of tasks, so that each meets every task."""
    rng = random.Random(f"nano/ood/{seed}")
    return [draw_format(FAMILIES[index // len(TASKS) % len(FAMILIES)], rng) for index in range(count)]


_GRADING = [("verifier", pa.string()), ("params", pa.string())]
_SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string()), *_GRADING])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    *((name, pa.string()) for name in ("split", "id", "task", "format", "question", "solution")),
                    *_GRADING,
                ]
            ),
        ),
    ]
)


def write_data(out_dir: str | Path, n_train: int, n_test: int, seed: int = 0) -> dict[str, Path]:
    """Writes the three files; returns their paths by name. ood.parquet has ``n_test`` rows too."""
    out = Path(out_dir)
    test = questions(n_test, seed, test=True)
    asked = {
        "train": [(question, "think_answer") for question in questions(n_train, seed, test=False)],
        "test": [(question, "think_answer") for question in test],
        "ood": list(zip(test, ood_formats(n_test, seed), strict=True)),
    }
    paths = {split: out / f"{split}.parquet" for split in asked}
    for split, items in asked.items():
        write_rows(paths[split], _SCHEMA, (row(*item, split, index) for index, item in enumerate(items)))
    return paths
