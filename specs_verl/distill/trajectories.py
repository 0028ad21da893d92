"""Supervised fine-tuning data: one verified response per row, in verl's multi-turn form, with its origin and stage.

    count = write_trajectories(out / "sft.parquet", trajectories, data_files, provenance)

    messages         the row's prompt, as it was sampled, and the response as the assistant's turn; what verl's SFT data
                     set reads
    images, ...      the row's own columns
    response, origin, stage, pass_rate, row, row_id, provenance

Not here: choosing the response (route.py, cot.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.tables import write_rows
from specs_verl.distill.write import Asked, anchored
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable


@dataclass(frozen=True)
class Trajectory:
    """A response to train on and where it comes from."""

    row: int
    row_id: str
    response: str
    origin: str
    """`self` for the model's own, `expert` for a teacher's, or the name of a CoT pattern."""

    stage: int
    """Order of the curriculum, from 1."""

    pass_rate: float
    """Share of right samples of the row, of whoever was sampled to find this response."""


FIELDS = [
    ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ("row", pa.int64()),
    ("row_id", pa.string()),
    ("response", pa.string()),
    ("origin", pa.string()),
    ("stage", pa.int32()),
    ("pass_rate", pa.float32()),
    ("provenance", pa.string()),
]


def write_trajectories(
    path: Path,
    trajectories: Iterable[Trajectory],
    data: tuple[str, ...],
    provenance: dict[str, Any],
    asked: Asked = Asked(),
) -> int:
    """Write them in the order of their rows, with the prompts that `asked` makes of theirs; returns how many."""
    original = pq.read_schema(data[0])
    clash = sorted({name for name, _ in FIELDS} & set(original.names))
    if clash:
        raise UserError(f"{data[0]} has columns {clash} already: pass the prompts' file, not trained-on data.")
    schema = pa.schema([*original, *(pa.field(name, kind) for name, kind in FIELDS)])
    return write_rows(path, schema, _rows(trajectories, RowTable(data), json.dumps(provenance, sort_keys=True), asked))


def _rows(
    trajectories: Iterable[Trajectory], table: RowTable, provenance: str, asked: Asked
) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        ((_, row),) = table.slice(trajectory.row, trajectory.row + 1)
        kept = asked.of(anchored(row, table.file_of(trajectory.row)))
        messages = [*kept["prompt"], {"role": "assistant", "content": trajectory.response}]
        yield {**kept, **asdict(trajectory), "messages": messages, "provenance": provenance}
