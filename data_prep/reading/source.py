"""Rows of a data set as it was published: parquet, JSON Lines or JSON files, or a data set of the Hugging Face hub.

    for split, part in find("ViRL39K", columns=("question", "answer")).items():
        for place, row in part.rows():          # place prints as "ViRL39K/data.parquet, row 12"
            ...

A folder is searched for parquet files, then for .jsonl, then for .json; the split is in a file's name (train-*, val*,
test*), "train" when it is not. Rows stream: memory holds a batch of at most 32 MiB, or one row where rows are larger.
Not here: images (pictures.py) and what the columns mean (sets/).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError
from data_prep.reading.cells import Unfit

SPLITS = {"train": "train", "validation": "validation", "val": "validation", "dev": "validation", "test": "test"}
SUFFIXES = (".parquet", ".jsonl", ".json")
BATCH_BYTES = 32 << 20
BATCH_ROWS = 64
LONGEST_LINE = 64 << 20
"""Bytes of one line of a JSON Lines file."""

NOT_DATA = ("dataset_info", "dataset_infos", "config", "state", "metadata", "README")


@dataclass(frozen=True)
class Place:
    """Where a row stands, for people."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}"


RowOrFault = dict[str, object] | Unfit


@dataclass(frozen=True)
class Part:
    """One split: files, or a split of a hub data set."""

    files: tuple[Path, ...] = ()
    hub: str = ""
    split: str = ""
    columns: tuple[str, ...] = ()
    folder: Path = Path()
    """What the paths of images are relative to."""

    def rows(self) -> Iterator[tuple[Place, RowOrFault]]:
        """All rows with their places; a line that is no row comes as the reason why not."""
        if self.hub:
            yield from _hub_rows(self.hub, self.split)
        for file in self.files:
            yield from read_file(file, self.columns)


def find(source: str | Path, columns: Sequence[str], images: str | Path | None = None) -> dict[str, Part]:
    """The splits of a local file or folder, or of a hub data set.

    Args:
        source: path, or the name of a data set for `datasets.load_dataset`.
        columns: what every file must have.
        images: folder that paths of images are relative to; by default that of the source.

    Raises:
        UserError: no such path or data set, no data files, a column is missing.
    """
    path = Path(source)
    if not path.exists():
        return _hub_parts(str(source), columns, images)
    folder = Path(images) if images else path if path.is_dir() else path.parent
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images.")
    found: dict[str, list[Path]] = {}
    for file in _files(path):
        found.setdefault(_split_of(file), []).append(file)
    return {
        split: Part(files=tuple(found[split]), columns=tuple(columns), folder=folder)
        for split in dict.fromkeys((*SPLITS.values(), *found))
        if split in found
    }


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise UserError(f"{path}: not a {', '.join(SUFFIXES)} file.")
        return [path]
    for suffix in SUFFIXES:
        files = sorted(file for file in path.rglob(f"*{suffix}") if file.stem not in NOT_DATA and file.is_file())
        if files:
            return files
    raise UserError(f"{path}: no {', '.join(SUFFIXES)} files in this folder.")


def _split_of(file: Path) -> str:
    stem = file.stem.lower()
    for sign in ("-", "_", "."):
        stem = stem.split(sign)[0]
    return SPLITS.get(stem, "train")


def read_file(file: Path, columns: Sequence[str] = ()) -> Iterator[tuple[Place, RowOrFault]]:
    """Rows of one file with their places."""
    if file.suffix == ".parquet":
        yield from read_parquet(file, columns)
        return
    reader = _json_lines if file.suffix == ".jsonl" else _json_array
    with file.open("rb") as stream:
        for index, row in enumerate(reader(stream, file)):
            if index == 0 and isinstance(row, dict):
                _check_columns(str(file), list(row), columns)
            yield Place(str(file), index), row


def read_parquet(file: Path, columns: Sequence[str] = ()) -> Iterator[tuple[Place, dict[str, object]]]:
    """Rows of a parquet file with their places; UserError when it is damaged."""
    try:
        opened = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file}: not a readable parquet file, or only half of one ({error}).") from error
    index = 0
    with opened:
        _check_columns(str(file), opened.schema_arrow.names, columns)
        try:
            for batch in opened.iter_batches(batch_size=batch_rows(opened.metadata)):
                for row in batch.to_pylist():
                    yield Place(str(file), index), row
                    index += 1
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: damaged after row {index} ({error}). Fetch the file again.") from error


def batch_rows(metadata: pq.FileMetaData) -> int:
    """So many rows that a batch of the fattest row group stays below BATCH_BYTES."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    fattest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1.0)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, fattest))))


def _check_columns(where: str, names: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in columns if column.split(".")[0] not in names]
    if missing:
        raise UserError(f"{where}: no column {', '.join(missing)}; its columns are {', '.join(map(str, names[:40]))}.")


def _json_lines(stream: BinaryIO, file: Path) -> Iterator[RowOrFault]:
    while line := stream.readline(LONGEST_LINE):
        if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield Unfit("line too long", f"a line of more than {LONGEST_LINE >> 20} MiB")
        elif line.strip():
            yield _parsed(line)


def _parsed(line: bytes) -> RowOrFault:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Unfit("no JSON", f"not readable as JSON ({error})")
    return row if isinstance(row, dict) else Unfit("no JSON object", f"a JSON {type(row).__name__}, not an object")


def _json_array(stream: BinaryIO, file: Path) -> Iterator[RowOrFault]:
    index = 0
    try:
        for row in ijson.items(stream, "item", use_float=True):
            yield row if isinstance(row, dict) else Unfit("no JSON object", f"a JSON {type(row).__name__}")
            index += 1
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: damaged after row {index}, not a list of JSON objects ({error}).") from error
    if index == 0:
        raise UserError(f"{file}: no rows; a .json file must hold a list of objects.")


# ---------------------------------------------------------------------------------------------------------------- hub


def _hub_parts(name: str, columns: Sequence[str], images: str | Path | None) -> dict[str, Part]:
    import datasets

    try:
        loaded = datasets.load_dataset(name, streaming=True)
    except (OSError, ValueError, ConnectionError) as error:
        raise UserError(f"{name}: neither a local path nor a data set that can be loaded ({error}).") from error
    for split, table in loaded.items():
        if table.column_names is not None:
            _check_columns(f"{name}, split {split}", table.column_names, columns)
    return {
        SPLITS.get(split, split): Part(hub=name, split=split, columns=tuple(columns), folder=Path(images or "."))
        for split in loaded
    }


def _hub_rows(name: str, split: str) -> Iterator[tuple[Place, RowOrFault]]:
    import datasets

    table = datasets.load_dataset(name, streaming=True, split=split)
    if table.features is not None:
        # Undecoded images: their bytes go into the parquet as they are.
        for column, feature in table.features.items():
            table = table.cast_column(column, _undecoded(feature))
    for index, row in enumerate(table):
        yield Place(f"{name}, split {split}", index), row


def _undecoded(feature: object) -> object:
    import datasets

    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, datasets.List):
        return datasets.List(_undecoded(feature.feature))
    if isinstance(feature, dict):
        return {key: _undecoded(part) for key, part in feature.items()}
    return feature
