"""Made-up benchmarks for official_evaluators.py: published rows, responses in every form, VLMEvalKit's tables.

    made_up("mathvista", folder)                        # the tests' fixture, every row once per form
    rows, texts = run_of(folder / "run", prepared)      # a sampling run with a response in the form of its turn
    table_row("mathvista", 0, row)                      # as VLMEvalKit's own table holds the published row

Nothing of the originals. Not here: who scores the responses (official_evaluators.py).
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from specs_verl.measure.benchmarks.benchmark import LETTERS
from specs_verl.measure.benchmarks.source import list_of

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "measure" / "benchmarks"))

import published_rows as published  # noqa: E402

Row = dict[str, Any]
ID_COLUMN = {"mathvista": "pid", "mathverse": "sample_index", "wemath": "ID"}
MEGA_FOLDER = "TIGER-Lab/MEGA-Bench"
"""Where the evaluators look for the published rows: below the working folder, before the network."""


@dataclass(frozen=True)
class Asked:
    """A question as the forms see it."""

    gold: str
    wrong: str
    text: str
    """Of the right option; the gold where no texts are known."""

    letter: bool


def inside(pattern: str) -> Callable[[Asked], str]:
    """A response in the trained form whose answer block holds the pattern."""
    return lambda asked: (
        "<think> I look at the picture. </think><answer> " + pattern.format(**vars(asked)) + " </answer>"
    )


def other_spelling(gold: str) -> str:
    """Another way to write the same answer: a small letter, a list as words, one decimal more."""
    if gold.startswith("["):
        return gold.strip("[]").replace(",", " and")
    return gold.lower() if not gold[-1].isdigit() else f"{gold}4" if "." in gold else f"{gold}.0"


def too_coarse(asked: Asked) -> str:
    """A number with its first decimal alone, which is another number; else the wrong answer."""
    return f"{float(asked.gold):.1f}" if re.fullmatch(r"\d+\.\d{2,}", asked.gold) else asked.wrong


FORMS: dict[str, Callable[[Asked], str]] = {
    "gold": inside("{gold}"),
    "box": inside(r"\boxed{{{gold}}}"),
    "sentence with box": inside(r"The answer is $\boxed{{{gold}}}$"),
    "parentheses": inside("({gold})"),
    "gold and text": lambda asked: inside("{gold}. {text}" if asked.letter and len(asked.gold) == 1 else "{gold}")(
        asked
    ),
    "text of the option": inside("{text}"),
    "sentence": inside("The answer is {gold}."),
    "other spelling": lambda asked: f"<think> I look. </think><answer> {other_spelling(asked.gold)} </answer>",
    "wrong": inside("{wrong}"),
    "too coarse": lambda asked: f"<think> I look. </think><answer> {too_coarse(asked)} </answer>",
    "wrong box": inside(r"The answer is $\boxed{{{wrong}}}$"),
    "two answers": inside("{gold} or {wrong}"),
    "taken back": inside("{gold}, no, {wrong}"),
    "refusal": inside("I cannot tell."),
    "empty": lambda asked: "",
    "empty answer": inside(""),
    "cut off": lambda asked: f"<think> I look at the picture. It may be {asked.gold}, but then",
    "no tags": lambda asked: f"I look at the picture. The answer is {asked.gold}.",
    "reads as missing": inside("None"),
    "carriage return": lambda asked: f"<think> I look.\rAgain. </think><answer>\r{asked.gold}\r</answer>",
}
NAMES = list(FORMS)


def made_up(name: str, folder: Path) -> None:
    """The fixture of a benchmark with every row once per form, told apart by the last two digits of its id."""
    getattr(published, name)(folder)
    column = ID_COLUMN.get(name, "id")

    def copies(rows: list[Row]) -> list[Row]:
        return [{**row, column: f"{row[column]}{form:02}"} for row in rows for form in range(len(FORMS))]

    for file in sorted(folder.rglob("*.parquet")):
        published.write(file, copies(pq.read_table(file).to_pylist()))
    for file in sorted(folder.rglob("*.json")):
        content = json.loads(file.read_text())
        if isinstance(content, dict):  # LogicVista: an object by id
            content = {f"{key}{form:02}": row for key, row in content.items() for form in range(len(FORMS))}
        else:
            content = copies(content)
        file.write_text(json.dumps(content))


def asked(row: Row) -> Asked:
    """Gold, a wrong answer, and the text of the right option of a prepared row."""
    gold = str(row["reward_model"]["ground_truth"])
    gold = str(json.loads(gold)[0]) if gold.startswith('["') else gold
    options = json.loads(row["extra_info"]["params"] or "{}").get("options") or {}
    if isinstance(options, list):
        options = dict(zip(LETTERS, options, strict=False))
    letter = row["extra_info"]["verifier"] == "choice"
    wrong = ("B" if gold == "A" else "A") if letter else "7"
    return Asked(gold, wrong, str(options.get(gold, gold)), letter)


def form_of(row: int) -> str:
    """Forms in turn, shifted every few rows so that the parts of one problem are answered in several ways."""
    return NAMES[(row + row // 43) % len(NAMES)]


def fabricate(folder: Path, file: Path, texts: list[str]) -> Path:
    """A sampling run of a prepared file with the given responses, by the tests' own writer."""
    spec = importlib.util.spec_from_file_location("fabricated", TESTS / "measure" / "conftest.py")
    assert spec is not None and spec.loader is not None
    fabricated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fabricated)
    fabricated.write_samples(folder, file, [[text] for text in texts])
    return folder


