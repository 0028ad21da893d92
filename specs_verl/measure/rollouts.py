"""What there is to grade: the prompts of a data set without their pictures, and the sampled responses shard by shard.

    prompts = read_prompts([Path("test.parquet")])
    shards = complete_shards(SampleRun(Path("runs/samples/final/test")), prompts, files)

Everything that would make the numbers wrong is an error here, with the rows named: an unfinished run, samples made from
other data, rows that are missing, doubled or short of samples.

Not here: sampling itself (specs_verl.sampling) and grading (specs_verl.grading).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from reward_fns.question import with_question
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.files.rows import row_id
from specs_verl.sampling.store import SampleRun

DEFAULT_FORMAT = "think_answer"


@dataclass(frozen=True)
class Prompt:
    """One row of the data set, as far as grading needs it."""

    row_id: str
    data_source: str
    ground_truth: str
    extra_info: dict[str, object]
    task: str
    asked_format: str
    verifier: str = "math"


def read_prompts(files: Sequence[Path]) -> list[Prompt]:
    """Prompts in the order of rows; pictures are not read."""
    prompts: list[Prompt] = []
    for file in files:
        for row in _columns(file, ("data_source", "reward_model", "extra_info", "ability", "prompt")):
            prompts.append(_prompt(row, len(prompts), file))
    if not prompts:
        raise UserError(f"{', '.join(map(str, files))}: no rows, nothing to evaluate.")
    return prompts


def _columns(file: Path, wanted: tuple[str, ...]) -> list[dict[str, object]]:
    try:
        present = pq.read_schema(file).names
        missing = [name for name in wanted[:2] if name not in present]
        if missing:
            raise UserError(f"{file}: no column `{missing[0]}`; its columns are {', '.join(present)}.")
        return pq.read_table(file, columns=[name for name in wanted if name in present]).to_pylist()
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such data file.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: not a readable parquet file ({error}).") from error


def _prompt(row: Mapping[str, object], index: int, file: Path) -> Prompt:
    reward_model = row["reward_model"]
    if not isinstance(reward_model, Mapping) or reward_model.get("ground_truth") is None:
        raise UserError(f"{file}, row {index}: no reward_model.ground_truth, so its responses cannot be graded.")
    extra = dict(cast("Mapping[str, object]", row.get("extra_info") or {}))
    # Rows of other origin carry verifier and params only in reward_model; verl hands graders extra_info alone.
    for key in ("verifier", "params"):
        if extra.get(key) is None and reward_model.get(key) is not None:
            extra[key] = reward_model[key]
    return Prompt(
        row_id=row_id(index, dict(row)),
        data_source=str(row["data_source"]),
        ground_truth=_text(reward_model["ground_truth"]),
        extra_info=with_question(extra, row.get("prompt")),
        task=str(extra.get("task") or row.get("ability") or "all"),
        asked_format=str(extra.get("format") or DEFAULT_FORMAT),
        verifier=str(extra.get("verifier") or "math"),
    )


def _text(truth: object) -> str:
    return truth if isinstance(truth, str) else json.dumps(truth, ensure_ascii=False)


def complete_shards(run: SampleRun, prompts: Sequence[Prompt], files: Sequence[Path]) -> list[Path]:
    """The run's shards, after making sure that they are all there and were made from these prompts."""
    manifest = run.manifest
    if not run.complete:
        lost = "".join(f" ({shard.name} is not there)" for shard in run.missing()[:1])
        raise UserError(f"{run.path}: the sampling run is not complete{lost}. Start it again with the same arguments.")
    if manifest.get("data_fingerprint") != data_fingerprint(files):
        raise UserError(
            f"{run.path}: its responses were sampled from other data than {', '.join(map(str, files))}. "
            "Pass the files they were sampled from, or sample again."
        )
    expected = range(int(manifest["rows"]))
    samples = int(manifest["parameters"]["n"])
    counts: Counter[int] = Counter()
    for shard in run.shards():
        pairs = pq.read_table(shard, columns=["row", "sample"]).to_pydict()
        if len(set(zip(pairs["row"], pairs["sample"], strict=True))) != len(pairs["row"]):
            raise UserError(f"{shard}: a sample is there twice. Remove the file and run the sampling again.")
        counts.update(pairs["row"])
    skipped = {int(entry["row"]) for entry in run.skipped()}
    missing = [row for row in expected if counts[row] != samples and row not in skipped]
    if missing:
        raise UserError(
            f"{run.path}: {len(missing)} of {len(expected)} rows do not have their {samples} samples: "
            f"{named_rows(missing, prompts)}. Run the sampling again; it fills in what is missing."
        )
    strangers = sorted(set(counts) - set(expected))
    if strangers:
        raise UserError(f"{run.path}: samples for rows that the data do not have: {strangers[:5]}. Sample again.")
    return run.shards()


def named_rows(rows: Sequence[int], prompts: Sequence[Prompt], most: int = 5) -> str:
    """ "row 3 (id nano-3), row 7 (id nano-7) and 12 more"."""
    named = ", ".join(f"row {row} (id {prompts[row].row_id})" for row in rows[:most])
    return named if len(rows) <= most else f"{named} and {len(rows) - most} more"
