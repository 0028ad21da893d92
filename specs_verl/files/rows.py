"""Rows of parquet files as plain dictionaries, in slices, with memory bounded by one slice.

    table = RowTable(["train.parquet"]);  len(table);  for index, row in table.slice(128, 192): ...

Image bytes make rows large, and some writers put a whole file into one row group: pages are therefore streamed, and a
reader that moves forward through a file does not start from its beginning again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.errors import UserError

BATCH_ROWS = 32
READ_BUFFER = 1 << 20
REOPEN_GAP = 512
"""Rows that are read over rather than skipped by opening the file again."""


class RowTable:
    """Several parquet files read as one sequence of rows."""

    def __init__(self, files: Sequence[str], limit: int | None = None, columns: list[str] | None = None) -> None:
        self.files = [Path(file) for file in files]
        counts = [_row_count(file) for file in self.files]
        self._starts = [0, *accumulate(counts)]
        self._length = min(self._starts[-1], limit) if limit is not None else self._starts[-1]
        self._columns = columns
        self._position: int | None = None
        self._stream: Iterator[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return self._length

    @property
    def schema(self) -> pa.Schema:
        """Columns of the first file."""
        return pq.read_schema(self.files[0])

    def file_of(self, index: int) -> Path:
        """The file that holds a row, for error messages and for image paths relative to it."""
        return self.files[self._file_number(index)]

    def slice(self, start: int, stop: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows start to stop - 1 with their indices; consecutive slices continue the same stream."""
        stop = min(stop, self._length)
        if self._stream is None or self._position is None or not 0 <= start - self._position <= REOPEN_GAP:
            self._stream, self._position = self._rows_from(start), start
        for index in range(self._position, stop):
            row = next(self._stream)
            self._position = index + 1
            if index >= start:
                yield index, row

    def _file_number(self, index: int) -> int:
        return next(number for number in range(len(self.files)) if index < self._starts[number + 1])

    def _rows_from(self, start: int) -> Iterator[dict[str, Any]]:
        for number in range(self._file_number(start), len(self.files)):
            skip = max(0, start - self._starts[number])
            with pq.ParquetFile(self.files[number], buffer_size=READ_BUFFER, pre_buffer=False) as file:
                groups, skip = _groups_after(file.metadata, skip)
                for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=self._columns):
                    if skip >= batch.num_rows:
                        skip -= batch.num_rows
                        continue
                    yield from batch.slice(skip).to_pylist()
                    skip = 0


def _groups_after(metadata: pq.FileMetaData, skip: int) -> tuple[list[int], int]:
    """Row groups that hold row number `skip` and what follows, and the rows still to skip in the first of them."""
    group = 0
    while group < metadata.num_row_groups and skip >= metadata.row_group(group).num_rows:
        skip -= metadata.row_group(group).num_rows
        group += 1
    return list(range(group, metadata.num_row_groups)), skip


def _row_count(file: Path) -> int:
    if not file.is_file():
        raise UserError(f"{file}: no such data file.")
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: not a readable parquet file ({error}).") from error
    if "prompt" not in parquet.schema_arrow.names:
        raise UserError(
            f"{file}: no column `prompt`; its columns are {', '.join(parquet.schema_arrow.names)}. "
            "Convert it to verl's schema with a module of data_prep."
        )
    return parquet.metadata.num_rows


def row_id(index: int, row: dict[str, Any]) -> str:
    """The id that a data set gave its row (`extra_info.id`), or the row's number."""
    extra = row.get("extra_info")
    given = extra.get("id") if isinstance(extra, dict) else None
    return str(index) if given in (None, "") else str(given)
