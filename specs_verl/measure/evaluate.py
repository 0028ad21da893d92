"""Sampled responses of one model -> graded rollouts and a metrics file.

    path = evaluate("final", [EvalSet("test", samples_dir, (test_parquet,)),
                              EvalSet("ood", ood_samples_dir, (ood_parquet,), role="ood")], out_dir,
                    format_checks={"json": is_json})
    read_metrics(path)

    out_dir/metrics.json                      all figures of the model, written last: there means complete
    out_dir/graded/test/shard-00003.parquet   every response with its grades, one file per shard of the sampling run

Each graded shard carries a fingerprint of what it was made from, so a run that was killed goes on where it was, and a
changed reward function, prompt or response is graded again. Memory is bounded by one shard of text.

Not here: sampling (specs_verl.sampling), the arithmetic (metrics.py), showing it (report.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.tables import write_parquet
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import file_digest
from specs_verl.grading.responses import DEFAULT_REWARD, FormatChecks, Grader, checks_for
from specs_verl.measure.metrics import GRADED_COLUMNS, ROLES, ModelMetrics, SetMetrics, set_metrics, write_metrics
from specs_verl.measure.rollouts import Prompt, complete_shards, read_prompts
from specs_verl.sampling.store import SampleRun

GRADING_VERSION = "1"  # raise it when grades of the same response may come out differently

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("data_source", pa.string()),
        ("task", pa.string()),
        ("asked_format", pa.string()),
        ("ground_truth", pa.string()),
        ("response", pa.string()),
        ("right", pa.bool_()),
        ("acc", pa.float64()),
        ("format", pa.bool_()),
        ("score", pa.float64()),
        ("status", pa.string()),
        ("extracted", pa.string()),
        ("n_tokens", pa.int32()),
        ("finish_reason", pa.string()),
    ]
)

OnProgress = Callable[[str, int, int], None]
"""Called with the name of the set, the responses graded so far and their total."""


@dataclass(frozen=True)
class EvalSet:
    """Responses of the model to one data set."""

    name: str
    samples: Path
    prompts: tuple[Path, ...]
    role: str = "id"
    """id: prompts as in training; ood: prompts that ask for another output format; control: e.g. shuffled images."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise UserError(f"Set {self.name!r}: the role must be one of {', '.join(ROLES)}, got {self.role!r}.")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise UserError(f"{self.name!r} cannot be the name of a set: it becomes a directory.")


def evaluate(
    model: str,
    sets: Sequence[EvalSet],
    out_dir: Path,
    *,
    seed: int = 0,
    format_checks: FormatChecks | None = None,
    reward: str = DEFAULT_REWARD,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Grade all responses of one model and write its metrics.

    Args:
        model: name of the model in tables.
        sets: what to grade; names must differ, and one set must have the role `id`.
        out_dir: for graded rollouts and metrics.json.
        seed: training seed, for the spread over seeds.
        format_checks: check per name in `extra_info.format`, for formats other than think_answer.
        reward: "module:function" or "file.py:function" in verl's signature.
        workers: grading processes; by default one per core, at most 8.
        on_progress: see `OnProgress`.

    Returns:
        Path of metrics.json.
    """
    names = [entry.name for entry in sets]
    if len(set(names)) != len(names):
        raise UserError(f"Model {model!r}: two sets have the same name ({', '.join(names)}).")
    if not any(entry.role == "id" for entry in sets):
        raise UserError(f"Model {model!r}: no set has the role `id`, so there is nothing to compare models on.")
    # Everything is checked before the first response is graded.
    loaded = [(entry, read_prompts(entry.prompts)) for entry in sets]
    ready = [
        (entry, prompts, complete_shards(SampleRun(entry.samples), prompts, entry.prompts)) for entry, prompts in loaded
    ]
    all_prompts = [prompt for _, prompts in loaded for prompt in prompts]
    checks = checks_for(all_prompts, format_checks)
    results: dict[str, SetMetrics] = {}
    with Grader(reward, workers) as grader:
        for entry, prompts, shards in ready:
            graded = f"graded/{entry.name}"
            frame = _grade_set(entry, prompts, shards, out_dir / graded, grader, checks, reward, on_progress)
            results[entry.name] = set_metrics(
                frame,
                entry.role,
                skipped_prompts=sum(1 for _ in SampleRun(entry.samples).skipped()),
                graded=graded,
                prompts_files=tuple(str(path.resolve()) for path in entry.prompts),
            )
    path = out_dir / "metrics.json"
    write_metrics(path, ModelMetrics(model, seed, results))
    return path


def _grade_set(
    entry: EvalSet,
    prompts: Sequence[Prompt],
    shards: Sequence[Path],
    graded_dir: Path,
    grader: Grader,
    checks: FormatChecks,
    reward: str,
    on_progress: OnProgress | None,
) -> pd.DataFrame:
    total = sum(pq.read_metadata(shard).num_rows for shard in shards)
    key = _grading_key(prompts, checks, reward)
    frames, done = [], 0
    for stale in set(graded_dir.glob("*.parquet")) - {graded_dir / shard.name for shard in shards}:
        stale.unlink()  # a shard of an earlier run with other samples
    for shard in shards:
        target = graded_dir / shard.name
        fingerprint = hashlib.sha256(key + file_digest(shard)).hexdigest()
        if _fingerprint_of(target) != fingerprint:
            write_parquet(target, _graded_table(shard, prompts, grader, checks), {"specs_grading": fingerprint})
        frames.append(pq.read_table(target, columns=list(GRADED_COLUMNS)).to_pandas())
        done += len(frames[-1])
        if on_progress is not None:
            on_progress(entry.name, done, total)
    return pd.concat(frames, ignore_index=True)


def _graded_table(shard: Path, prompts: Sequence[Prompt], grader: Grader, checks: FormatChecks) -> pa.Table:
    columns = ["row", "row_id", "sample", "response", "finish_reason", "n_tokens"]
    samples = pq.read_table(shard, columns=columns).to_pylist()
    grades = grader.grade([(prompts[sample["row"]], sample["response"]) for sample in samples])
    rows = []
    for sample, grade in zip(samples, grades, strict=True):
        prompt = prompts[sample["row"]]
        rows.append(
            {
                **sample,
                "data_source": prompt.data_source,
                "task": prompt.task,
                "asked_format": prompt.asked_format,
                "ground_truth": prompt.ground_truth,
                "right": grade.right,
                "acc": grade.acc,
                "format": bool(checks[prompt.asked_format](sample["response"])),
                "score": grade.score,
                "status": grade.status,
                "extracted": grade.extracted,
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _grading_key(prompts: Sequence[Prompt], checks: FormatChecks, reward: str) -> bytes:
    """Digest of everything besides the responses that grades depend on; of functions, their names and code."""
    digest = hashlib.sha256()
    place = reward.rpartition(":")[0]
    source = file_digest(Path(place)) if place.endswith(".py") else b""
    digest.update(json.dumps([GRADING_VERSION, reward, sorted(checks)]).encode() + source)
    for prompt in prompts:
        line = [prompt.row_id, prompt.data_source, prompt.ground_truth, prompt.extra_info, prompt.task]
        digest.update(json.dumps(line, sort_keys=True, default=str).encode() + b"\n")
    return digest.digest()


def _fingerprint_of(path: Path) -> str | None:
    if not path.is_file():
        return None
    metadata = pq.read_schema(path).metadata or {}
    value = metadata.get(b"specs_grading")
    return value.decode() if value else None