def run_of(folder: Path, file: Path) -> tuple[list[Row], list[str]]:
    """The rows of a prepared file and a response to each, as a sampling run in the folder."""
    rows = pq.read_table(file).to_pylist()
    texts = [FORMS[form_of(number)](asked(row)) for number, row in enumerate(rows)]
    fabricate(folder, file, texts)
    return rows, texts


def table_row(name: str, number: int, row: Row) -> Row:
    """A published row as VLMEvalKit's table of the data set holds it: the columns that its evaluators read."""
    made: Row = {"index": number, "question": str(row.get("question") or "-"), "answer": row.get("answer")}
    if name == "mathvista":
        options = row["choices"] or []
        letter = LETTERS[options.index(row["answer"])] if options else ""
        made |= {key: row[key] for key in ("question_type", "answer_type")} | dict(row["metadata"])
        made |= {"index": row["pid"], "choices": str(options), "answer_option": letter, "skills": "['a']"}
    elif name == "mathvision":
        made |= {"index": row["id"], "choices": str(row["options"]), "category": row["subject"]}
    elif name == "mathverse":
        made |= {key: row[key] for key in ("problem_index", "sample_index", "problem_version", "question_for_eval")}
        made |= {"metadata": str(row["metadata"])}
    elif name in ("mmmu", "mmmu_pro"):
        made |= dict(zip(LETTERS, list_of(row["options"], name), strict=False)) | {"id": row["id"]}
        made |= {"A": made.get("A", ""), "B": made.get("B", ""), "split": "validation", "category": "c"}
    elif name == "dynamath":
        made |= {key: row[key] for key in ("answer_type", "subject", "knowledge_level")}
        qid, variant = int(row["id"]), int(row["variant"])
        made |= {"qid": qid, "varid": variant, "answer": row["ground_truth"], "index": qid + 10_000 * (variant - 1)}
    elif name == "wemath":
        options = re.findall(r"([A-H])\. ([^;]+)", row["option"])
        made |= dict(options) | {key: row[key] for key in ("ID", "key", "knowledge concept")} | {"split": "testmini"}
    elif name == "logicvista":
        made |= {"index": row["key of entry"], "skill": ",".join(row["skill"])}
    return made | {"image": base64.b64encode(published.png()).decode()}


# --- MEGA-Bench -------------------------------------------------------------------------------------------------------

MegaTask = tuple[dict[str, str], str, dict[str, str], list[tuple[str, float]]]
"""Metric by field, parser, gold by field, and responses with the score that the metric's definition gives them."""

TEXTS_COMPARED = "Answer: ['b', 'a']"
"""A response that VLMEvalKit's copy of `set_equality` calls wrong: it compares the texts of sets, with their order."""

MEGA_TASKS: dict[str, MegaTask] = {
    "count_things": ({"answer": "exact_str_match"}, "answer_string", {"answer": "3"}, [
        ("Answer: 3", 1.0), ("I count.\nAnswer: 3", 1.0), ("<think> 2? </think><answer> Answer: 3 </answer>", 1.0),
        ("Answer: 4", 0.0), ("Answer: 3 or 4", 0.0), ("", 0.0), ("<think> cut off", 0.0),
    ]),
    "measure_things": ({"answer": "general_single_numerical_match"}, "answer_string", {"answer": "2.5"}, [
        ("Answer: 2.50", 1.0), ("Answer: 3.5", 0.0), ("Answer: none", 0.0),
    ]),
    "name_a_set": ({"answer": "set_equality"}, "answer_string", {"answer": "['a', 'b']"}, [
        (TEXTS_COMPARED, 1.0), ("Answer: ['a']", 0.0), ("<answer>Answer: [\"a\", \"b\"]</answer>", 1.0),
    ]),
    "describe": ({"name": "simple_str_match", "size": "exact_str_match"}, "json", {"name": "cat", "size": "3"}, [
        ('{"name": "CAT.", "size": "3"}', 1.0), ('{"name": "cat", "size": "4"}', 0.5), ("a cat", 0.0),
        ('<think> {"name": "dog"} </think><answer> {"name": "Cat", "size": "3"} </answer>', 1.0),
    ]),
}  # fmt: skip


def mega_bench(folder: Path) -> list[tuple[str, str, float]]:
    """Publishes made-up tasks below the folder; (task, response, right score) row by row."""
    source = folder / MEGA_FOLDER
    published.megabench(source)
    file = source / "core" / "test-00000-of-00001.parquet"
    template = pq.read_table(file).to_pylist()[0]
    rows, expected = [], []
    for task, (metrics, parser, gold, responses) in MEGA_TASKS.items():
        weights = {"function": "mean", "field_weights": dict.fromkeys(metrics, 1)}
        info = {"field_score_function": metrics, "aggregation": weights, "response_parse_function": parser}
        for response, score in responses:
            own = {"id": str(len(rows)), "task_name": task, "answer": str(gold), "metric_info": str(info)}
            rows.append({**template, **own})
            expected.append((task, response, score))
    published.write(file, rows)
    (source / "README.md").write_text(
        "---\nconfigs:\n- config_name: core\n  data_files:\n  - split: test\n    path: core/test-*\n---\n"
    )
    return expected
