"""Parquet files made from another file, which know when that file has changed.

if not is_derived(graded, samples):
    write_derived(graded, table, samples)
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.tables import write_parquet
from specs_verl.files.fingerprints import file_digest

MADE_FROM = "made_from"
"""Key in a file's metadata: digest of the file that it was made from, and what else it depends on."""


def write_derived(path: Path, table: pa.Table, source: Path, key: str = "") -> None:
    """Write a table that was made from another file, with that file's digest and `key` in its metadata."""
    write_parquet(path, table, {MADE_FROM: _made_from(source, key)})


def is_derived(path: Path, source: Path, key: str = "") -> bool:
    """Whether a whole file is there and was made from the other one as it is now; a damaged one is made again.

    Args:
        key: digest of what else the content depends on.
    """
    if not path.is_file():
        return False
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return False
    return metadata.get(MADE_FROM.encode()) == _made_from(source, key).encode()


def _made_from(source: Path, key: str) -> str:
    return f"{file_digest(source).hex()}{key}"
