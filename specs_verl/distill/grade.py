"""Grades the samples of a run with reward_fns, shard by shard, in parallel; continues where it was killed.

    grade(SampleRun(path), out_dir / "grades" / "zero", data_files, judge="rule")
    for row, samples in graded_rows(run, out_dir / "grades" / "zero"): ...

A graded shard lies beside nothing else under the number of the shard that it grades: row, sample, status, pred, format
and, for right and well-formed samples, what the judge says.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reward_fns import compute_score
from reward_fns.scoring import row_grading
from specs_verl.distill.judge import support
from specs_verl.distill.model_judge import verdicts
from specs_verl.errors import UserError
from specs_verl.sampling.rows import RowTable
from specs_verl.sampling.store import SampleRun, write_json, write_parquet

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

GRADING_COLUMNS = ["data_source", "reward_model", "extra_info"]


@dataclass(frozen=True)
class Task:
    """One shard to grade; crosses a process border."""

    samples: str
    graded: str
    data: tuple[str, ...]
    judge: str


def grade(
    run: SampleRun,
    out: Path,
    data: tuple[str, ...],
    judge: str,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Grade all shards of a run that are not graded yet; `on_progress` gets shards done and shards in all."""
    out.mkdir(parents=True, exist_ok=True)
    # Grades made under another judge or from other samples must not be mistaken for these.
    made_from = {"judge": judge, **{key: run.manifest[key] for key in ("parameters", "model_fingerprint")}}
    manifest = out / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text(encoding="utf-8")) != made_from:
        for stale in out.glob("shard-*.parquet"):
            stale.unlink()
    write_json(manifest, made_from)
    shards = run.shards()
    tasks = [
        Task(str(shard), str(out / shard.name), data, judge) for shard in shards if not (out / shard.name).exists()
    ]
    done = len(shards) - len(tasks)
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(tasks)))
    if workers == 1:
        for task in tasks:
            grade_shard(task)
            done += 1
            if on_progress:
                on_progress(done, len(shards))
        return
    # Spawned, not forked: the parent may hold threads.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(grade_shard, task) for task in tasks]):
            future.result()
            done += 1
            if on_progress:
                on_progress(done, len(shards))


def grade_shard(task: Task) -> None:
    """Grade one shard and write the result."""
    samples = pq.read_table(task.samples, columns=["row", "sample", "response"]).to_pylist()
    rows = {}
    if samples:
        first, last = min(s["row"] for s in samples), max(s["row"] for s in samples)
        rows = dict(RowTable(task.data, columns=GRADING_COLUMNS).slice(first, last + 1))
    graded = [grade_sample(sample, rows[sample["row"]], task.judge) for sample in samples]
    write_parquet(Path(task.graded), pa.Table.from_pylist(graded, schema=SCHEMA))


def grade_sample(sample: dict[str, object], row: dict[str, object], judge: str) -> dict[str, object]:
    """Status, answer as read, form, and the judge's word on one sample."""
    info = {**(row.get("extra_info") or {}), "reward_model": row.get("reward_model")}
    truth = ground_truth(row)
    score = compute_score(row.get("data_source"), sample["response"], truth, info)
    well_formed = score["format"] == 1.0
    word = None
    if judge != "none" and well_formed and score["status"] == "right":
        grading = row_grading(info)
        word = support(sample["response"], truth, grading.verifier, grading.params)
    return {
        "row": sample["row"],
        "sample": sample["sample"],
        "status": score["status"],
        "pred": score["pred"],
        "format": well_formed,
        "support": word,
    }


def ground_truth(row: dict[str, object]) -> str | None:
    """The reference answer of a row, None where it has none."""
    model = row.get("reward_model")
    return model.get("ground_truth") if isinstance(model, dict) else None


def graded_rows(
    run: SampleRun, grades: Path, judged: Path | None = None
) -> Iterator[tuple[int, list[dict[str, object]]]]:
    """Samples with their grades, grouped by row in the order of rows; one shard in memory at a time.

    With `judged`, the word of the model judge takes the place of the rule's.
    """
    for shard in run.shards():
        graded = grades / shard.name
        if not graded.is_file():
            raise UserError(f"{graded}: not graded. Start the distillation again with the same arguments.")
        samples = pq.read_table(shard).to_pylist()
        words = None if judged is None else verdicts(judged, shard.name)
        group: list[dict[str, object]] = []
        for sample, marks in zip(samples, pq.read_table(graded).to_pylist(), strict=True):
            if words is not None:
                marks["support"] = words.get((sample["row"], sample["sample"]))
            if group and group[-1]["row"] != sample["row"]:
                yield group[0]["row"], group
                group = []
            group.append({**sample, **marks})
        if group:
            yield group[0]["row"], group
