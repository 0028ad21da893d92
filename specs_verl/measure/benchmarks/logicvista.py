"""LogicVista (Xiao et al. 2024, arXiv 2407.04973): 448 multiple-choice questions of logical reasoning, five skills.

Files: Yijia-Xiao/LogicVista, data/dataset.json (an object by id: imagename, question, answer, skill, capability) and
data/images/.
Official rule: the chosen letters must be exactly those of the answer; accuracy over all questions and by skill.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from specs_verl.measure.benchmarks.benchmark import Benchmark, Question, accuracy_by, marked
from specs_verl.measure.benchmarks.source import Row, list_of, picture, table, text_of


def rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Rows of the official split."""
    return table(folder, "dataset", ("imagename", "question", "answer", "skill"))


def question(row: Row, folder: Path, place: str) -> Question:
    """The question of a row."""
    return Question(
        id=str(row["key of entry"]),
        text=marked(text_of(row, "question", place), 1),
        images=(picture(None, row["imagename"], _images_of(folder), place),),
        answer=text_of(row, "answer", place),
        verifier="choice",
        groups={"skill": "+".join(list_of(row["skill"], place)) or "none"},
    )


def _images_of(folder: Path) -> Path:
    """The repository's root and its data folder are both accepted."""
    return folder / "data" if (folder / "data").is_dir() else folder


LOGICVISTA = Benchmark(
    name="logicvista",
    title="LogicVista",
    split="all",
    size=448,
    source="Yijia-Xiao/LogicVista",
    rule="accuracy over all questions; several letters must all be there",
    rows=rows,
    question=question,
    scores=accuracy_by("skill"),
    vlmevalkit={"LogicVista": "{index}"},
)
