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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.errors import UserError
from specs_verl.files.fingerprints import file_digest
from specs_verl.formats.registry import FORMATS
from specs_verl.grading.responses import (
    FormatChecks,
    checks_for,
    grade_responses,
    load_function,
)
from specs_verl.grading.shards import ShardTask, grade_shards
from specs_verl.measure.exploration import branching_of
from specs_verl.measure.graded import read_graded
from specs_verl.measure.metrics import GRADED_COLUMNS, ROLES, ModelMetrics, SetMetrics, set_metrics, write_metrics
from specs_verl.measure.rollouts import Prompt, complete_shards, read_prompts
from specs_verl.sampling.store import SampleRun, read_shard

GRADING_VERSION = "2"  # raise it when grades of the same response may come out differently

DEFAULT_REWARD = "specs_verl.formats.reward:compute_score"
"""Training's reward function, which also reads the answer of a response in one of our other formats."""

REGISTERED: FormatChecks = {name: form.complies for name, form in FORMATS.items()}

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("data_source", pa.string()),
        ("task", pa.string()),
        ("verifier", pa.string()),
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
    on_ray: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Grade all responses of one model and write its metrics.

    Args:
        model: name of the model in tables.
        sets: what to grade; names must differ, and one set must have the role `id`.
        out_dir: for graded rollouts and metrics.json.
        seed: training seed, for the spread over seeds.
        format_checks: check per name in `extra_info.format`, for formats other than think_answer and those of formats/.
        reward: "module:function" or "file.py:function" in verl's signature.
        workers: grading processes; by default one per core, at most 8, once grading has proved to be much work.
        on_ray: grade on a Ray cluster instead.
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
    asked = {prompt.asked_format: prompt.row_id for _, prompts in loaded for prompt in reversed(prompts)}
    checks = checks_for(asked, {**REGISTERED, **(format_checks or {})})
    tasks = {
        entry.name: _tasks(prompts, shards, out_dir / "graded" / entry.name, checks, reward)
        for entry, prompts, shards in ready
    }
    _grade(tasks, checks, workers, on_ray, on_progress)
    results: dict[str, SetMetrics] = {}
    for entry, _, _ in ready:
        results[entry.name] = set_metrics(
            read_graded([task.graded for task in tasks[entry.name]], GRADED_COLUMNS),
            entry.role,
            skipped_prompts=sum(1 for _ in SampleRun(entry.samples).skipped()),
            graded=f"graded/{entry.name}",
            prompts_files=tuple(str(path.resolve()) for path in entry.prompts),
            branching=branching_of(SampleRun(entry.samples)),
        )
    path = out_dir / "metrics.json"
    write_metrics(path, ModelMetrics(model, seed, results))
    return path


@dataclass(frozen=True)
class _Task(ShardTask):
    prompts: dict[int, Prompt]
    reward: str


def _tasks(
    prompts: Sequence[Prompt], shards: Sequence[Path], out: Path, checks: FormatChecks, reward: str
) -> list[_Task]:
    """One per shard, with the prompts of its rows."""
    key = _grading_key(prompts, checks, reward)
    for stale in set(out.glob("*.parquet")) - {out / shard.name for shard in shards}:
        stale.unlink()  # a shard of an earlier run with other samples
    tasks = []
    for shard in shards:
        rows = set(pq.read_table(shard, columns=["row"]).column(0).to_pylist())
        tasks.append(_Task(shard, out / shard.name, key, {row: prompts[row] for row in rows}, reward))
    return tasks


def _grade(
    tasks: Mapping[str, Sequence[_Task]],
    checks: FormatChecks,
    workers: int | None,
    on_ray: bool,
    on_progress: OnProgress | None,
) -> None:
    """Grade the shards of all sets, in the same processes."""

    def finish(task: _Task, table: pa.Table) -> pa.Table:
        """Formats are checked in this process: that is cheap, and the caller's functions need not be picklable."""
        asked, responses = table.column("asked_format").to_pylist(), table.column("response").to_pylist()
        well_formed = [bool(checks[name](response)) for name, response in zip(asked, responses, strict=True)]
        place = SCHEMA.get_field_index("format")
        return table.set_column(place, SCHEMA.field(place), pa.array(well_formed, pa.bool_()))

    names = {task.graded: name for name, own in tasks.items() for task in own}
    sizes = {task.graded: pq.read_metadata(task.samples).num_rows for own in tasks.values() for task in own}
    done = dict.fromkeys(tasks, 0)
    everything = [task for own in tasks.values() for task in own]
    for task in grade_shards(everything, _graded_table, workers, finish, on_ray):
        name = names[task.graded]
        done[name] += sizes[task.graded]
        if on_progress is not None:
            on_progress(name, done[name], sum(sizes[own.graded] for own in tasks[name]))


def _graded_table(task: _Task) -> pa.Table:
    """Every response of a shard with its grades; the column `format` is still empty."""
    columns = ["row", "row_id", "sample", "response", "finish_reason", "n_tokens"]
    samples = read_shard(task.samples, columns).to_pylist()
    reward = load_function(task.reward, "Reward function")
    grades = grade_responses(reward, [(task.prompts[sample["row"]], sample["response"]) for sample in samples])
    rows = []
    for sample, grade in zip(samples, grades, strict=True):
        prompt = task.prompts[sample["row"]]
        rows.append(
            {
                **sample,
                "data_source": prompt.data_source,
                "task": prompt.task,
                "verifier": prompt.verifier,
                "asked_format": prompt.asked_format,
                "ground_truth": prompt.ground_truth,
                "right": grade.right,
                "acc": grade.acc,
                "format": None,
                "score": grade.score,
                "status": grade.status,
                "extracted": grade.extracted,
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _grading_key(prompts: Sequence[Prompt], checks: FormatChecks, reward: str) -> str:
    """Digest of everything besides the responses that grades depend on; of functions, their names and code."""
    digest = hashlib.sha256()
    place = reward.rpartition(":")[0]
    source = file_digest(Path(place)) if place.endswith(".py") else b""
    digest.update(json.dumps([GRADING_VERSION, reward, sorted(checks)]).encode() + source)
    for prompt in prompts:
        line = [prompt.row_id, prompt.data_source, prompt.ground_truth, prompt.extra_info, prompt.task]
        digest.update(json.dumps(line, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()
