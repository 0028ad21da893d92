"""The samples of a distillation with their grades: status, answer as read, form, and the rule judge's word.

    zero = GradedRun(SampleRun(path), out_dir / "grades" / "zero", judge="rule")
    grade([zero], data_files)
    for row, samples in graded_rows(zero): ...

A graded shard has the name of the shard that it grades: row, sample, status, pred, format and, for right and
well-formed samples, what the judge says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reward_fns import compute_score
from reward_fns.batch import settle_all
from reward_fns.scoring import row_grading
from specs_verl.distill.model_judge import verdicts
from specs_verl.distill.rule_judge import support
from specs_verl.files.rows import RowTable
from specs_verl.grading.responses import GRADING_COLUMNS, Grade, Question, grade_responses
from specs_verl.grading.shards import ShardTask, grade_shards
from specs_verl.sampling.store import SampleRun, read_shard

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("sample", pa.int32()),
        ("status", pa.string()),
        ("pred", pa.string()),
        ("format", pa.bool_()),
        ("support", pa.string()),
    ]
)


@dataclass(frozen=True)
class GradedRun:
    """A sampling run and the directory of its grades."""

    run: SampleRun
    out: Path
    judge: str
    """`rule` to have right, well-formed samples judged by rule, else `none`."""


@dataclass(frozen=True)
class _Task(ShardTask):
    data: tuple[str, ...]
    judge: str


def grade(
    runs: Iterable[GradedRun],
    data: tuple[str, ...],
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_ray: bool = False,
) -> None:
    """Grade all shards that are not graded yet; `on_progress` gets shards done and shards in all."""
    tasks = [
        _Task(shard, graded.out / shard.name, _key(graded), data, graded.judge)
        for graded in runs
        for shard in graded.run.shards()
    ]
    for done, _ in enumerate(grade_shards(tasks, grade_shard, workers, on_ray=on_ray), start=1):
        if on_progress:
            on_progress(done, len(tasks))


def _key(graded: GradedRun) -> str:
    """Grades made under another judge, of other ground truths or by another version are not these."""
    made_from = [graded.judge, graded.run.manifest["data_fingerprint"], version("specs-verl")]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def grade_shard(task: _Task) -> pa.Table:
    """The grades of one shard."""
    samples = read_shard(task.samples, ["row", "sample", "response"]).to_pylist()
    numbers = [sample["row"] for sample in samples]
    table = RowTable(task.data, columns=GRADING_COLUMNS)
    rows = dict(table.slice(min(numbers), max(numbers) + 1)) if samples else {}
    questions = {row: Question.of_row(rows[row], f"{table.file_of(row)}, row {row}") for row in set(numbers)}
    responses = [(questions[sample["row"]], str(sample["response"])) for sample in samples]
    grades = grade_responses(compute_score, responses)
    words = _rule_judged(responses, grades) if task.judge != "none" else {}
    return pa.Table.from_pylist(
        [
            {
                "row": sample["row"],
                "sample": sample["sample"],
                "status": one.status,
                "pred": one.extracted,
                "format": one.format == 1.0,
                "support": words.get(number),
            }
            for number, (sample, one) in enumerate(zip(samples, grades, strict=True))
        ],
        schema=SCHEMA,
    )


def _rule_judged(responses: Sequence[tuple[Question, str]], grades: Sequence[Grade]) -> Mapping[int, str]:
    """The rule's word on every right and well-formed response, by its place."""
    judged = [n for n, one in enumerate(grades) if one.status == "right" and one.format == 1.0]
    calls = []
    for number in judged:
        question, response = responses[number]
        grading = row_grading(question.extra_info)
        calls.append(partial(support, response, question.ground_truth, grading.verifier, grading.params))
    return dict(zip(judged, settle_all(calls), strict=True))


def graded_rows(graded: GradedRun, judged: Path | None = None) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Samples with their grades, grouped by row in the order of rows; one shard in memory at a time.

    With `judged`, the word of the model judge takes the place of the rule's.
    """
    for shard in graded.run.shards():
        grades = graded.out / shard.name
        samples = read_shard(shard).to_pylist()
        words = None if judged is None else verdicts(judged, shard.name)
        group: list[dict[str, Any]] = []
        for sample, marks in zip(samples, pq.read_table(grades).to_pylist(), strict=True):
            if words is not None:
                marks["support"] = words.get((sample["row"], sample["sample"]))
            if group and group[-1]["row"] != sample["row"]:
                yield group[0]["row"], group
                group = []
            group.append({**sample, **marks})
        if group:
            yield group[0]["row"], group
