"""Rows of several files in one, chosen with weights, caps and a seed.

    sources = [Source("orsta", Path("orsta.parquet"), weight=2), Source("virl39k", Path("virl.parquet"), weight=1)]
    counts = mix(sources, Path("mixed.parquet"), seed=0)

The files keep their rows as they are; columns that only some of them have are empty elsewhere. The same files and seed
give the same bytes. One pass over every file: memory holds a row group of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import schema
from data_prep.errors import UserError
from data_prep.mix.choose import Wanted, chosen, interleaved, shares
from data_prep.writer import RowWriter


@dataclass(frozen=True)
class Source:
    """One set in a mixture."""

    name: str
    file: Path
    weight: float | None = None
    cap: int | None = None


def mix(sources: Sequence[Source], out: Path, total: int | None = None, seed: int = 0) -> dict[str, int]:
    """Write the mixture to the file `out`; rows per set.

    Raises:
        UserError: a file cannot be read, two sets have one name, columns contradict each other, or nothing is left.
    """
    if len({source.name for source in sources}) < len(sources):
        raise UserError(f"Two sets have the same name: {', '.join(source.name for source in sources)}.")
    columns = _columns([source.file for source in sources])
    rows = [pq.read_metadata(source.file).num_rows for source in sources]
    wanted = [Wanted(count, s.weight, s.cap) for count, s in zip(rows, sources, strict=True)]
    counts = shares(wanted, total)
    picked = [
        _picked(source, chosen(count, available, seed, source.name))
        for source, count, available in zip(sources, counts, rows, strict=True)
    ]
    with RowWriter(out, columns) as writer:
        for number in interleaved(counts):
            writer.write(next(picked[number]))
        if writer.rows == 0:
            raise UserError(f"{out}: the mixture has no rows.")
    return {source.name: count for source, count in zip(sources, counts, strict=True)}


def _picked(source: Source, numbers: frozenset[int]) -> Iterator[dict[str, object]]:
    for index, row in schema.rows(source.file):
        if index in numbers:
            yield row


def _columns(files: Sequence[Path]) -> pa.Schema:
    found = []
    for file in files:
        next(schema.rows(file), None)  # a file that is none gets its sentence
        columns = pq.read_schema(file).remove_metadata()
        if wrong := schema.check_columns(columns):
            raise UserError(f"{file}: {wrong[0]}. Convert it with `specs data` first.")
        found.append(columns)
    try:
        return pa.unify_schemas(found, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"{', '.join(map(str, files))}: columns that do not fit together ({error}).") from error
