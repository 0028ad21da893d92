"""A parquet file copied so that single rows can be read: parquet itself can only be read by whole groups of rows.

    rows = RowFile.of_parquet(path, columns, folder)
    rows[7]                                  # {"prompt": ..., "images": ...}, nothing else is read

The copy is an Arrow file with one record batch per row, read with plain reads (a memory map would count every page that
was ever touched as memory in use). It is written under a draft name and renamed; several processes take turns.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import locked, replacing

ROWS_AT_ONCE = 32


class RowFile:
    """Rows of one parquet file."""

    def __init__(self, path: Path) -> None:
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))

    @classmethod
    def of_parquet(cls, source: Path, columns: list[str], folder: Path) -> "RowFile":
        """Open the copy of `source` in `folder`; make it first if it is not there or `source` has changed."""
        status = source.stat()
        copy = folder / f"{source.stem}-{status.st_size}-{status.st_mtime_ns}-{'-'.join(columns)}.arrow"
        with locked(folder, wait=True):
            if not copy.exists():
                _copy(source, columns, copy)
        return cls(copy)

    def __getitem__(self, row: int) -> dict:
        return self._reader.get_batch(row).to_pylist()[0]


def _copy(source: Path, columns: list[str], copy: Path) -> None:
    with replacing(copy) as draft, pq.ParquetFile(source, pre_buffer=False) as parquet:
        schema = pa.schema([parquet.schema_arrow.field(name) for name in columns])
        with pa.ipc.new_file(str(draft), schema) as writer:
            for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=columns):
                ordered = batch.select(columns)
                for row in range(ordered.num_rows):
                    writer.write_batch(ordered.slice(row, 1))
