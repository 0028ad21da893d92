"""A data set whose prompts ask for other output formats: out of distribution by its instructions alone.

    counts = rewrite(["test.parquet"], "ood.parquet", chosen(None))       # {"answer_line": 72, "json_object": 72, ...}

Every row keeps its question, pictures, ground truth and verifier; `extra_info.format` names the format it asks for and
`extra_info.id` tells it from its original. The formats take turns, shifted by one every round, so that each of them
meets every task also where tasks take turns. A system message that asks for the trained format goes as a whole.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from data_prep.tables import write_rows
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable, row_id
from specs_verl.formats.instructions import NoInstructionError, asks_for_format, replaced
from specs_verl.formats.output_format import OutputFormat

AS_IT_WAS = "as it was"
"""Stands for a format in the counts of rows that were not rewritten."""


def turn(index: int, count: int) -> int:
    """Which of ``count`` formats the row gets that is rewritten as number ``index``."""
    return (index + index // count) % count


def rewritten_row(
    index: int, row: dict[str, object], form: OutputFormat, instruction: str | None = None, append: bool = False
) -> dict[str, object]:
    """A row that asks for ``form``; NoInstructionError where its own instruction cannot be found."""
    found = row.get("extra_info")
    extra = found if isinstance(found, dict) else {}
    return {
        **row,
        "prompt": asking_for(form, row.get("prompt"), instruction, append),
        "extra_info": {**extra, "format": form.name, "id": f"{row_id(index, row)}@{form.name}"},
    }


def asking_for(
    form: OutputFormat, prompt: object, instruction: str | None = None, append: bool = False
) -> list[dict[str, object]]:
    """The messages of a prompt that asks for ``form`` instead; NoInstructionError as above."""
    if not isinstance(prompt, list) or not prompt:
        raise UserError("`prompt` must be a list of messages")
    systems = [message for message in prompt if message["role"] == "system"]
    asking = [message for message in systems if asks_for_format(str(message["content"]))]
    messages = [dict(message) for message in prompt if message not in asking]
    last = max((number for number, message in enumerate(messages) if message["role"] == "user"), default=None)
    if last is None:
        raise UserError("no user message to put the instruction into")
    text = str(messages[last]["content"])
    messages[last]["content"] = replaced(text, form, instruction, append or bool(asking))
    return messages


def rewrite(
    files: Sequence[str | Path],
    out: str | Path,
    forms: Sequence[OutputFormat],
    *,
    share: float = 1.0,
    rows: int | None = None,
    instruction: str | None = None,
    append: bool = False,
) -> dict[str, int]:
    """Write the rewritten data set, whole or not at all; returns rows per format.

    Args:
        files: parquet files in verl's schema, read as one.
        out: parquet file to write.
        forms: the formats that take turns.
        share: of the rows, in (0, 1]; the others stay as they are.
        rows: only the first so many rows.
        instruction, append: see `instructions.replaced`.
    """
    table = RowTable([str(file) for file in files], rows)
    if not len(table):
        raise UserError(f"{', '.join(map(str, files))}: no rows to rewrite.")
    schema = _schema_with_format(table.schema)
    counts: Counter[str] = Counter()

    def made() -> Iterator[dict[str, object]]:
        for index, row in table.slice(0, len(table)):
            if random.Random(index).random() >= share:
                counts[AS_IT_WAS] += 1
                yield row
                continue
            form = forms[turn(counts.total() - counts[AS_IT_WAS], len(forms))]
            try:
                yield rewritten_row(index, row, form, instruction, append)
            except NoInstructionError as error:
                raise UserError(
                    f"{table.file_of(index)}, row {index}: {error}. Name it with --instruction TEXT, or add the new "
                    "one all the same with --append."
                ) from error
            except UserError as error:
                raise UserError(f"{table.file_of(index)}, row {index}: {error}.") from error
            counts[form.name] += 1

    write_rows(out, schema, made())
    return dict(counts)


def check_rewritable(files: Sequence[str | Path], form: OutputFormat, rows: int) -> None:
    """UserError, with file and row, where one of the first rows cannot be asked for another format; nothing is written.

    For those who will rewrite hours later.
    """
    table = RowTable([str(file) for file in files], rows)
    for index, row in table.slice(0, len(table)):
        try:
            asking_for(form, row.get("prompt"))
        except UserError as error:
            raise UserError(f"{table.file_of(index)}, row {index}: {error}.") from error


def _schema_with_format(schema: pa.Schema) -> pa.Schema:
    """The file's own columns, with `id` and `format` in extra_info."""
    place = schema.get_field_index("extra_info")
    fields = {field.name: field for field in schema.field(place).type} if place >= 0 else {}
    fields |= {name: pa.field(name, pa.string()) for name in ("id", "format")}
    column = pa.field("extra_info", pa.struct(list(fields.values())))
    return schema.set(place, column) if place >= 0 else schema.append(column)
