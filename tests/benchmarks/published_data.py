"""How fast and how large data_prep is: conversion, prompt lengths beside verl's own way, deduplication.

    python tests/benchmarks/published_data.py --rows 100000 --out /tmp/data_prep
    python tests/benchmarks/published_data.py --rows 100000 --images 100000 --pixels 96x72 --only convert doctor dedupe

Rows in the layout of ViRL39K with JPEG images of 640 x 480, 512 different ones, unless other numbers are given. Each
measurement runs in a process of its own. Speeds are rows per second of processor time, all threads together, so that
other work on the machine does not count; the peak of resident memory is the kernel's (ru_maxrss) and includes the
Python libraries.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from data_prep.tokens.count import Asked, PromptCounter

VERL_ROWS = 200
CACHED = 512


@lru_cache(CACHED)
def picture(number: int, pixels: tuple[int, int]) -> bytes:
    """A JPEG like no other."""
    from PIL import Image

    small = Image.fromarray(np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8))
    content = io.BytesIO()
    small.resize(pixels, Image.Resampling.BICUBIC).save(content, "JPEG", quality=85)
    return content.getvalue()


def make(path: Path, rows: int, images: int, pixels: tuple[int, int]) -> None:
    """The published file: images as bytes, so that reading them is part of what is measured."""
    image = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    text = ((name, pa.string()) for name in ("question", "answer", "category", "source", "qid"))
    columns = pa.schema([*text, ("image", image), ("PassRate_7BBase", pa.float64())])
    with pq.ParquetWriter(path, columns, compression="none") as writer:
        for start in range(0, rows, 256):
            writer.write_table(pa.Table.from_pylist(
                [
                    {
                        "question": f"<image>A train has {i} wagons and every wagon has {i % 97} seats, of which "
                        f"{i % 13} are taken. How many seats are free, as the picture of platform {i} shows?",
                        "answer": rf"\boxed{{{i * (i % 97)}}}",
                        "category": "counting",
                        "source": "made",
                        "qid": f"q{i}",
                        "image": [{"bytes": picture(i % images, pixels), "path": None}],
                        "PassRate_7BBase": 0.5,
                    }
                    for i in range(start, min(rows, start + 256))
                ],
                schema=columns,
            ))  # fmt: skip


def convert(folder: Path) -> int:
    from data_prep.convert import convert
    from data_prep.sets import SETS

    return sum(convert(SETS["virl39k"], folder / "source.parquet", folder / "converted").written.values())


def lengths(folder: Path) -> int:
    """Which rows are longer than 4,096 tokens, reading the file included; importing transformers is not."""
    from data_prep.doctor.lengths import Lengths, Limits
    from data_prep.nano import base_checkpoint

    lengths = Lengths.of(Limits(str(base_checkpoint()), 4096))
    _start()
    return sum(len(lengths.tokens(_asked(group, lengths.counter))) for group in _groups(folder))


def lengths_in_memory(folder: Path) -> int:
    """The same arithmetic on rows that are in memory."""
    from data_prep.doctor.lengths import Lengths, Limits
    from data_prep.nano import base_checkpoint

    lengths = Lengths.of(Limits(str(base_checkpoint()), 4096))
    held = _held(folder)
    _start()
    return sum(len(lengths.tokens(_asked(group, lengths.counter))) for group in held)


def exact_in_memory(folder: Path) -> int:
    """Every question tokenized."""
    from data_prep.nano import base_checkpoint
    from data_prep.tokens.count import PromptCounter

    counter = PromptCounter(base_checkpoint())
    held = _held(folder)
    _start()
    return sum(len(counter.count(_asked(group, counter))) for group in held)


def _held(folder: Path) -> list[list[tuple]]:
    from data_prep import schema

    held, group = [], []
    for index, row in schema.rows(folder / "converted" / "train.parquet"):
        group.append((row["prompt"], [{**image, "bytes": image["bytes"][:4096]} for image in row["images"]]))
        if len(group) == 256:
            held.append(group)
            group = []
        if index == 10_000:
            break
    return [*held, group]


def _asked(group: list[tuple], counter: PromptCounter) -> list[Asked]:
    from data_prep.reading.headers import size_of

    return [
        (prompt, counter.rules.tokens_of_row([size_of(image["bytes"]) for image in images], images))
        for prompt, images in group
    ]


def _groups(folder: Path):
    from data_prep import schema

    group = []
    for _index, row in schema.rows(folder / "converted" / "train.parquet"):
        group.append((row["prompt"], row["images"]))
        if len(group) == 256:
            yield group
            group = []
    yield group


def verl(folder: Path) -> int:
    """verl's `filter_overlong_prompts` on the first rows of the same file, in this process."""
    from omegaconf import OmegaConf
    from transformers import AutoProcessor
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from data_prep.nano import base_checkpoint

    table = next(pq.ParquetFile(folder / "converted" / "train.parquet").iter_batches(batch_size=VERL_ROWS))
    few = folder / "few.parquet"
    pq.write_table(pa.Table.from_batches([table]), few)
    processor = AutoProcessor.from_pretrained(base_checkpoint())
    settings = {"max_prompt_length": 4096, "filter_overlong_prompts": False, "cache_dir": str(folder / "cache")}
    data = RLHFDataset(str(few), processor.tokenizer, OmegaConf.create(settings), processor)
    data.filter_overlong_prompts, data.num_workers = True, None
    _start()
    return len(data.maybe_filter_out_long_prompts(data.dataframe))


