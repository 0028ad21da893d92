"""Published files on this machine: parquet tables and JSON lists by the name of their split, and their pictures.

    for place, row in table(folder, "testmini"): ...        # place: "testmini-00000.parquet, row 3", for messages
    picture(row["decoded_image"], row.get("image"), folder, place)

Nothing is fetched: what is not there is an error that names the row.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.errors import UserError

Row = dict[str, object]

LONGEST_LIST = 20_000
"""Characters of a list that is written as text."""


class BrokenRowError(UserError):
    """One row that cannot be used; the others can."""


def table(folder: Path, split: str, needed: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Rows of all parquet files, or else of the JSON file, whose name begins with ``split``, in the order of names."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder. Pass the folder of the published data set.")
    files = sorted(file for file in folder.rglob("*.parquet") if file.name.startswith(split))
    if files:
        for file in files:
            yield from _parquet(file, needed)
        return
    for file in sorted(file for file in folder.rglob("*.json") if file.name.startswith(split)):
        yield from _json(file, needed)
        return
    raise UserError(f"{folder}: no parquet or JSON file whose name begins with {split!r}.")


def _parquet(file: Path, needed: Sequence[str]) -> Iterator[tuple[str, Row]]:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: not a readable parquet file ({error}).") from error
    with parquet:
        _check(file, parquet.schema_arrow.names, needed)
        index = 0
        for batch in parquet.iter_batches(batch_size=32):
            for row in batch.to_pylist():
                yield f"{file}, row {index}", row
                index += 1


def _json(file: Path, needed: Sequence[str]) -> Iterator[tuple[str, Row]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not a readable JSON file ({error}).") from error
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, row in entries:
        if not isinstance(row, dict):
            raise UserError(f"{file}, entry {key}: must be an object, got {type(row).__name__}.")
        _check(f"{file}, entry {key}", list(row), needed)
        yield f"{file}, entry {key}", {"key of entry": str(key), **row}


def _check(place: object, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise UserError(
            f"{place}: no {', '.join(missing)}; there are {', '.join(names)}. This is not the published layout."
        )


def picture(value: object, path: object, folder: Path, place: str) -> Row:
    """A picture with its bytes: from the table itself, or from the file that the row names, below ``folder``."""
    if isinstance(value, dict) and value.get("bytes"):
        return {"bytes": value["bytes"], "path": None}
    name = path if isinstance(path, str) and path else value.get("path") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name:
        raise BrokenRowError(f"{place}: no picture.")
    root = folder.resolve()
    for candidate in (root / name, root / "images" / name, root / Path(name).name, root / "images" / Path(name).name):
        # A row names a file of the data set, never one elsewhere on this machine.
        if candidate.is_file() and candidate.resolve().is_relative_to(root):
            return {"bytes": candidate.read_bytes(), "path": None}
    raise BrokenRowError(f"{place}: its picture {name} is not below {folder}.")


def text_of(row: Row, name: str, place: str) -> str:
    """A cell that must hold text."""
    value = row.get(name)
    if value is None or not str(value).strip():
        raise BrokenRowError(f"{place}: `{name}` is empty.")
    return str(value)


def list_of(value: object, place: str) -> list[str]:
    """A list of texts, as a list or written as one (MMMU: "['a', 'b']"); literals only, nothing is evaluated."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        if len(value) > LONGEST_LIST:
            raise BrokenRowError(f"{place}: a list of {len(value)} characters.")
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise BrokenRowError(f"{place}: {str(value)[:60]!r} is no list.") from error
    if not isinstance(value, list | tuple):
        raise BrokenRowError(f"{place}: a list was expected, got {type(value).__name__}.")
    return [str(item) for item in value]
