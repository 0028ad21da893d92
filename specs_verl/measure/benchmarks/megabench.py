"""MEGA-Bench core (Chen et al. 2025, arXiv 2410.10563): 440 real tasks with output formats of their own.

Files: TIGER-Lab/MEGA-Bench, core/test-*.parquet, columns id, task_name, task_description, global_media, example_text,
example_media, query_text, query_media, answer; media are lists of file names, written as text, below the folder.
Its 45 metrics are its own: we sample, write its response file (response_files.py), and its evaluator scores. Prompts
are its own, too: they ask for the format that each task is scored by. Questions with videos are broken rows here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from specs_verl.measure.benchmarks.benchmark import Benchmark, Question, accuracy_by
from specs_verl.measure.benchmarks.source import BrokenRowError, Row, list_of, picture, table, text_of

NEEDED = ("id", "task_name", "task_description", "example_text", "query_text", "query_media", "answer")
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the core subset."""
    core = folder / "core" if (folder / "core").is_dir() else folder
    return table(core, "test", NEEDED)


def question(row: Row, folder: Path, place: str) -> Question:
    """Task description, example and query as one text, their pictures in this order."""
    names = [name for column in ("global_media", "example_media", "query_media") for name in _media(row, column, place)]
    moving = [name for name in names if not name.lower().endswith(IMAGES)]
    if moving:
        raise BrokenRowError(f"{place}: {moving[0]} is no picture, and videos are not sampled.")
    parts = [str(row[column] or "").strip() for column in ("task_description", "example_text", "query_text")]
    text = "\n".join(part for part in parts if part)
    missing = len(names) - text.count("<image>")
    if missing < 0:
        raise BrokenRowError(f"{place}: {text.count('<image>')} <image> marks but {len(names)} pictures.")
    return Question(
        id=text_of(row, "id", place),
        text="<image>" * missing + text,
        images=tuple(picture(None, name, folder, place) for name in names),
        answer=text_of(row, "answer", place),
        verifier="text",
        groups={"task_name": text_of(row, "task_name", place)},
    )


def _media(row: Row, column: str, place: str) -> list[str]:
    return list_of(row.get(column), place)


MEGABENCH = Benchmark(
    name="megabench",
    title="MEGA-Bench core",
    split="core",
    size=6531,
    source="TIGER-Lab/MEGA-Bench",
    rule="none of ours: the response file is scored by MEGA-Bench's own evaluator",
    rows=rows,
    question=question,
    scores=accuracy_by("task_name"),
)
