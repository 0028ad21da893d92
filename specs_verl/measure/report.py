"""The end of a run: a table on the terminal and one HTML page that needs nothing but itself.

    inputs = ReportInputs(metrics=(base_json, zero_json, warm_up_json, final_json),
                          grpo=(TrainingLog("zero", (zero_jsonl,), rollouts=zero_dumps), ...), cold_start=...)
    print_summary(console, inputs)
    write_report(inputs, Path("report.html"))
    write_figures(collect(inputs), Path("figures"))

Models are shown in the order of ``metrics``; the first is what the others are compared with, the last is "the result".
Several metrics files of one model are its seeds. What is not given (curves, OOD sets, samples) is left out of the page.

Not here: the look of the page (page.py, templates/), what the figures are (summary.py, curves.py, gate.py, samples.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from data_prep.files import write_text
from reward_fns.question import question_in
from specs_verl.files.rows import RowTable
from specs_verl.measure.benchmarks.scores import read_benchmarks
from specs_verl.measure.curves import cold_start_curves, grpo_curves
from specs_verl.measure.figures import Line, write_lines
from specs_verl.measure.gate import GateResult, gate
from specs_verl.measure.gf_curve import GfCurve
from specs_verl.measure.metrics import ModelMetrics, read_metrics
from specs_verl.measure.page import Page, all_charts, render
from specs_verl.measure.page_runs import read_gf, stage_rows
from specs_verl.measure.samples import Answer, Picture, Sample, choose, clean_text, picture
from specs_verl.measure.stability import groups_without_variance, stability
from specs_verl.measure.summary import Summary, by_model, gain, graded_rollouts, summarise, warnings
from specs_verl.measure.tables import summary_table

PICTURE_BUDGET = 1_800_000  # characters of base64 on the page, so that it stays under 3 MB whatever the images are
CHOICE_COLUMNS = ("row", "sample", "right", "format", "task")
SHOWN_COLUMNS = (
    "row", "row_id", "right", "format", "task", "asked_format", "ground_truth", "response", "status", "extracted",
    "n_tokens", "finish_reason",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingLog:
    """One training run: the model it made, its log files in order, and verl's rollout dumps where they were kept."""

    model: str
    files: tuple[Path, ...]
    rollouts: Path | None = None


@dataclass(frozen=True)
class ReportInputs:
    """All that a report is made of."""

    metrics: tuple[Path, ...]
    grpo: tuple[TrainingLog, ...] = ()
    cold_start: tuple[TrainingLog, ...] = ()
    gf: tuple[Path, ...] = ()
    """Folders that `specs gf RUN` wrote."""
    run: Path | None = None
    """Folder of `specs run`, for the time and memory of its stages."""
    title: str = "SPECS run"
    samples: int = 6


def print_summary(console: Console, inputs: ReportInputs) -> None:
    """The end table, with what a reader must know before trusting it."""
    metrics = [read_metrics(path) for path in inputs.metrics]
    console.print(summary_table(summarise(metrics)))
    for sentence in warnings(metrics):
        console.print(f"[yellow]{escape(sentence)}[/]")


def write_report(inputs: ReportInputs, path: Path) -> Path:
    """Read everything and write the page."""
    return write_page(collect(inputs), path)


def write_page(page: Page, path: Path) -> Path:
    """Write the page, whole or not at all."""
    write_text(path, render(page))
    return path


def write_figures(page: Page, folder: Path) -> list[Path]:
    """Every chart of the page as PNG with its numbers as CSV."""
    written = []
    for number, chart in enumerate(all_charts(page), 1):
        lines = [
            Line(name, curve.steps, curve.values, place, place)
            for place, (name, curve) in enumerate(chart.curves.items())
        ]
        slug = re.sub(r"[^a-z0-9@]+", "_", chart.heading.lower()).strip("_")
        x_label = "k" if chart.heading == "pass@k" else "step"
        written += write_lines(folder / f"{number:02d}_{slug}", chart.heading, lines, x_label=x_label, y_label="value")
    return written


def collect(inputs: ReportInputs) -> Page:
    """Everything the page shows, read and computed."""
    metrics = [read_metrics(entry) for entry in inputs.metrics]
    groups = by_model(metrics)
    names = list(groups)
    summary = summarise(metrics)
    grpo = {name: grpo_curves(log.files, log.rollouts) for name, log in _labelled(inputs.grpo)}
    gains = {}
    if len(names) > 1:
        for quantity in ("acc", "format", "pass"):
            gains[quantity] = gain(groups[names[0]], groups[names[-1]], quantity, summary.k)
    return Page(
        title=inputs.title,
        models=tuple(names),
        metrics=tuple(groups[name][0] for name in names),
        summary=summary,
        gains=gains,
        gates=tuple(_gates(groups, summary)),
        grpo=grpo,
        gf=tuple(_numbered(read_gf(folder) for folder in inputs.gf)),
        stability=tuple(
            stability(name, grpo[name], None if log.rollouts is None else groups_without_variance(log.rollouts))
            for name, log in _labelled(inputs.grpo)
        ),
        stages=() if inputs.run is None else stage_rows(inputs.run),
        benchmarks=tuple(
            (entry.model, str(score["line"]))
            for entry in metrics
            if entry.path is not None
            for score in read_benchmarks(entry.path)
        ),
        cold_start={name: cold_start_curves(log.files) for name, log in _labelled(inputs.cold_start)},
        samples=tuple(_samples([groups[name][0] for name in names], inputs.samples)),
        warnings=tuple(warnings(metrics)),
    )


