"""Parquet files of any length: rows come one by one, memory holds one row group of at most 128 rows or 32 MiB.

    with RowWriter(path, schema) as writer:
        writer.write(row)               # appears as `path` when the block ends without an exception, else not at all

The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import replacing
from data_prep.tables import COMPRESSION, ROWS_PER_GROUP

BYTES_PER_GROUP = 32 << 20


class RowWriter:
    """One parquet file in the making. Nothing is left of it when its block fails, nor when no row came."""

    def __init__(self, path: str | Path, schema: pa.Schema) -> None:
        self.path = Path(path)
        self.rows = 0
        self.schema = schema
        """May be replaced before the first row."""
        self._group: list[dict[str, object]] = []
        self._bytes = 0
        self._stack = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> RowWriter:
        return self

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row."""
        self._group.append(dict(row))
        self._bytes += image_size(row)
        self.rows += 1
        if len(self._group) == ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            draft = self._stack.enter_context(replacing(self.path))
            self._writer = self._stack.enter_context(pq.ParquetWriter(draft, self.schema, compression=COMPRESSION))
        self._writer.write_table(pa.Table.from_pylist(self._group, schema=self.schema))
        self._group, self._bytes = [], 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._group:
                self._flush()
        except BaseException:
            import sys

            self._stack.__exit__(*sys.exc_info())
            raise
        self._stack.__exit__(kind, error, trace)


def image_size(row: Mapping[str, object]) -> int:
    """Bytes of a row's images: nearly all that it takes."""
    images = row.get("images")
    if not isinstance(images, list):
        return 0
    return sum(len(image.get("bytes") or b"") for image in images if isinstance(image, dict))
