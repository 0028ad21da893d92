"""`specs data doctor`: is a data set fit for training? Reads every row, decodes every image, can drop what is broken.

    report = examine("train.parquet")           # report.rows, report.broken, report.notes
    fix("train.parquet", "train.fixed.parquet") # the sound rows, atomically

Broken rows crash a training run hours later, or give every sample of their group the same reward: problems of the
schema (schema.py), images that cannot be decoded or that the processor refuses, ground truths that their verifier
cannot read. Notes are suspicious but no reason to drop a row: duplicates, tiny images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import schema
from data_prep.errors import UserError
from data_prep.identity import prompt_identity
from data_prep.images import ImageError, decode_image
from reward_fns import verify
from reward_fns.scoring import row_grading
from reward_fns.workers.judge_client import offline

MOST_ASPECT = 200
"""Qwen's image processors refuse images that are more than 200 times as long as wide."""

SHOWN = 5


@dataclass
class Report:
    """What was found in one file."""

    path: str
    rows: int = 0
    broken: dict[int, list[str]] = field(default_factory=dict)
    """Row number -> what is wrong with it."""

    notes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    images: int = 0

    def text(self) -> str:
        """The report as the command prints it."""
        lines = [f"{self.path}: {self.rows} rows, {self.images} images, {len(self.broken)} broken rows"]
        lines += [f"  {source}: {count} rows" for source, count in sorted(self.sources.items())]
        for index, problems in list(self.broken.items())[:SHOWN]:
            lines.append(f"  row {index}: {'; '.join(problems)}")
        if len(self.broken) > SHOWN:
            lines.append(f"  ... and {len(self.broken) - SHOWN} more")
        lines += [f"  note: {count} x {note}" for note, count in sorted(self.notes.items())]
        return "\n".join(lines)


def examine(path: str | Path) -> Report:
    """Read a whole file; DataError when it is no data file at all."""
    path = Path(path)
    report = Report(str(path))
    for _index, _row, _problems in _examined(path, report):
        pass
    return report


def _examined(path: Path, report: Report) -> Iterator[tuple[int, dict[str, object], list[str]]]:
    """Rows with their problems; the report is filled on the way."""
    seen: set[bytes] = set()
    for index, row in schema.rows(path):
        if index == 0 and (wrong := schema.check_columns(pq.read_schema(path))):
            raise schema.DataError(f"{path}: {wrong[0]}. Convert the file with a module of data_prep first.")
        problems = schema.check_row(row)
        if not problems:
            problems = _image_problems(row, path, report) + _truth_problems(row)
        report.rows += 1
        report.sources[str(row.get("data_source"))] += 1
        if problems:
            report.broken[index] = problems
        else:
            key = prompt_identity(row)
            report.notes["the same prompt and images as an earlier row"] += key in seen
            seen.add(key)
        yield index, row, problems
    report.notes = +report.notes  # drops notes that never occurred


def _image_problems(row: dict[str, object], path: Path, report: Report) -> list[str]:
    problems = []
    for number, reference in enumerate(row.get("images") or []):
        try:
            image = decode_image(reference, path)
        except ImageError as error:
            problems.append(f"image {number}: {error}")
            continue
        report.images += 1
        short, long = sorted(image.size)
        if long > MOST_ASPECT * short:
            size = f"{image.width}x{image.height}"
            problems.append(f"image {number}: {size} is more than {MOST_ASPECT} times as long as wide")
        elif short < 28:
            report.notes["image shorter than 28 pixels (some processors refuse it)"] += 1
    return problems


def _truth_problems(row: dict[str, object]) -> list[str]:
    """Whether the row's own verifier can read its ground truth."""
    model = row["reward_model"]
    try:
        grading = row_grading({**(row.get("extra_info") or {}), "reward_model": model})
        # Graded against itself: whether the text is right does not matter here, whether the gold can be read does.
        with offline():
            status = verify(
                str(model["ground_truth"]), model["ground_truth"], grading.verifier, **grading.params
            ).status
    except (TypeError, ValueError, ModuleNotFoundError) as error:
        return [f"grading: {error}"]
    return ["the verifier cannot read the ground truth"] if status == "unparsable_gold" else []


def fix(path: str | Path, out: str | Path) -> Report:
    """Write the sound rows of a file to another one (or over itself), atomically; returns what was found."""
    path, out = Path(path), Path(out)
    report = Report(str(path))
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    writer: pq.ParquetWriter | None = None
    try:
        group: list[dict[str, object]] = []
        for _index, row, problems in _examined(path, report):
            if writer is None:
                columns = pq.read_schema(path)
                writer = pq.ParquetWriter(temporary, columns, compression="zstd")
            if not problems:
                group.append(row)
            if len(group) == 128:
                writer.write_table(pa.Table.from_pylist(group, schema=columns))
                group = []
        if report.rows == len(report.broken):
            raise schema.DataError(f"{path}: no sound row to keep ({report.rows} rows, all broken).")
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=columns))
        writer.close()
        writer = None
        os.replace(temporary, out)
    finally:
        if writer is not None:
            writer.close()
        temporary.unlink(missing_ok=True)
    return report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data doctor`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument("--fix", action="store_true", help="drop broken rows: writes FILE.fixed.parquet beside FILE")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every row is sound (or was fixed), 1 when rows are broken."""
    broken = 0
    for file in args.files:
        path = Path(file)
        try:
            if args.fix:
                out = path.with_name(path.name.removesuffix(".parquet") + ".fixed.parquet")
                report = fix(path, out)
                print(report.text())
                print(f"  {report.rows - len(report.broken)} rows kept in {out}, {len(report.broken)} dropped")
            else:
                report = examine(path)
                print(report.text(), file=sys.stdout)
                broken += len(report.broken)
        except schema.DataError as error:
            raise UserError(str(error)) from error
    return 1 if broken else 0
