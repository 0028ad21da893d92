"""Checkpoints in, figures out: sample every checkpoint on every data set, grade, measure, compare.

    paths = evaluate_checkpoints([Checkpoint("base", base), Checkpoint("final", final)],
                                 [DataSet("test", (test,)), DataSet("ood", (ood,), role="ood")], out, parameters)

    OUT/MODEL/samples/SET/      the sampling run            OUT/MODEL/graded/SET/    per-sample parquet with grades
    OUT/MODEL/metrics.json      all figures of the model    OUT/comparison.json      each model against the first
    OUT/MODEL/benchmarks.json   official scores, where a data set is a prepared benchmark

Everything continues where it was killed. A checkpoint's engine is loaded once for all its data sets.
Not here: arguments (evaluate_command.py), sampling and grading themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from data_prep.files import write_json
from specs_verl.errors import UserError
from specs_verl.grading.responses import FormatChecks
from specs_verl.measure.benchmarks.official import OfficialScore, official_score
from specs_verl.measure.benchmarks.prepare import about
from specs_verl.measure.benchmarks.scores import NAME
from specs_verl.measure.compare import Comparison, compare
from specs_verl.measure.evaluate import DEFAULT_REWARD, EvalSet, OnProgress, evaluate
from specs_verl.measure.graded import read_graded
from specs_verl.measure.metrics import read_metrics
from specs_verl.sampling import EngineSettings, Job, SampleRun, SamplingParameters, sample_all
from specs_verl.sampling.supervisor import Progress

GENERIC_NAMES = ("hf", "huggingface", "actor", "final", "checkpoint")
"""Folder names that say nothing about the model: their parent's name is taken."""


@dataclass(frozen=True)
class Checkpoint:
    """A model to evaluate, with its name in tables."""

    name: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """From "NAME=PATH", or a path alone: then its folder names the model."""
        name, equals, path = text.partition("=")
        if equals and name and "/" not in name:
            return cls(name, path)
        folder = Path(text.rstrip("/"))
        while folder.name in GENERIC_NAMES and folder.parent.name:
            folder = folder.parent
        return cls(folder.name or text, text)


@dataclass(frozen=True)
class DataSet:
    """Prompts to answer; the role as in EvalSet."""

    name: str
    files: tuple[Path, ...]
    role: str = "id"

    @classmethod
    def parse(cls, text: str) -> DataSet:
        """From "[NAME[@ROLE]=]FILE[,FILE]"; the name of the first file by default."""
        name, equals, places = text.partition("=")
        files = tuple(Path(place) for place in (places if equals else text).split(",") if place)
        if not files or (equals and not name):
            raise UserError(f"--data {text!r}: write [NAME[@ROLE]=]FILE[,FILE].")
        name, _, role = (name if equals else files[0].stem).partition("@")
        return cls(name, files, role or "id")


def evaluate_checkpoints(
    checkpoints: Sequence[Checkpoint],
    data: Sequence[DataSet],
    out: Path,
    parameters: SamplingParameters,
    *,
    samples_of: dict[str, int] | None = None,
    engine: EngineSettings | None = None,
    rows: int | None = None,
    seed: int = 0,
    format_checks: FormatChecks | None = None,
    reward: str = DEFAULT_REWARD,
    workers: int | None = None,
    on_sampling: Callable[[Progress], None] | None = None,
    on_grading: OnProgress | None = None,
) -> list[Path]:
    """Evaluate every checkpoint on every data set; returns the metrics files in the order of the checkpoints.

    Args:
        parameters: of sampling, the same for all.
        samples_of: responses per prompt of a data set by its name, where it differs.
        rows: only the first so many rows of every data set.
        seed: training seed of the checkpoints, for the spread over seeds.
        format_checks, reward, workers: see `evaluate`.
    """
    for what, names in (("checkpoints", [c.name for c in checkpoints]), ("data sets", [d.name for d in data])):
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise UserError(f"Two {what} are called {double[0]!r}: name them, as in NAME=PATH.")
    jobs = {}
    for checkpoint in checkpoints:
        for entry in data:
            wanted = replace(parameters, n=(samples_of or {}).get(entry.name, parameters.n))
            place = out / checkpoint.name / "samples" / entry.name
            files = tuple(map(str, entry.files))
            jobs[checkpoint.name, entry.name] = Job(
                checkpoint.path, files, str(place), wanted, rows, engine or EngineSettings()
            )
    sample_all(list(jobs.values()), on_sampling)
    paths = []
    for checkpoint in checkpoints:
        sets = [
            EvalSet(entry.name, Path(jobs[checkpoint.name, entry.name].out), entry.files, entry.role) for entry in data
        ]
        folder = out / checkpoint.name
        path = evaluate(
            checkpoint.name,
            sets,
            folder,
            seed=seed,
            format_checks=format_checks,
            reward=reward,
            workers=workers,
            on_ray=engine is not None and engine.on_ray,
            on_progress=on_grading,
        )
        scores = benchmark_scores(folder, sets, reward)
        if scores:
            write_json(folder / NAME, [asdict(score) for score in scores])
        paths.append(path)
    write_json(out / "comparison.json", [asdict(entry) for entry in comparisons(paths)])
    return paths


def benchmark_scores(folder: Path, sets: Sequence[EvalSet], reward: str) -> list[OfficialScore]:
    """Official scores of the data sets that are prepared benchmarks."""
    found = []
    for entry in sets:
        if len(entry.prompts) == 1 and about(entry.prompts[0]) is not None:
            files = sorted((folder / "graded" / entry.name).glob("*.parquet"))
            frame = read_graded(files, ["row", "sample", "right", "finish_reason"])
            found.append(official_score(entry.prompts[0], frame, SampleRun(entry.samples).manifest, reward))
    return found


def comparisons(paths: Sequence[Path]) -> list[Comparison]:
    """Every model against the first, on the data sets that both have."""
    first, *others = [read_metrics(path) for path in paths]
    return [entry for other in others for entry in compare(first, other)]
