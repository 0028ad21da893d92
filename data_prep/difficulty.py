"""How hard a row is for a model, and the band worth training on.

    rates = pass_rates("runs/base/samples", "train.parquet")       # {row number: share of right samples}
    keep_band("train.parquet", rates, "train.band.parquet", 0.1, 0.9)

Rates come from a sampling run of `specs sample` (its responses are graded here by each row's own verifier), or from a
parquet file with the columns `row` and `right` (or `pass_rate`), as `specs evaluate` writes it. A row that a model
always or never gets right gives GRPO no gradient.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep import schema
from data_prep.errors import UserError
from data_prep.reading.source import read_parquet
from data_prep.writer import RowWriter
from reward_fns import verify
from reward_fns.scoring import row_grading
from reward_fns.workers.judge_client import offline


@dataclass
class Band:
    """What became of the rows."""

    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    histogram: Counter[str] = field(default_factory=Counter)
    """Rows per tenth of pass rate."""

    def text(self) -> str:
        lines = [f"kept: {self.kept} rows"]
        lines += [f"left out: {count} x {reason}" for reason, count in sorted(self.left_out.items())]
        return "\n".join(lines + [f"  pass rate {tenth}: {self.histogram[tenth]}" for tenth in sorted(self.histogram)])


def pass_rates(samples: str | Path, data: str | Path) -> dict[int, float]:
    """Share of right samples per row number of `data`.

    Raises:
        UserError: no samples there, or they are of other data.
    """
    files = _files(Path(samples))
    names = pq.read_schema(files[0]).names
    if "pass_rate" in names and "row" in names:
        return {int(str(r["row"])): float(str(r["pass_rate"])) for file in files for _p, r in read_parquet(file)}
    if "row" not in names or not {"right", "response"} & set(names):
        raise UserError(f"{files[0]}: needs the columns row and right, pass_rate or response; has {', '.join(names)}.")
    right: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for row, is_right in _graded(files, Path(data)) if "right" not in names else _stated(files):
        total[row] += 1
        right[row] += is_right
    return {row: right[row] / count for row, count in total.items()}


def _files(samples: Path) -> list[Path]:
    if samples.is_file():
        return [samples]
    files = sorted((samples / "shards").glob("*.parquet")) or sorted(samples.glob("*.parquet"))
    if not files:
        raise UserError(f"{samples}: no samples there; pass a run of `specs sample` or a parquet file of graded ones.")
    return files


def _stated(files: list[Path]) -> Iterator[tuple[int, bool]]:
    for file in files:
        for _place, sample in read_parquet(file):
            yield int(str(sample["row"])), bool(sample["right"])


def _graded(files: list[Path], data: Path) -> Iterator[tuple[int, bool]]:
    """Responses in the order of their rows, graded by the rows' own verifiers."""
    rows = schema.rows(data)
    index = -1
    row: dict[str, object] = {}
    for file in files:
        for place, sample in read_parquet(file):
            number = int(str(sample["row"]))
            while index < number:
                found = next(rows, None)
                if found is None:
                    raise UserError(f"{place}: a sample of row {number}, which {data} does not have.")
                index, row = found
            if index > number:
                raise UserError(f"{place}: samples are not in the order of their rows.")
            yield number, _is_right(row, sample.get("response"))


def _is_right(row: dict[str, object], response: object) -> bool:
    model = row["reward_model"]
    info = row.get("extra_info")
    grading = row_grading({**(info if isinstance(info, dict) else {}), "reward_model": model})
    with offline():
        verdict = verify(str(response or ""), model["ground_truth"], grading.verifier, **grading.params)  # type: ignore[index]
    return verdict.status == "right"


def keep_band(data: str | Path, rates: dict[int, float], out: str | Path, low: float, high: float) -> Band:
    """Write the rows whose pass rate lies in [low, high], with the rate in `extra_info.pass_rate`."""
    data, band = Path(data), Band()
    columns = _with_rate(pq.read_schema(data))
    progress = tqdm(schema.rows(data), desc=data.name, unit=" rows", disable=None, file=sys.stderr, mininterval=1)
    with RowWriter(out, columns) as writer:
        for index, row in progress:
            rate = rates.get(index)
            if rate is None:
                band.left_out["no samples"] += 1
                continue
            band.histogram[f"{min(int(rate * 10), 9) / 10:.1f}"] += 1
            if not low <= rate <= high:
                band.left_out["too hard" if rate < low else "too easy"] += 1
                continue
            info = row.get("extra_info")
            row["extra_info"] = {**(info if isinstance(info, dict) else {}), "pass_rate": rate}
            writer.write(row)
        if writer.rows == 0:
            raise UserError(f"{data}: no row has a pass rate from {low} to {high} ({dict(band.left_out)}).")
    band.kept = writer.rows
    return band


def _with_rate(columns: pa.Schema) -> pa.Schema:
    """The file's own schema; `extra_info` gets a place for the rate where it has none."""
    place = columns.get_field_index("extra_info")
    if place < 0:
        return columns.append(pa.field("extra_info", pa.struct([("pass_rate", pa.float64())])))
    fields = list(columns.field(place).type)
    if any(found.name == "pass_rate" for found in fields):
        return columns
    return columns.set(place, pa.field("extra_info", pa.struct([*fields, pa.field("pass_rate", pa.float64())])))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data difficulty`."""
    parser.add_argument("file", metavar="FILE", help="parquet in verl's schema")
    parser.add_argument("--samples", required=True, metavar="DIR_OR_FILE", help="run of `specs sample`, or graded rows")
    parser.add_argument("--out", required=True, metavar="FILE", help="gets the rows of the band")
    parser.add_argument(
        "--band", nargs=2, type=float, default=(0.1, 0.9), metavar=("LOW", "HIGH"), help="default 0.1 0.9"
    )


def run(args: argparse.Namespace) -> int:
    """Keep the band; print how rows are distributed."""
    low, high = args.band
    if not 0.0 <= low <= high <= 1.0:
        raise UserError(f"--band {low} {high}: must be two shares in order.")
    try:
        print(keep_band(args.file, pass_rates(args.samples, args.file), args.out, low, high).text())
    except schema.DataError as error:
        raise UserError(str(error)) from error
    return 0
