r"""Geometry3K (multimodal geometry problems with a diagram) as verl parquet, from a local copy of hiyouga/geometry3k.

    specs data geometry3k --source geometry3k/data --out data/geometry3k
    convert("geometry3k/data", "data/geometry3k")       # {"train": 2101, ...}: rows per split

The source has columns images, problem (with `<image>`) and answer, one or several parquet files per split, the split in
the file's name. A source that is no local path is taken as the name of a data set for `datasets.load_dataset`.
The answer format that the SPECS recipes reward is asked for in a sentence after the problem; pass another or none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import schema
from data_prep.errors import UserError

SPLITS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}

INSTRUCTION = (
    "Reason step by step inside <think> </think>, then give the final answer inside <answer> </answer>, "
    r"wrapped in \boxed{}, like this: <think> ... </think><answer> The answer is $\boxed{...}$</answer>"
)


def row(source_row: dict[str, object], split: str, index: int, instruction: str) -> dict[str, object]:
    """A row of the source in verl's schema."""
    images = [_image(image) for image in source_row.get("images") or []]
    problem = str(source_row.get("problem") or "").strip()
    if images and "<image>" not in problem:
        problem = "<image>" * len(images) + problem
    graded = schema.grading_columns(str(source_row.get("answer") or "").strip(), "math")
    text = f"{problem}\n{instruction}" if instruction else problem
    return {
        "data_source": "geometry3k",
        "prompt": [{"role": "user", "content": text}],
        "images": images,
        "ability": "geometry",
        "reward_model": graded["reward_model"],
        "extra_info": {"index": index, "split": split, "id": f"geometry3k-{split}-{index}", **graded["extra_info"]},
    }


def _image(image: object) -> dict[str, object]:
    if isinstance(image, dict):
        return {"bytes": image.get("bytes"), "path": image.get("path")}
    return {"bytes": None, "path": image if isinstance(image, str) else None}


def convert(source: str | Path, out: str | Path, instruction: str = INSTRUCTION) -> dict[str, int]:
    """Convert all splits that the source has; returns rows per split. Rows that do not fit are printed and left out."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    counts = {}
    for split, rows in _splits(str(source)).items():
        counts[split] = _write(out / f"{split}.parquet", rows, split, instruction)
    return counts


def _write(path: Path, rows: Iterable[dict[str, object]], split: str, instruction: str) -> int:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    written = 0
    try:
        with pq.ParquetWriter(temporary, schema.SCHEMA, compression="zstd") as writer:
            group: list[dict[str, object]] = []
            for index, source_row in enumerate(rows):
                converted = row(source_row, split, index, instruction)
                if wrong := schema.check_row(converted):
                    print(f"{path.name}, source row {index} left out: {'; '.join(wrong)}", file=sys.stderr)
                    continue
                group.append(converted)
                written += 1
                if len(group) == 128:
                    writer.write_table(pa.Table.from_pylist(group, schema=schema.SCHEMA))
                    group = []
            if group:
                writer.write_table(pa.Table.from_pylist(group, schema=schema.SCHEMA))
        if written == 0:
            raise UserError(f"{path.name}: the source's {split} split gave no usable row.")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _splits(source: str) -> dict[str, Iterable[dict[str, object]]]:
    if not Path(source).exists():
        return _from_hub(source)
    found = {}
    folder = Path(source)
    files = sorted(folder.rglob("*.parquet")) if folder.is_dir() else [folder]
    for split, names in SPLITS.items():
        parts = [file for file in files if file.stem.split("-")[0] in names]
        if parts:
            found[split] = _rows(parts)
    if not found and len(files) == 1:
        found["train"] = _rows(files)
    if not found:
        raise UserError(
            f"{source}: no parquet files named train*, validation* or test*. Pass the data set's data folder."
        )
    return found


def _rows(files: list[Path]) -> Iterator[dict[str, object]]:
    for file in files:
        columns = pq.read_schema(file).names
        missing = sorted({"problem", "answer", "images"} - set(columns))
        if missing:
            raise UserError(f"{file}: no column {', '.join(missing)}; this is not the layout of hiyouga/geometry3k.")
        for _index, source_row in schema.rows(file):
            yield source_row


def _from_hub(name: str) -> dict[str, Iterable[dict[str, object]]]:
    import datasets

    try:
        loaded = datasets.load_dataset(name)
    except (OSError, ValueError, ConnectionError) as error:
        raise UserError(f"{name}: neither a local path nor a data set that can be loaded ({error}).") from error
    # Undecoded images: their bytes go into the parquet as they are.
    raw = {
        split: table.cast_column("images", datasets.List(datasets.Image(decode=False)))
        for split, table in loaded.items()
    }
    return {split: raw[name] for split, names in SPLITS.items() for name in names if name in raw}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data geometry3k`."""
    parser.add_argument("--source", required=True, help="folder with the parquet files, one file, or a data set's name")
    parser.add_argument("--out", required=True, metavar="DIR", help="train.parquet, validation.parquet, test.parquet")
    parser.add_argument("--instruction", default=INSTRUCTION, help="sentence after each problem; empty for none")


def run(args: argparse.Namespace) -> int:
    """Convert and print the counts."""
    for split, count in convert(args.source, args.out, args.instruction).items():
        print(f"{split}: {count} rows in {Path(args.out) / split}.parquet")
    return 0
