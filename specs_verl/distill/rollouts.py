"""Rollouts that GRPO has sampled already, as a sampling run: pairs from stage 1 without sampling again.

    folder = import_rollouts(Path("runs/zero/rollouts"), ("train.parquet",), Path("runs/pairs/samples/rollouts"))

verl writes STEP.jsonl into `trainer.rollout_data_dir`: one line per rollout with input, output, gts, step and what the
reward manager returned. The manager `specs` adds `row_id`, `response_length` and `cut_off`. A dump without them (of
another manager) is matched by the text of the question and the ground truth, which must name one row; there only
well-formed responses are known to be whole, the others count as cut off.

The rollouts of a row over all steps are its samples, early steps first. Grading is not taken over: it is done again,
by the rules of pairs. Lines are read twice, by their offsets, so memory holds one shard of texts.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.files import locked
from reward_fns.formats import think_answer
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.files.rows import RowTable, row_id
from specs_verl.sampling.parameters import SamplingParameters, rows_per_shard
from specs_verl.sampling.store import FORMAT, SampleRun

IMPORTED = "rollouts-"
"""How fingerprints begin that stand for a dump instead of a model."""

_USER = re.compile(r"(?:^|\n)user\n")


@dataclass(frozen=True)
class _Line:
    """Where a rollout stands."""

    file: Path
    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}"


def import_rollouts(folder: Path, prompts: tuple[str, ...], out: Path) -> Path:
    """Make a complete sampling run of a rollout dump, unless it is there; returns `out`.

    Raises:
        UserError: no dump, a damaged line, a rollout of no row or of several rows of the prompts; it is named.
    """
    files = sorted(folder.glob("*.jsonl"), key=lambda file: (int(file.stem) if file.stem.isdigit() else -1, file.name))
    if not files:
        raise UserError(f"{folder}: no rollouts there. Pass the directory of trainer.rollout_data_dir (STEP.jsonl).")
    run = SampleRun(out)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        table = RowTable(prompts)
        rows = _Rows(prompts)
        places: dict[int, list[_Line]] = defaultdict(list)
        for line, values in _lines(files):
            places[rows.find(values, line)].append(line)
        most = max(map(len, places.values()), default=1)
        per_shard = rows_per_shard(most)
        run.open(
            {
                "format": FORMAT,
                "parameters": asdict(SamplingParameters(n=most)),
                "model": str(folder.resolve()),
                "model_fingerprint": f"{IMPORTED}{data_fingerprint(files)[:32]}",
                "data": list(prompts),
                "data_fingerprint": data_fingerprint(prompts),
                "rows": len(table),
                "shard_rows": per_shard,
                "versions": {},
            }
        )
        if run.complete:
            return out
        for shard, start in enumerate(range(0, len(table), per_shard)):
            samples = [
                _sample(row, rows.ids[row], number, _read(line), line)
                for row in range(start, min(start + per_shard, len(table)))
                for number, line in enumerate(places.get(row, ()))
            ]
            run.write_shard(shard, samples, [])
        run.summarise(0.0)
    return out


def is_imported(run: SampleRun) -> bool:
    """Whether the responses of a run were taken over from a training instead of sampled."""
    return str(run.manifest["model_fingerprint"]).startswith(IMPORTED)


class _Rows:
    """The rows of the prompts, found by their id or, in dumps without ids, by question and ground truth."""

    def __init__(self, prompts: tuple[str, ...]) -> None:
        table = RowTable(prompts)
        columns = [name for name in ("prompt", "extra_info", "reward_model") if name in table.schema.names]
        self.ids: list[str] = []
        self._by_id: dict[str, list[int]] = defaultdict(list)
        self._by_text: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, row in RowTable(prompts, columns=columns).slice(0, len(table)):
            self.ids.append(row_id(index, row))
            self._by_id[self.ids[-1]].append(index)
            asked = [message["content"] for message in row["prompt"] if message["role"] == "user"]
            truth = (row.get("reward_model") or {}).get("ground_truth")
            self._by_text[_plain(asked[-1] if asked else ""), str(truth)].append(index)

    def find(self, values: dict[str, Any], line: _Line) -> int:
        """The row of a rollout."""
        if values.get("row_id"):
            found, what = self._by_id.get(str(values["row_id"]), []), f"the id {values['row_id']}"
        else:
            question = _plain(_USER.split(str(values.get("input", "")))[-1].rstrip().removesuffix("assistant"))
            found, what = self._by_text.get((question, str(values.get("gts"))), []), f"the question {question[:60]!r}"
        if len(found) != 1:
            raise UserError(
                f"{line}: {len(found) or 'none'} of the prompts have {what}, so the row of this rollout is not known. "
                "Pass the prompts of that training; the reward manager `specs` writes ids of rows (extra_info.id)."
            )
        return found[0]


def _plain(text: str) -> str:
    return " ".join(text.replace("<image>", " ").split())


def _lines(files: list[Path]) -> Iterator[tuple[_Line, dict[str, Any]]]:
    for file in files:
        offset = 0
        with file.open("rb") as content:
            for number, text in enumerate(content, start=1):
                line = _Line(file, number, offset)
                offset += len(text)
                yield line, _parsed(text, line)


def _read(line: _Line) -> dict[str, Any]:
    with line.file.open("rb") as content:
        content.seek(line.offset)
        return _parsed(content.readline(), line)


def _parsed(text: bytes, line: _Line) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UserError(f"{line}: not JSON ({error}). Remove the file of that step, or dump it again.") from error
    if not isinstance(values, dict) or not isinstance(values.get("output"), str):
        raise UserError(f"{line}: no rollout of verl's, which has input, output and gts.")
    return values


def _sample(row: int, identity: str, number: int, values: dict[str, Any], line: _Line) -> dict[str, Any]:
    """A record of a shard."""
    cut_off = values["cut_off"] if "cut_off" in values else not think_answer(values["output"])
    return {
        "row": row,
        "row_id": identity,
        "sample": number,
        "response": values["output"],
        "finish_reason": "length" if cut_off else "stop",
        "n_tokens": int(values.get("response_length") or 0),
        "prompt_tokens": 0,
        "n_vision_tokens": 0,
        "model": f"step {line.file.stem}",
    }
