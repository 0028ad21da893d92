"""Parquet files that appear whole or not at all.

    write_parquet(path, table)                    # a table that is in memory
    count = write_rows(path, schema, rows)        # any number of rows, 128 of them in memory at a time

Not here: reading (specs_verl.files.rows) and what the columns mean (schema.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import replacing

ROWS_PER_GROUP = 128
COMPRESSION = "zstd"

Row = Mapping[str, object]


def write_parquet(path: str | Path, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table, with `metadata` (for example a fingerprint of what it was made from) added to its schema's."""
    if metadata:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    with replacing(path) as draft:
        pq.write_table(table, draft, compression=COMPRESSION)


def write_rows(path: str | Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    """Write rows in groups of 128, so that memory does not grow with their number; returns how many there were."""
    written = 0
    with replacing(path) as draft, pq.ParquetWriter(draft, schema, compression=COMPRESSION) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            written += len(group)
    return written


def _groups(rows: Iterable[Row]) -> Iterator[list[dict[str, object]]]:
    iterator = iter(rows)
    while group := [dict(row) for row in islice(iterator, ROWS_PER_GROUP)]:
        yield group
