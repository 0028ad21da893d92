"""The directory of a sampling run: what it promises, what is complete, and how to read it.

    out/manifest.json            parameters, checkpoint and data fingerprints, versions; written first, never changed
    out/shards/shard-00003.parquet   the samples of rows 3*k to 4*k-1; there means complete
    out/skipped/shard-00003.json     rows, or single samples, of that shard that could not be had, with the reason
    out/progress.json            rows, samples, tokens, tokens/s; rewritten while the run goes on
    out/summary.json             counts of the finished run; there means the run is complete
    out/logs/                    what vLLM and torch print

Every file appears under its name only when it is whole (temporary name, then rename), so a killed run leaves no half.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import read_json, write_json
from data_prep.tables import write_parquet
from specs_verl.errors import UserError
from specs_verl.sampling.parameters import SamplingParameters

FORMAT = 1

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("response", pa.string()),
        ("finish_reason", pa.string()),
        ("n_tokens", pa.int32()),
        ("prompt_tokens", pa.int32()),
        ("n_vision_tokens", pa.int32()),
        ("model", pa.string()),
        ("token_logprobs", pa.list_(pa.float32())),  # empty unless SamplingParameters.logprobs asks for them
        ("top_logprobs", pa.list_(pa.float32())),
    ]
)

MUST_AGREE = ("format", "parameters", "model_fingerprint", "data_fingerprint", "rows")


WHOLE_SHARD = "all"
"""Under this name the deaths over a shard are counted, as those over a row are under its number."""


class AfterDeath(Enum):
    """What follows from a worker's death."""

    NONE = "none"
    SUSPECT_SHARD = "suspect shard"
    BROKEN_ROW = "broken row"


def losses_of(run: SampleRun, examples: int = 3) -> dict[str, Any]:
    """What a complete run could not have: rows by kind, single samples, and the reasons of the first few."""
    summary = run.summary
    reasons = [str(loss["reason"]) for loss in islice(run.losses(), examples)]
    return {
        "prompts": summary["skipped"],
        "samples": summary.get("failed_samples", 0),
        "reasons": reasons,
        "listed_in": str(run.path / "skipped"),
    }


def aligned(groups: Iterator[tuple[int, list[dict[str, Any]]]], n_rows: int) -> Iterator[list[dict[str, Any]]]:
    """The samples of rows 0, 1, ..., n_rows - 1: an empty list for a row that has none."""
    current = next(groups, None)
    for row in range(n_rows):
        if current is not None and current[0] == row:
            yield current[1]
            current = next(groups, None)
        else:
            yield []


def read_shard(shard: str | Path, columns: list[str] | None = None) -> pa.Table:
    """The samples of a shard; UserError that names it when it is damaged."""
    try:
        return pq.read_table(shard, columns=columns, schema=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{shard}: damaged, it cannot be read ({str(error).splitlines()[0][:200]}). Remove it and the summary.json "
            "of its run, and sample again: only this shard is made anew."
        ) from error