def _labelled(logs: Sequence[TrainingLog]) -> list[tuple[str, TrainingLog]]:
    """Logs with the names of their lines: the model's, numbered from the second run of a model (another seed) on."""
    seen: Counter[str] = Counter()
    labelled = []
    for log in logs:
        seen[log.model] += 1
        labelled.append((log.model if seen[log.model] == 1 else f"{log.model} #{seen[log.model]}", log))
    return labelled


def _numbered(folders: Iterable[Sequence[GfCurve]]) -> Iterator[GfCurve]:
    """Curves of several folders; a run whose name came before (another seed) is numbered, as in _labelled."""
    seen: Counter[str] = Counter()
    for curves in folders:
        seen.update({curve.run for curve in curves})
        for curve in curves:
            yield curve if seen[curve.run] == 1 else replace(curve, run=f"{curve.run} #{seen[curve.run]}")


def _gates(groups: Mapping[str, Sequence[ModelMetrics]], summary: Summary) -> list[GateResult]:
    base, *others = groups
    return [gate(groups[base], groups[name]) for name in others]


def _samples(models: Sequence[ModelMetrics], count: int) -> list[Sample]:
    """The same prompts answered by every model; none where graded rollouts or the data were not kept."""
    name = next((name for name, entry in models[0].sets.items() if entry.role == "id"), None)
    if name is None or count < 1 or any(name not in model.sets for model in models):
        return []
    before, after = (graded_rollouts(model, name, CHOICE_COLUMNS) for model in (models[0], models[-1]))
    if before is None or after is None:
        return []
    chosen = choose(before, after, count)
    found = (graded_rollouts(model, name, SHOWN_COLUMNS, [row for row, _ in chosen]) for model in models)
    frames = [frame for frame in found if frame is not None]
    if len(frames) < len(models):
        return []
    firsts = [frame.set_index("row") for frame in frames]
    chosen = [(row, why) for row, why in chosen if all(row in first.index for first in firsts)]
    contents = _prompt_contents(models[0].sets[name].prompts_files, [row for row, _ in chosen])
    budget = PICTURE_BUDGET
    samples = []
    for row, why in chosen:
        question, images = contents.get(row, ("", []))
        shown: list[Picture] = []
        for number, content in enumerate(images, 1):
            made = picture(content, f"Picture {number} of {len(images)} for the question: {question[:140]}")
            if made is not None and len(made.uri) <= budget:
                shown.append(made)
                budget -= len(made.uri)
        line = firsts[0].loc[row]
        samples.append(
            Sample(
                row_id=clean_text(str(line["row_id"]), 80),
                question=clean_text(question, 1500),
                truth=clean_text(str(line["ground_truth"]), 300),
                task=str(line["task"]),
                asked_format=str(line["asked_format"]),
                why=why,
                pictures=tuple(shown),
                answers=tuple(
                    _answer(model.model, first.loc[row]) for model, first in zip(models, firsts, strict=True)
                ),
            )
        )
    return samples


def _answer(model: str, line: Mapping[str, Any]) -> Answer:
    extracted = line["extracted"]
    return Answer(
        model=model,
        text=clean_text(str(line["response"])),
        right=bool(line["right"]),
        well_formed=bool(line["format"]),
        status=str(line["status"]),
        extracted=clean_text(extracted, 120) if isinstance(extracted, str) else "",
        tokens=int(line["n_tokens"]),
        truncated=line["finish_reason"] == "length",
    )


def _prompt_contents(files: Sequence[str], rows: Sequence[int]) -> dict[int, tuple[str, list[bytes]]]:
    """Question and image bytes of a few rows; nothing where the data set is gone or moved."""
    if not files or not all(Path(file).is_file() for file in files):
        return {}
    contents = {}
    table = RowTable(list(files))
    for row in sorted(rows):
        for index, values in table.slice(row, row + 1):
            images = [_image_bytes(image, table.file_of(index)) for image in values.get("images") or []]
            question = question_in(values.get("prompt"))
            contents[index] = (question, [content for content in images if content])
    return contents


def _image_bytes(image: object, file: Path) -> bytes | None:
    if isinstance(image, bytes):
        return image
    if not isinstance(image, Mapping):
        return None
    if image.get("bytes"):
        return image["bytes"]
    path = Path(str(image.get("path") or image.get("image") or "").removeprefix("file://"))
    candidate = path if path.is_absolute() else file.parent / path
    return candidate.read_bytes() if candidate.is_file() else None
