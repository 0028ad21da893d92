"""Grades the samples of a run with reward_fns, shard by shard, in parallel; continues where it was killed.

    zero = GradedRun(SampleRun(path), out_dir / "grades" / "zero", judge="rule")
    grade([zero], data_files)
    for row, samples in graded_rows(zero): ...

A graded shard has the name of the shard that it grades and knows its digest: row, sample, status, pred, format and, for
right and well-formed samples, what the judge says.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import sweep, write_json
from reward_fns import compute_score, score_batch
from reward_fns.batch import settle_all
from reward_fns.scoring import row_grading
from specs_verl.distill.model_judge import verdicts
from specs_verl.distill.rule_judge import support
from specs_verl.errors import UserError
from specs_verl.files.derived import is_derived, write_derived
from specs_verl.files.rows import RowTable
from specs_verl.sampling.store import SampleRun

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

GRADING_ERRORS = (KeyError, TypeError, ValueError)
"""What reward_fns raises for a row that names no known verifier, or gives it parameters that it does not know."""

MOST_DEATHS = 3
"""Deaths of grading processes, without a shard completed in between, after which the run ends."""


@dataclass(frozen=True)
class Task:
    """One shard to grade; crosses a process border."""

    samples: str
    graded: str
    data: tuple[str, ...]
    judge: str


@dataclass(frozen=True)
class GradedRun:
    """A sampling run and the directory of its grades."""

    run: SampleRun
    out: Path
    judge: str
    """`rule` to have right, well-formed samples judged by rule, else `none`."""


def grade(
    runs: Iterable[GradedRun],
    data: tuple[str, ...],
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Grade all shards that are not graded yet; `on_progress` gets shards done and shards in all."""
    tasks = []
    for graded in runs:
        graded.out.mkdir(parents=True, exist_ok=True)
        sweep(graded.out)
        _drop_stale(graded)
        tasks += [Task(str(shard), str(graded.out / shard.name), data, graded.judge) for shard in graded.run.shards()]
    left = [task for task in tasks if not is_graded(task)]
    done = len(tasks) - len(left)
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(left)))
    # Processes serve all runs: each one starts symbolic workers of its own, which costs seconds.
    for _ in map(grade_shard, left) if workers == 1 else _in_processes(left, workers):
        done += 1
        if on_progress:
            on_progress(done, len(tasks))


def _drop_stale(graded: GradedRun) -> None:
    """Grades made under another judge, of other ground truths or by another version must not be mistaken for these."""
    data = graded.run.manifest["data_fingerprint"]
    made_from = {"judge": graded.judge, "data": data, "specs_verl": version("specs-verl")}
    manifest = graded.out / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_text(encoding="utf-8")) != made_from:
        for stale in graded.out.glob("shard-*.parquet"):
            stale.unlink()
    write_json(manifest, made_from)


def _in_processes(tasks: list[Task], workers: int) -> Iterator[None]:
    """Grade in several processes, one item per shard; a process that is killed costs time only."""
    left = tasks
    deaths_in_vain = 0
    while left:
        # Spawned, not forked: the parent may hold threads.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent, initargs=(os.getpid(),))
        completed = 0
        try:
            for future in as_completed([pool.submit(grade_shard, task) for task in left]):
                future.result()
                completed += 1
                yield
        except BrokenProcessPool as error:
            deaths_in_vain = 0 if completed else deaths_in_vain + 1
            if deaths_in_vain >= MOST_DEATHS:
                raise UserError(
                    f"Grading processes keep dying, the last time over {left[0].samples} or the shards after it. Is "
                    "there enough memory? Fewer processes (--workers) need less; graded shards are kept."
                ) from error
        finally:
            pool.shutdown(cancel_futures=True)
        # Shards that were graded when the pool broke but not reported are reported now.
        remaining = [task for task in left if not is_graded(task)]
        yield from [None] * (len(left) - len(remaining) - completed)
        left = remaining


