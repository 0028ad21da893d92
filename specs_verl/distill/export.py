"""Preference pairs in the formats of other trainers, images included.

    export("runs/pairs/pairs.parquet", "exported", "trl" | "llama_factory" | "ms_swift")

trl             pairs.parquet: prompt, chosen, rejected as conversations with typed parts, images as an Image feature;
                `datasets.load_dataset("parquet", data_files=...)` gives what DPOTrainer takes for vision models
llama_factory   specs_pairs.json in its ShareGPT form, dataset_info.json that registers it with `ranking`, images/;
                `dataset_dir` is the output directory, paths of images are relative to it
ms_swift        specs_pairs.jsonl with messages, rejected_response and absolute image paths, images/;
                `--dataset OUT/specs_pairs.jsonl` from any working directory

Images become files named by their content, so equal ones are stored once. A conversation that the other trainer would
skip without a word is an error here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_prep.files import replacing, write_json
from data_prep.images import decode_image
from data_prep.tables import write_rows
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable

NAME = "specs_pairs"
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}

Row = dict[str, Any]


def export(pairs: str | Path, out: str | Path, form: str) -> Path:
    """Write the pairs of a parquet in another trainer's format; returns the data file."""
    if form not in FORMATS:
        raise UserError(f"No export format is called {form!r}; there are {', '.join(FORMATS)}.")
    table = RowTable([str(pairs)])
    missing = sorted({"chosen", "rejected"} - set(table.schema.names))
    if missing:
        raise UserError(f"{pairs}: no column {', '.join(missing)}. Pass the pairs.parquet of a distillation.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    return FORMATS[form](table, out)


def _to_trl(table: RowTable, out: Path) -> Path:
    import datasets

    part = {"type": datasets.Value("string"), "text": datasets.Value("string")}
    turn = datasets.List({"role": datasets.Value("string"), "content": datasets.List(part)})
    features = datasets.Features(
        {"prompt": turn, "chosen": turn, "rejected": turn, "images": datasets.List(datasets.Image())}
    )
    path = out / "pairs.parquet"
    write_rows(path, features.arrow_schema, (_trl_row(row, table.file_of(index)) for index, row in _rows(table)))
    return path


def _trl_row(row: Row, file: Path) -> Row:
    images = [{"bytes": _image(reference, file)[0], "path": None} for reference in row.get("images") or []]
    prompt = [{"role": message["role"], "content": typed_parts(message["content"])} for message in row["prompt"]]
    answers = {
        side: [{"role": "assistant", "content": [{"type": "text", "text": row[side]}]}]
        for side in ("chosen", "rejected")
    }
    return {"prompt": prompt, **answers, "images": images}


def typed_parts(content: str) -> list[dict[str, str | None]]:
    """Text with `<image>` marks as typed parts, in order."""
    pieces = [piece for piece in re.split("(<image>)", content) if piece]
    return [
        {"type": "image", "text": None} if piece == "<image>" else {"type": "text", "text": piece} for piece in pieces
    ]


def _to_llama_factory(table: RowTable, out: Path) -> Path:
    path = out / f"{NAME}.json"
    _write_json_list(path, (_llama_factory_row(row, table.file_of(index), out) for index, row in _rows(table)))
    columns = {name: name for name in ("chosen", "rejected", "images", "system")}
    entry = {
        "file_name": path.name,
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", **columns},
    }
    info = out / "dataset_info.json"
    known = json.loads(info.read_text(encoding="utf-8")) if info.is_file() else {}
    write_json(info, {**known, NAME: entry})
    return path


def _llama_factory_row(row: Row, file: Path, out: Path) -> Row:
    system, turns = alternating(row, file)
    speakers = {"user": "human", "assistant": "gpt"}
    return {
        "conversations": [{"from": speakers[turn["role"]], "value": turn["content"]} for turn in turns],
        "chosen": {"from": "gpt", "value": row["chosen"]},
        "rejected": {"from": "gpt", "value": row["rejected"]},
        "system": system,
        "images": _image_files(row, file, out),
    }


def _to_ms_swift(table: RowTable, out: Path) -> Path:
    path = out / f"{NAME}.jsonl"
    lines = (
        json.dumps(_ms_swift_row(row, table.file_of(index), out), ensure_ascii=False) for index, row in _rows(table)
    )
    _write_lines(path, lines)
    return path


def _ms_swift_row(row: Row, file: Path, out: Path) -> Row:
    system, turns = alternating(row, file)
    first = [{"role": "system", "content": system}] if system else []
    return {
        "messages": [*first, *turns, {"role": "assistant", "content": row["chosen"]}],
        "rejected_response": row["rejected"],
        "images": [str((out / name).resolve()) for name in _image_files(row, file, out)],
    }


def alternating(row: Row, file: Path) -> tuple[str, list[dict[str, str]]]:
    """System prompt ("" without one) and turns of a row, which must go user, assistant, ..., user."""
    messages = [{"role": message["role"], "content": message["content"]} for message in row["prompt"]]
    system = messages.pop(0)["content"] if messages and messages[0]["role"] == "system" else ""
    roles = [message["role"] for message in messages]
    if len(roles) % 2 == 0 or any(role != ("user", "assistant")[turn % 2] for turn, role in enumerate(roles)):
        raise UserError(
            f"{file}, row {row.get('row_id', '?')}: the prompt's roles are {', '.join(roles) or 'none'}; this format "
            "needs user and assistant in turn, beginning and ending with the user. Leave such rows out."
        )
    return system, messages


FORMATS: dict[str, Callable[[RowTable, Path], Path]] = {
    "trl": _to_trl,
    "llama_factory": _to_llama_factory,
    "ms_swift": _to_ms_swift,
}


def _rows(table: RowTable) -> Iterator[tuple[int, Row]]:
    return table.slice(0, len(table))


def _image(reference: object, file: Path) -> tuple[bytes, str]:
    """An image's bytes as they are stored, and the suffix of their format."""
    import io

    image = decode_image(reference, file)
    content = reference.get("bytes") if isinstance(reference, dict) else None
    if content and image.format in SUFFIXES:
        return content, SUFFIXES[image.format]
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue(), "png"


def _image_files(row: Row, file: Path, out: Path) -> list[str]:
    """Paths, relative to the output directory, of the row's images; written unless they are there."""
    names = []
    (out / "images").mkdir(exist_ok=True)
    for reference in row.get("images") or []:
        content, suffix = _image(reference, file)
        name = f"images/{hashlib.blake2b(content, digest_size=12).hexdigest()}.{suffix}"
        if not (out / name).is_file():
            with replacing(out / name) as draft:
                draft.write_bytes(content)
        names.append(name)
    return names


def _write_json_list(path: Path, rows: Iterator[Row]) -> None:
    def lines() -> Iterator[str]:
        separator = "["
        for row in rows:
            yield separator + json.dumps(row, ensure_ascii=False)
            separator = ","
        yield "]" if separator == "," else "[]"

    _write_lines(path, lines())


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    with replacing(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