def _has_footer(shard: Path) -> bool:
    try:
        pq.read_metadata(shard)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class SampleRun:
    """A run directory."""

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """What was asked for, with fingerprints."""
        file = self.path / "manifest.json"
        if not file.is_file():
            raise UserError(f"{self.path}: no manifest.json there. Pass the output directory of a sampling run.")
        return read_json(file)

    @property
    def complete(self) -> bool:
        """Whether every shard is there and counted."""
        return (self.path / "summary.json").is_file() and not self.missing()

    @property
    def summary(self) -> dict[str, Any]:
        """Counts of the finished run."""
        file = self.path / "summary.json"
        if not file.is_file():
            raise UserError(f"{self.path}: the sampling run is not complete. Start it again with the same arguments.")
        return read_json(file)

    def shard_path(self, shard: int) -> Path:
        """Where the samples of a shard are, or will be."""
        return self.path / "shards" / f"shard-{shard:05d}.parquet"

    def skipped_path(self, shard: int) -> Path:
        """Where the skipped rows of a shard are listed, if it has any."""
        return self.path / "skipped" / f"shard-{shard:05d}.json"

    def shards(self) -> list[Path]:
        """Shards that are complete, in the order of their rows."""
        return sorted((self.path / "shards").glob("shard-*.parquet"))

    @property
    def n_shards(self) -> int:
        """Shards of the run when it is complete."""
        manifest = self.manifest
        return -(-int(manifest["rows"]) // int(manifest["shard_rows"]))

    def missing(self) -> list[Path]:
        """Shards that are not there: not yet, or not any more."""
        return [shard for shard in map(self.shard_path, range(self.n_shards)) if not shard.is_file()]

    def samples(self, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """All samples in the order of rows and sample numbers, one shard in memory at a time."""
        for shard in self.shards():
            yield from read_shard(shard, columns).to_pylist()

    def by_row(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Samples grouped by row, in the order of rows."""
        for row, group in groupby(self.samples(), key=itemgetter("row")):
            yield row, list(group)

    def losses(self) -> Iterator[dict[str, Any]]:
        """What could not be had: row, row_id, kind, reason and, where other samples of the row are there, `samples`."""
        for file in sorted((self.path / "skipped").glob("shard-*.json")):
            yield from read_json(file)

    def skipped(self) -> Iterator[dict[str, Any]]:
        """Rows without any sample: row, row_id, kind, reason."""
        return (loss for loss in self.losses() if "samples" not in loss)

    def open(self, manifest: dict[str, Any]) -> None:
        """Create the directory with its manifest, or check that an existing one was made for the same samples."""
        (self.path / "shards").mkdir(parents=True, exist_ok=True)
        for name in ("skipped", "logs", "claims"):
            (self.path / name).mkdir(exist_ok=True)
        if not (self.path / "manifest.json").is_file():
            if self.shards():
                raise UserError(f"{self.path}: there are shards but no manifest. Choose an empty output directory.")
            write_json(self.path / "manifest.json", manifest)
            return
        existing = self.manifest
        # Parameters that did not exist when the manifest was written had their present default.
        existing["parameters"] = {**asdict(SamplingParameters()), **existing.get("parameters", {})}
        differing = [
            f"{key}: there {existing.get(key)}, now {manifest[key]}"
            for key in MUST_AGREE
            if existing.get(key) != manifest[key]
        ]
        if differing:
            raise UserError(
                f"{self.path} holds samples made differently ({'; '.join(differing)}). "
                "Samples are never mixed: choose another output directory, or remove this one."
            )

    def drop_damaged(self) -> list[str]:
        """Remove what cannot be read of a directory that is locked, so that it is made again.

        Returns its names, and those of shards that were lost since the run was complete.

        Looked at are the footers of the shards and the lists beside them; a shard whose footer is whole and whose pages
        are not is named when it is read (read_shard).
        """
        damaged = [shard for shard in self.shards() if not _has_footer(shard)]
        for file in sorted((self.path / "skipped").glob("shard-*.json")):
            if not _is_json(file):
                damaged += [file, self.shard_path(int(file.stem.rpartition("-")[2]))]
        summary = self.path / "summary.json"
        if summary.is_file():
            damaged += self.missing()
        if damaged or (summary.is_file() and not _is_json(summary)):
            damaged.append(summary)
        for file in damaged:
            file.unlink(missing_ok=True)
        return sorted({file.name for file in damaged})

    def write_shard(self, shard: int, samples: list[dict[str, Any]], skipped: list[dict[str, Any]]) -> None:
        """Make a shard complete; its skipped rows are on disk before it counts as complete."""
        if skipped:
            write_json(self.skipped_path(shard), skipped)
        samples.sort(key=lambda sample: (sample["row"], sample["sample"]))
        write_parquet(self.shard_path(shard), pa.Table.from_pylist(samples, schema=SCHEMA))

    # A worker that dies leaves the rows it was sampling under suspicion. Once may be chance (the machine was out of
    # memory, somebody killed the worker): the shard is sampled again as it is, which gives the very same samples.
    # After the second death it is sampled row by row, with a note of the row that is being tried, so that the row
    # itself is known, and left out, once it has been tried twice without success.

    def is_suspect(self, shard: int) -> bool:
        """Whether a shard is sampled row by row from now on."""
        return self._deaths(shard).get(WHOLE_SHARD, 0) >= 2

    def note_trying(self, shard: int, row: int) -> None:
        """Remember the row of a suspect shard that is sampled now."""
        write_json(self.path / "claims" / f"trying-{shard:05d}", row)

    def broken_rows(self, shard: int) -> list[int]:
        """Rows of a shard that killed the engine twice when sampled alone."""
        return [int(row) for row, deaths in self._deaths(shard).items() if row != WHOLE_SHARD and deaths >= 2]

    def _deaths(self, shard: int) -> dict[str, int]:
        file = self.path / "claims" / f"deaths-{shard:05d}"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() and _is_json(file) else {}

    def note_death(self, shard: int) -> AfterDeath:
        """Draw the consequence of a worker's death while it sampled a shard."""
        trying = self.path / "claims" / f"trying-{shard:05d}"
        row = trying.read_text(encoding="utf-8").strip() if trying.is_file() else WHOLE_SHARD
        trying.unlink(missing_ok=True)
        deaths = self._deaths(shard)
        deaths[row] = deaths.get(row, 0) + 1
        write_json(self.path / "claims" / f"deaths-{shard:05d}", deaths)
        if deaths[row] != 2:
            return AfterDeath.NONE
        return AfterDeath.SUSPECT_SHARD if row == WHOLE_SHARD else AfterDeath.BROKEN_ROW

    def summarise(self, seconds: float) -> dict[str, Any]:
        """Count what the shards hold and write summary.json, which marks the run as complete."""
        names = ("samples", "tokens", "prompt_tokens", "truncated", "with_vision_tokens", "rows", "failed_samples")
        counts = dict.fromkeys(names, 0)
        for shard in self.shards():
            columns = ["row", "n_tokens", "prompt_tokens", "finish_reason", "n_vision_tokens"]
            table = read_shard(shard, columns).to_pydict()
            counts["samples"] += len(table["row"])
            counts["rows"] += len(set(table["row"]))
            counts["tokens"] += sum(table["n_tokens"])
            counts["prompt_tokens"] += sum(table["prompt_tokens"])
            counts["truncated"] += sum(reason == "length" for reason in table["finish_reason"])
            counts["with_vision_tokens"] += sum(count > 0 for count in table["n_vision_tokens"])
        kinds: Counter[str] = Counter()
        for loss in self.losses():
            if "samples" in loss:
                counts["failed_samples"] += loss["samples"]
            else:
                kinds[loss["kind"]] += 1
        summary = {**counts, "skipped": dict(kinds), "seconds_of_last_run": round(seconds, 2)}
        write_json(self.path / "summary.json", summary)
        return summary
