"""Writes preference pairs: the rows' own columns (prompt, images, ...) plus the pair and its provenance, and a card.

    write_staged(out / "staged.parquet", pairs)                           # all pairs, without prompts and images
    write_pairs(out / "pairs.parquet", read_staged(path, rows), data_files, provenance)
    text = card(report)

Rows are copied in their order, a few at a time, so memory does not grow with the images or texts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.distill.pair import Pair
from specs_verl.errors import UserError
from specs_verl.sampling.rows import RowTable

ROWS_PER_GROUP = 128

PAIR_FIELDS = [
    ("chosen", pa.string()),
    ("rejected", pa.string()),
    ("corruption", pa.string()),
    ("row", pa.int64()),
    ("row_id", pa.string()),
    ("chosen_sample", pa.int32()),
    ("rejected_sample", pa.int32()),
    ("chosen_origin", pa.string()),
    ("rejected_origin", pa.string()),
    ("rejected_status", pa.string()),
    ("judge", pa.string()),
    ("chosen_pass_rate", pa.float32()),
    ("rejected_pass_rate", pa.float32()),
    ("rejected_format_rate", pa.float32()),
    ("provenance", pa.string()),
]


def write_pairs(path: Path, pairs: Iterable[Pair], data: tuple[str, ...], provenance: dict[str, object]) -> int:
    """Write the pairs, which must come in the order of their rows; returns how many."""
    original = pq.read_schema(data[0])
    names = {name for name, _ in PAIR_FIELDS}
    clash = sorted(names & set(original.names))
    if clash:
        raise UserError(f"{data[0]} has columns {clash} already: it holds pairs, not prompts. Pass the prompts' file.")
    schema = pa.schema([*original, *(pa.field(name, kind) for name, kind in PAIR_FIELDS)])
    # The same for every row, so the column is stored once (dictionary encoding).
    origin = json.dumps(provenance, ensure_ascii=False, sort_keys=True)
    return write_rows(path, schema, _with_columns(pairs, RowTable(data), origin))


def write_staged(path: Path, pairs: Iterable[Pair]) -> int:
    """Write pairs alone, to be read again once it is decided which of them stay."""
    schema = pa.schema([field for field in PAIR_FIELDS if field[0] != "provenance"])
    return write_rows(path, schema, (asdict(pair) for pair in pairs))


def read_staged(path: Path, rows: Collection[int]) -> Iterator[Pair]:
    """The staged pairs of some rows, in the order of rows."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
            yield from (Pair(**values) for values in batch.to_pylist() if values["row"] in rows)


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[dict[str, object]]) -> int:
    """Write rows to a parquet, a group at a time and atomically; returns how many."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    written = 0
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for group in _groups(rows):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                written += len(group)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _with_columns(pairs: Iterable[Pair], table: RowTable, origin: str) -> Iterator[dict[str, object]]:
    for pair in pairs:
        ((_, row),) = table.slice(pair.row, pair.row + 1)
        yield {**row, **asdict(pair), "provenance": origin}


def _groups(rows: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    group: list[dict[str, object]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def card(report: dict[str, object]) -> str:
    """The data set card: counts, keep rates, provenance and a few pairs, as Markdown."""
    funnel, corruptions = report["funnel"], report["corruptions"]
    total = sum(corruptions.values()) or 1
    differ = "form only; both answers are right" if report["kind"] == "decoupled" else "form and in correctness"
    lines = [
        "# Self-distilled preference pairs",
        "",
        f"{report['pairs']} pairs ({report['kind']}) from {funnel.get('rows', 0)} prompts. "
        f"Chosen and rejected differ in {differ}.",
        "",
        "| step | count |",
        "|---|---:|",
        *(f"| {name} | {count} |" for name, count in funnel.items()),
        "",
        "| corruption | pairs | share |",
        "|---|---:|---:|",
        *(f"| {kind} | {count} | {100 * count / total:.1f} % |" for kind, count in corruptions.items()),
        "",
        f"Mean length in characters without tags: chosen {report['mean_chosen_length']:.1f}, rejected "
        f"{report['mean_rejected_length']:.1f}.",
        "",
        "| characters | chosen | rejected |",
        "|---|---:|---:|",
        *(f"| {low} to {high} | {chosen} | {rejected} |" for low, high, chosen, rejected in report["lengths"]),
        "",
        "| data source | pairs |",
        "|---|---:|",
        *(f"| {source} | {count} |" for source, count in sorted(report["data_sources"].items())),
        "",
        "Dropped by selection: " + ", ".join(f"{count} ({why})" for why, count in report["dropped"].items()) + ".",
        "",
        "## Skipped prompts",
        "",
        *(f"- {source}: {skipped or 'none'}" for source, skipped in report["skipped"].items()),
        "",
        "## Provenance",
        "",
        "```json",
        json.dumps(report["provenance"], indent=1, ensure_ascii=False, sort_keys=True),
        "```",
        "",
        "## Examples",
    ]
    for example in report["examples"]:
        lines += [
            "",
            f"Row {example['row_id']}, corruption `{example['corruption']}`",
            "",
            "```text",
            f"chosen:   {example['chosen']}",
            f"rejected: {example['rejected']}",
            "```",
        ]
    return "\n".join(lines) + "\n"
