"""Stratified splits that never put one image, or the same question twice, on both sides.

    split([Path("train.parquet")], out, {"test": 0.05}, by=("source", "verifier"), seed=0)

Rows that share an image (the same file, or a near one) or, without images, a question form a group; groups go to a
split as a whole. Within every stratum (source, verifier, tenth of pass rate, ...) each split gets its share of rows as
closely as groups allow. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from data_prep import schema
from data_prep.dedupe.decide import Thresholds
from data_prep.dedupe.pictures import near_pairs
from data_prep.dedupe.prints import RowPrint, row_prints
from data_prep.errors import UserError
from data_prep.files import locked, sweep
from data_prep.writer import RowWriter

STRATA = ("source", "verifier", "ability", "category", "difficulty")


def split(
    files: Sequence[Path],
    out: Path,
    shares: Mapping[str, float],
    by: Sequence[str] = ("source", "verifier"),
    seed: int = 0,
) -> dict[str, int]:
    """Write OUT/train.parquet and OUT/NAME.parquet for each of `shares`; rows per split.

    Raises:
        UserError: shares that leave nothing to train on, or files of different columns.
    """
    if not shares or sum(shares.values()) >= 1.0 or min(shares.values()) <= 0.0:
        raise UserError(f"splits {dict(shares)}: the shares must be above 0 and leave something for train.")
    columns = pq.read_schema(files[0])
    for file in files:
        if not pq.read_schema(file).equals(columns):
            raise UserError(f"{file}: other columns than {files[0]}; mix them first (`specs data mix`).")
    prints = [found for file in files for _index, found in row_prints(file)]
    strata = [stratum(row, by) for file in files for _index, row in schema.rows(file)]
    where = assigned(groups(prints), strata, shares, seed)
    with locked(out):
        sweep(out)
        writers = {name: RowWriter(out / f"{name}.parquet", columns) for name in ("train", *shares)}
        counts = {}
        for writer in writers.values():  # a kill between two files must not leave splits of different runs
            writer.path.unlink(missing_ok=True)
        for name, writer in writers.items():
            number = 0
            with writer:
                for file in files:
                    for _index, row in schema.rows(file):
                        if where[number] == name:
                            info = row.get("extra_info")
                            if isinstance(info, dict) and "split" in info:
                                info["split"] = name
                            writer.write(row)
                        number += 1
            counts[name] = writer.rows
    return counts


def stratum(row: Mapping[str, object], by: Sequence[str]) -> tuple[str, ...]:
    """What a row is counted under."""
    info = row.get("extra_info")
    info = info if isinstance(info, dict) else {}
    values = {
        "source": f"{row.get('data_source')}/{info.get('source')}",
        "verifier": info.get("verifier"),
        "ability": row.get("ability"),
        "category": info.get("category"),
        "difficulty": None if info.get("pass_rate") is None else int(min(float(info["pass_rate"]), 0.99) * 10),
    }
    return tuple(str(values[name]) for name in by)


def groups(prints: Sequence[RowPrint], most: int = Thresholds().image_distance) -> list[int]:
    """The group of every row: the number of its first row. Rows are joined by images and, without any, by questions."""
    leaders = list(range(len(prints)))

    def leader(row: int) -> int:
        while leaders[row] != row:
            leaders[row] = leaders[leaders[row]]
            row = leaders[row]
        return row

    def join(one: int, two: int) -> None:
        one, two = sorted((leader(one), leader(two)))
        leaders[two] = one

    first: dict[object, int] = {}
    for row, found in enumerate(prints):
        keys: list[object] = [key for p in found.pictures for key in (p.digest, p.hash) if key is not None]
        for key in keys or [found.text]:
            join(row, first.setdefault(key, row))
    hashes = np.array(sorted({p.hash for found in prints for p in found.pictures if p.hash is not None}), np.uint64)
    for i, j in near_pairs(hashes, hashes, most):
        join(first[int(hashes[i])], first[int(hashes[j])])
    return [leader(row) for row in range(len(prints))]


def assigned(
    group_of: Sequence[int], strata: Sequence[tuple[str, ...]], shares: Mapping[str, float], seed: int
) -> list[str]:
    """The split of every row: groups in a random order, each to the split that its stratum owes most rows."""
    sizes = Counter(group_of)
    owed: dict[tuple[str, ...], dict[str, float]] = {}
    totals: Counter[tuple[str, ...]] = Counter()
    for group, size in sizes.items():
        totals[strata[group]] += size
    for key, total in totals.items():
        owed[key] = {name: share * total for name, share in shares.items()}
    where: dict[int, str] = {}
    for group in sorted(sizes, key=lambda number: _draw(seed, number)):
        debts = owed[strata[group]]
        name = max(debts, key=lambda split: (debts[split], split))
        # Half a group of debt is enough: else small strata would give every row to the side.
        if debts[name] >= sizes[group] / 2:
            debts[name] -= sizes[group]
            where[group] = name
        else:
            where[group] = "train"
    return [where[group] for group in group_of]


def _draw(seed: int, number: int) -> bytes:
    return blake2b(f"{seed} {number}".encode(), digest_size=8).digest()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data split`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="parquet in verl's schema")
    parser.add_argument("--out", required=True, metavar="DIR", help="gets train.parquet and the others")
    parser.add_argument("--test", type=float, default=0.05, metavar="SHARE", help="default %(default)s")
    parser.add_argument("--validation", type=float, default=0.0, metavar="SHARE", help="default: none")
    parser.add_argument(
        "--by", nargs="+", choices=STRATA, default=["source", "verifier"], help="strata (default source verifier)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    """Split; print the counts."""
    shares = {name: share for name, share in (("test", args.test), ("validation", args.validation)) if share}
    try:
        counts = split([Path(file) for file in args.files], Path(args.out), shares, args.by, args.seed)
    except schema.DataError as error:
        raise UserError(str(error)) from error
    for name, count in counts.items():
        print(f"{name}: {count} rows")
    return 0