def _end_with_parent(parent: int) -> None:
    """Have this process end when its parent is killed: nobody would take its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def is_graded(task: Task) -> bool:
    """Whether the grades of exactly these samples are there."""
    return is_derived(Path(task.graded), Path(task.samples))


def grade_shard(task: Task) -> None:
    """Grade one shard and write the result."""
    samples = pq.read_table(task.samples, columns=["row", "sample", "response"]).to_pylist()
    table = RowTable(task.data, columns=GRADING_COLUMNS)
    rows = {}
    if samples:
        first, last = min(s["row"] for s in samples), max(s["row"] for s in samples)
        rows = dict(table.slice(first, last + 1))
    try:
        graded = grade_samples(samples, rows, task.judge)
    except GRADING_ERRORS as error:
        raise _blamed(samples, rows, table, error) from error
    write_derived(Path(task.graded), pa.Table.from_pylist(graded, schema=SCHEMA), Path(task.samples))


def grade_samples(
    samples: list[dict[str, object]], rows: dict[int, dict[str, object]], judge: str
) -> list[dict[str, object]]:
    """Status, answer as read, form, and the judge's word on each sample.

    All of them at once: comparisons that need a worker process then run on all workers, and an answer that uses up its
    deadline holds nobody up for longer than a slice of it.
    """
    infos = {index: grading_info(row) for index, row in rows.items()}
    scores = score_batch(
        [
            {
                "solution_str": sample["response"],
                "ground_truth": ground_truth(rows[sample["row"]]),
                "extra_info": infos[sample["row"]],
            }
            for sample in samples
        ]
    )
    words: dict[int, str] = {}
    if judge != "none":
        judged = [n for n, score in enumerate(scores) if score["status"] == "right" and score["format"] == 1.0]
        calls = []
        for number in judged:
            index = samples[number]["row"]
            grading = row_grading(infos[index])
            answer = ground_truth(rows[index])
            calls.append(partial(support, samples[number]["response"], answer, grading.verifier, grading.params))
        words = dict(zip(judged, settle_all(calls), strict=True))
    return [
        {
            "row": sample["row"],
            "sample": sample["sample"],
            "status": score["status"],
            "pred": score["pred"],
            "format": score["format"] == 1.0,
            "support": words.get(number),
        }
        for number, (sample, score) in enumerate(zip(samples, scores, strict=True))
    ]


def _blamed(
    samples: list[dict[str, object]], rows: dict[int, dict[str, object]], table: RowTable, error: Exception
) -> Exception:
    """The error of a shard as one that names the row whose grading it is, if it is a row's."""
    for sample in samples:
        row = rows[sample["row"]]
        try:
            compute_score(None, sample["response"], ground_truth(row), grading_info(row))
        except GRADING_ERRORS as fault:
            said = fault.args[0] if fault.args else fault
            return UserError(
                f"{table.file_of(sample['row'])}, row {sample['row']}: it cannot be graded as its `reward_model` and "
                f"`extra_info` ask: {said} Fix the row, or leave it out (`specs data doctor --fix`)."
            )
    return error


def grading_info(row: dict[str, object]) -> dict[str, object]:
    """What compute_score needs to know of a row to grade it as the row says."""
    return {**(row.get("extra_info") or {}), "reward_model": row.get("reward_model")}


def ground_truth(row: dict[str, object]) -> str | None:
    """The reference answer of a row, None where it has none."""
    model = row.get("reward_model")
    return model.get("ground_truth") if isinstance(model, dict) else None


def graded_rows(graded: GradedRun, judged: Path | None = None) -> Iterator[tuple[int, list[dict[str, object]]]]:
    """Samples with their grades, grouped by row in the order of rows; one shard in memory at a time.

    With `judged`, the word of the model judge takes the place of the rule's.
    """
    for shard in graded.run.shards():
        grades = graded.out / shard.name
        samples = pq.read_table(shard).to_pylist()
        words = None if judged is None else verdicts(judged, shard.name)
        group: list[dict[str, object]] = []
        for sample, marks in zip(samples, pq.read_table(grades).to_pylist(), strict=True):
            if words is not None:
                marks["support"] = words.get((sample["row"], sample["sample"]))
            if group and group[-1]["row"] != sample["row"]:
                yield group[0]["row"], group
                group = []
            group.append({**sample, **marks})
        if group:
            yield group[0]["row"], group
