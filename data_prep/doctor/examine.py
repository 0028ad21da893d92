"""A whole file through the doctor: streaming, with what concerns several rows, and the fixed copy.

report = examine("train.parquet", limits=Limits(...))
report = fix("train.parquet", "train.fixed.parquet")     # and train.fixed.left_out.jsonl
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep import schema
from data_prep.doctor.checks import Checked, check
from data_prep.doctor.findings import Finding, note
from data_prep.doctor.lengths import Lengths, Limits
from data_prep.doctor.pictures import REPAIRED, repaired
from data_prep.doctor.report import EXAMPLES, Example, Report
from data_prep.files import replacing
from data_prep.identity import prompt_identity
from data_prep.images import ImageError, image_bytes
from data_prep.writer import RowWriter, image_size

GROUP_ROWS, GROUP_BYTES = 64, 32 << 20
"""Rows that are held until their prompts are counted together."""

Row = dict[str, object]


@dataclass
class _Held:
    index: int
    row: Row
    checked: Checked


def examine(path: str | Path, limits: Limits | None = None, decode: bool = True) -> Report:
    """Read a whole file; DataError when it is no data file at all.

    Args:
        limits: count prompt tokens and find rows that are too long for a recipe.
        decode: read the pixels of every image; without, headers only, ten times as fast.
    """
    path = Path(path)
    report = Report(str(path))
    for _index, _row, _checked in _examined(path, report, limits, decode):
        pass
    return report


def fix(path: str | Path, out: str | Path, limits: Limits | None = None) -> Report:
    """Write the sound rows of a file to another one (or over itself), images repaired where they can be.

    Beside it, `NAME.left_out.jsonl` names every row that was left out, with the reasons.
    """
    path, out = Path(path), Path(out)
    report = Report(str(path))
    log_path = out.with_name(out.name.removesuffix(".parquet") + ".left_out.jsonl")
    columns = _arrow_schema(path)
    with (
        replacing(log_path) as draft,
        draft.open("w", encoding="utf-8") as log,
        RowWriter(out, columns) as writer,
    ):
        for index, row, checked in _examined(path, report, limits, decode=True):
            if checked.broken and not _repairable(checked):
                log.write(json.dumps({"row": index, "id": _id(row), "reasons": report.broken[index]}) + "\n")
            else:
                report.broken.pop(index, None)
                report.repaired += _repair(row, path, checked)
                writer.write(row)
        if writer.rows == 0:
            raise schema.DataError(f"{path}: no sound row to keep ({report.rows} rows, all broken).")
    return report


def _examined(path: Path, report: Report, limits: Limits | None, decode: bool) -> Iterator[tuple[int, Row, Checked]]:
    """Rows with their findings; the report is filled on the way."""
    lengths = Lengths.of(limits) if limits else None
    seen_prompts: set[bytes] = set()
    seen_ids: set[int] = set()
    shown: dict[str, int] = {}
    for group in _groups(path, decode):
        if lengths:
            _add_lengths(group, lengths, report)
        for held in group:
            row, checked = held.row, held.checked
            report.rows += 1
            report.sources[str(row.get("data_source"))] += 1
            report.images += len(checked.sizes)
            if identifier := _id(row):
                if hash(identifier) in seen_ids:
                    checked.findings.append(note("the same id as an earlier row"))
                seen_ids.add(hash(identifier))
            if not checked.broken:
                key = prompt_identity(row)
                if key in seen_prompts:
                    checked.findings.append(note("the same prompt and images as an earlier row"))
                seen_prompts.add(key)
            report.add(held.index, checked.findings)
            _keep_examples(report, shown, held, path)
            yield held.index, row, checked


def _groups(path: Path, decode: bool) -> Iterator[list[_Held]]:
    group: list[_Held] = []
    size = 0
    rows = tqdm(schema.rows(path), desc=path.name, unit=" rows", disable=None, file=sys.stderr, mininterval=1)
    for index, row in rows:
        if index == 0 and (wrong := schema.check_columns(pq.read_schema(path))):
            raise schema.DataError(f"{path}: {wrong[0]}. Convert the file with a module of data_prep first.")
        group.append(_Held(index, row, check(row, path, decode)))
        size += image_size(row)
        if len(group) == GROUP_ROWS or size > GROUP_BYTES:
            yield group
            group, size = [], 0
    yield group


def _add_lengths(group: list[_Held], lengths: Lengths, report: Report) -> None:
    sound, asked = [], []
    for held in group:
        if held.checked.broken:
            continue
        images: list[object] = held.row.get("images") or []  # type: ignore[assignment]
        try:
            tokens_of_images = lengths.counter.rules.tokens_of_row(held.checked.sizes, images)
        except ValueError as error:  # what the recipe or the row itself says of sizes
            held.checked.findings.append(Finding("size of an image", str(error)))
            continue
        sound.append(held)
        asked.append((held.row["prompt"], tokens_of_images))
    for held, tokens in zip(sound, lengths.tokens(asked), strict=True):  # type: ignore[arg-type]
        if finding := lengths.finding(tokens):
            held.checked.findings.append(finding)
        else:
            report.longest = max(report.longest, tokens)


def _repairable(checked: Checked) -> bool:
    return all(finding.kind in REPAIRED for finding in checked.findings if finding.broken)


def _repair(row: Row, path: Path, checked: Checked) -> int:
    """Repairs the images of a row in place; how many it were."""
    if not any(finding.kind in REPAIRED for finding in checked.findings):
        return 0
    count = 0
    for reference in row["images"]:  # type: ignore[attr-defined]
        better = repaired(image_bytes(reference, path))
        if better is not None and isinstance(reference, dict):
            reference["bytes"] = better
            count += 1
    return count


def _keep_examples(report: Report, shown: dict[str, int], held: _Held, path: Path) -> None:
    for finding in held.checked.findings:
        if shown.get(finding.kind, 0) >= EXAMPLES:
            continue
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        model = held.row.get("reward_model")
        report.examples.append(
            Example(
                held.index,
                finding.kind,
                finding.message[:400],
                _question(held.row)[:600],
                str(model.get("ground_truth") if isinstance(model, dict) else "")[:200],
                _pictures(held.row, path),
            )
        )


def _pictures(row: Row, path: Path) -> tuple[bytes, ...]:
    images = row.get("images")
    contents = []
    for reference in images[:2] if isinstance(images, list) else []:
        try:
            contents.append(image_bytes(reference, path))
        except ImageError:
            continue
    return tuple(content for content in contents if len(content) <= 4 << 20)


def _question(row: Row) -> str:
    prompt = row.get("prompt")
    last = prompt[-1] if isinstance(prompt, list) and prompt else {}
    return str(last.get("content") if isinstance(last, dict) else last)


def _id(row: Row) -> str:
    info = row.get("extra_info")
    return str(info.get("id") or "") if isinstance(info, dict) else ""


def _arrow_schema(path: Path) -> pa.Schema:
    next(schema.rows(path), None)  # a file that is none gets its sentence
    return pq.read_schema(path)