def doctor(folder: Path) -> int:
    from data_prep.doctor import examine

    return examine(folder / "converted" / "train.parquet", decode=False).rows


def doctor_decoding(folder: Path) -> int:
    """On the first 2,000 rows: every pixel is read."""
    from data_prep.doctor import examine

    few = folder / "few2000.parquet"
    pq.write_table(
        pa.Table.from_batches([next(pq.ParquetFile(folder / "converted" / "train.parquet").iter_batches(2000))]), few
    )
    _start()
    return examine(few).rows


def dedupe(folder: Path) -> int:
    from data_prep.dedupe.deduplicate import deduplicate

    deduplicate([folder / "converted" / "train.parquet"], folder / "deduplicated")
    return pq.read_metadata(folder / "converted" / "train.parquet").num_rows


MEASURED = {
    f.__name__: f for f in (convert, lengths, lengths_in_memory, exact_in_memory, verl, doctor, doctor_decoding, dedupe)
}
_started = 0.0


def _start() -> None:
    global _started
    _started = time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=CACHED, help="different ones (default: %(default)s)")
    parser.add_argument("--pixels", default="640x480", metavar="WIDTHxHEIGHT")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=list(MEASURED))
    parser.add_argument("--one", choices=MEASURED, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        _start()
        rows = MEASURED[args.one](args.out)
        seconds = time.process_time() - _started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"rows": rows, "seconds": seconds, "peak_gib": peak}))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / "source.parquet").is_file():
        width, _, height = args.pixels.partition("x")
        make(args.out / "source.parquet", args.rows, args.images, (int(width), int(height)))
    speeds = {}
    for name in args.only:
        command = [sys.executable, __file__, "--out", str(args.out), "--one", name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(printed.splitlines()[-1])
        speeds[name] = found["rows"] / found["seconds"]
        print(
            f"{name:<18} {found['rows']:>7} rows in {found['seconds']:>7.1f} core seconds: "
            f"{speeds[name]:>9.1f} rows/s a core, peak {found['peak_gib']:.2f} GiB",
            flush=True,
        )
    if {"lengths", "verl"} <= set(speeds):
        print(f"lengths beside verl's filter_overlong_prompts: {speeds['lengths'] / speeds['verl']:.0f} x")


if __name__ == "__main__":
    main()
