"""A few rows in the published schema of every benchmark, drawn and written by us; nothing of the originals.

ANSWERED[name] = the right responses, in the order of the prepared rows.
"""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


def cell(colour: str = "red") -> dict:
    return {"bytes": png(colour), "path": None}


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def mathvista(folder: Path) -> None:
    def row(pid, question, answer, kind, of, choices=None, precision=None, unit=None):
        metadata = {"task": "figure question answering", "category": "general-vqa", "source": "ours", "skills": ["a"]}
        return {
            "pid": pid, "question": question, "image": f"images/{pid}.jpg", "decoded_image": cell(), "choices": choices,
            "unit": unit, "precision": precision, "answer": answer, "question_type": kind, "answer_type": of,
            "metadata": metadata, "query": "Hint: ...",
        }  # fmt: skip

    write(
        folder / "data" / "testmini-00000-of-00001.parquet",
        [
            row("1", "Which is larger?", "the blue one", "multi_choice", "text", ["the red one", "the blue one"]),
            row("2", "How many?", "4", "free_form", "integer"),
            row("3", "What is the ratio?", "0.33", "free_form", "float", precision=2.0),
            row("4", "Which years?", "[1970, 1980]", "free_form", "list", unit="years"),
        ],
    )
    write(folder / "data" / "aaa-test-00000.parquet", [row("99", "Not ours?", "", "free_form", "integer")])


def mathvision(folder: Path) -> None:
    def row(name, question, options, answer, level=2):
        return {
            "id": name, "question": question, "options": options, "image": f"images/{name}.jpg",
            "decoded_image": cell(), "answer": answer, "solution": None, "level": level, "subject": "counting",
        }  # fmt: skip

    write(
        folder / "data" / "test-00000-of-00001.parquet",
        [
            row("1", "How long is x?\n<image1>", [], r"\frac{3}{2}", 5),
            row("2", "Which picture fits?\n<image1>", ["A", "B", "C", "D", "E"], "C"),
            row("3", "How much?\n<image1>", ["12 cm", "15 cm"], "B"),
        ],
    )


def mathverse(folder: Path) -> None:
    def row(number, version, question, answer, kind="multi-choice"):
        return {
            "sample_index": str(number), "problem_index": "7", "problem_version": version, "question": question,
            "image": cell(), "answer": answer, "question_type": kind,
            "metadata": {"split": "testmini", "source": "ours", "subject": "Plane Geometry", "subfield": "Angle"},
            "query_wo": "", "query_cot": "", "question_for_eval": question,
        }  # fmt: skip

    asked = "Find the angle.\nChoices:\nA:30°\nB:45°"
    write(
        folder / "testmini.parquet",
        [
            row(1, "Text Dominant", asked, "B"),
            row(2, "Vision Intensive", "Find the length.", "12", "free-form"),
            row(3, "Vision Only", "", "B"),
        ],
    )


def mmmu(folder: Path) -> None:
    def row(name, question, options, answer, kind="multiple-choice", images=1):
        pictures = {f"image_{number}": cell() if number <= images else None for number in range(1, 8)}
        return {
            "id": name, "question": question, "options": options, "explanation": "", **pictures,
            "img_type": "['Table']", "answer": answer, "topic_difficulty": "Easy", "question_type": kind,
            "subfield": "Algebra",
        }  # fmt: skip

    write(
        folder / "Math" / "validation-00000-of-00001.parquet",
        [
            row("validation_Math_1", "Look at <image 1>. Which?", "['one', \"the other's\"]", "B"),
            row("validation_Math_2", "How many in <image 1> and <image 2>?", "[]", "['4', '4.0']", "open", 2),
        ],
    )
    write(
        folder / "Art" / "validation-00000-of-00001.parquet",
        [row("validation_Art_1", "Which is it?", "['<image 1>', '<image 2>']", "A", images=2)],
    )


def mmmu_pro(folder: Path) -> None:
    letters = str([f"option {number}" for number in range(10)])
    standard = {"id": "test_Math_1", "question": "<image 1> Which?", "options": letters, "image_1": cell()}
    vision = {"id": "test_Math_1", "image": cell(), "options": letters, "answer": "A", "subject": "Math"}
    write(folder / "standard (10 options)" / "test-00000.parquet", [{**standard, "answer": "J", "subject": "Math"}])
    write(folder / "vision" / "test-00000.parquet", [vision, {**vision, "id": "test_Art_2", "subject": "Art"}])


def dynamath(folder: Path) -> None:
    for variant in range(1, 11):
        common = {"image": "x.png", "decoded_image": cell(), "subject": "statistics", "knowledge_level": "high school"}
        write(
            folder / "data" / f"sample_variant{variant}-00000-of-00001.parquet",
            [
                {"id": "1", "question": "Mean?", "ground_truth": f"{variant}.125", "answer_type": "float", **common},
                {"id": "2", "question": "A or B?", "ground_truth": "B", "answer_type": "multiple choice", **common},
            ],
        )


def wemath(folder: Path) -> None:
    def row(problem, key, answer="A"):
        return {
            "ID": problem, "split": "testmini", "knowledge concept": "Area", "question": "How large? (  )",
            "option": "A. 10; B. 20; C. No correct answer", "answer": answer, "image_path": f"{problem}.png",
            "key": key, "question number": 1, "knowledge concept description": "",
        }  # fmt: skip

    (folder / "images").mkdir(parents=True)
    keys = {2: ("2steps_1", "2steps_2", "2steps_multi"), 3: ("3steps_1", "3steps_2", "3steps_3", "3steps_multi")}
    rows = [row(problem, key) for problem, steps in (("a", 2), ("b", 2), ("c", 2), ("d", 3)) for key in keys[steps]]
    for name in "abcd":
        (folder / "images" / f"{name}.png").write_bytes(png())
    (folder / "testmini.json").write_text(json.dumps(rows))


def logicvista(folder: Path) -> None:
    (folder / "data" / "images").mkdir(parents=True)
    rows = {
        name: {
            "imagename": f"{name}.png", "question": "Which one (A to E)?", "answer": answer, "reasoning": "...",
            "skill": [skill], "capability": ["diagram"], "imagesource": "ours", "sourcelink": "",
        }
        for name, answer, skill in (("v1_0", "C", "inductive"), ("v1_1", "B, D", "spatial"))
    }  # fmt: skip
    for name in rows:
        (folder / "data" / "images" / f"{name}.png").write_bytes(png())
    (folder / "data" / "dataset.json").write_text(json.dumps(rows))


def megabench(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.png").write_bytes(png())
    row = {
        "id": "17", "task_name": "count_things", "task_description": "Count. Answer: X.", "global_media": "[]",
        "example_text": "Example: <image> Answer: 2", "example_media": "['./data/a.png']",
        "query_text": "<image> How many?", "query_media": "['./data/a.png']", "answer": "{'answer': '3'}",
        "metric_info": "{}", "eval_context": "{}",
    }  # fmt: skip
    write(folder / "core" / "test-00000-of-00001.parquet", [row, {**row, "id": "18", "answer": "{'answer': '5'}"}])


ANSWERED = {
    "mathvista": ["(B)", "4", "0.333", "[1970, 1980]"],
    "mathvision": ["1.5", "C", "15 cm"],
    "mathverse": ["B", "12", "B"],
    "mmmu": ["A", "B", "4"],
    "mmmu_pro": ["J", "A", "A"],
    "dynamath": [text for variant in range(1, 11) for text in (f"{variant}.1254", "B")],
    "wemath": ["A"] * 13,
    "logicvista": ["C", "B and D"],
}
