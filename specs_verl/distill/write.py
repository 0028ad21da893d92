"""Writes preference pairs: the rows' own columns (prompt, images, ...) plus the pair and its provenance.

    write_staged(out / "staged.parquet", pairs)                           # all pairs, without prompts and images
    write_pairs(out / "pairs.parquet", read_staged(path, rows), data_files, provenance)

The prompt is written as it was sampled: with the run's system prompt and instruction, if it had any. A pair that
asks for another format has the instruction of that one instead. Rows are copied in their order, a few at a time, so
memory does not grow with the images or texts. Paths of images become absolute: the new file lies in another folder than
the one they were relative to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.tables import ROWS_PER_GROUP, write_rows
from specs_verl.distill.asked_formats import TRAINED
from specs_verl.distill.pair import Pair
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable
from specs_verl.formats.registry import TRAINABLE
from specs_verl.formats.rewrite import asking_for
from specs_verl.sampling.prompts import with_prompts
from specs_verl.sampling.store import SampleRun

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
    ("chosen_answer", pa.string()),
    ("rejected_answer", pa.string()),
    ("rejected_status", pa.string()),
    ("judge", pa.string()),
    ("chosen_pass_rate", pa.float32()),
    ("rejected_pass_rate", pa.float32()),
    ("rejected_format_rate", pa.float32()),
    ("reasoning_distance", pa.float32()),
    ("chosen_reasoning", pa.int32()),
    ("rejected_reasoning", pa.int32()),
    ("chosen_soundness", pa.string()),
    ("rejected_soundness", pa.string()),
    ("asked_format", pa.string()),
    ("provenance", pa.string()),
]


@dataclass(frozen=True)
class Asked:
    """What a sampling run added to the prompts of its rows."""

    system_prompt: str | None = None
    instruction: str | None = None

    @classmethod
    def by(cls, run: SampleRun) -> Asked:
        """Of a run, as its manifest says."""
        parameters = run.manifest["parameters"]
        return cls(parameters.get("system_prompt"), parameters.get("instruction"))

    def of(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the prompt that was sampled."""
        if self == Asked():
            return row
        return {**row, "prompt": with_prompts(row.get("prompt"), self.system_prompt, self.instruction)}


def write_pairs(
    path: Path, pairs: Iterable[Pair], data: tuple[str, ...], provenance: dict[str, Any], asked: Asked = Asked()
) -> int:
    """Write the pairs, which must come in the order of their rows; returns how many."""
    original = pq.read_schema(data[0])
    names = {name for name, _ in PAIR_FIELDS}
    clash = sorted(names & set(original.names))
    if clash:
        raise UserError(f"{data[0]} has columns {clash} already: it holds pairs, not prompts. Pass the prompts' file.")
    schema = pa.schema([*original, *(pa.field(name, kind) for name, kind in PAIR_FIELDS)])
    # The same for every row, so the column is stored once (dictionary encoding).
    origin = json.dumps(provenance, ensure_ascii=False, sort_keys=True)
    return write_rows(path, schema, _with_columns(pairs, RowTable(data), origin, asked))


def write_staged(path: Path, pairs: Iterable[Pair]) -> int:
    """Write pairs alone, to be read again once it is decided which of them stay."""
    schema = pa.schema([field for field in PAIR_FIELDS if field[0] != "provenance"])
    return write_rows(path, schema, (asdict(pair) for pair in pairs))


def read_staged(path: Path, rows: Collection[int]) -> Iterator[Pair]:
    """The staged pairs of some rows, in the order of rows."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
            yield from (Pair(**values) for values in batch.to_pylist() if values["row"] in rows)


def _with_columns(pairs: Iterable[Pair], table: RowTable, origin: str, asked: Asked) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        ((_, row),) = table.slice(pair.row, pair.row + 1)
        trained_on = asking(pair.asked_format, asked.of(anchored(row, table.file_of(pair.row))))
        yield {**trained_on, **asdict(pair), "provenance": origin}


def asking(asked_format: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with a prompt that asks for a format, the trained one being its own."""
    if asked_format == TRAINED:
        return row
    changed = {**row, "prompt": asking_for(TRAINABLE[asked_format], row["prompt"])}
    extra = row.get("extra_info")
    if isinstance(extra, dict) and "format" in extra:
        changed["extra_info"] = {**extra, "format": asked_format}
    return changed


def anchored(row: dict[str, Any], file: Path) -> dict[str, Any]:
    """The row with absolute paths in its images, as decode_image looks them up: here first, then beside the file."""
    images = row.get("images")
    if not images:
        return row
    return {**row, "images": [_anchored_image(image, file) for image in images]}


def _anchored_image(image: Any, file: Path) -> object:
    path = image if isinstance(image, str) else image.get("path")
    if not path or (isinstance(image, dict) and image.get("bytes")):
        return image
    local = path.removeprefix("file://")
    candidates = (Path(local), file.parent / local)
    found = next((str(candidate.resolve()) for candidate in candidates if candidate.is_file()), path)
    return found if isinstance(image, str) else {**image, "path": found}
