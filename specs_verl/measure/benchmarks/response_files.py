"""Our responses in the files that the official evaluators read.

    write_vlmevalkit(BENCHMARKS["mathvista"], samples, prepared, Path("MathVista_MINI.tsv"), "qwen", out)
    write_megabench(samples, prepared, folder, out)                                   # all_query_responses.json

VLMEvalKit (open-compass/VLMEvalKit) scores MODEL/RUN/MODEL_DATASET.tsv: its own table of the data set, without the
pictures and with a column `prediction`. RUN has the form of its own run folders, in which `--reuse` looks:

    PRED_FORMAT=tsv python run.py --mode eval --reuse --work-dir OUT --model qwen --data MathVista_MINI

MEGA-Bench scores a list of tasks with their `query_response`; the file holds the keys of its own repository, of
lmms-eval and of VLMEvalKit. All take one response per question: sample 0.

`prediction` is the answer alone (see answer_of): read as a whole, a response that thinks aloud names several options,
and rules such as We-Math's take the first letter. The whole response stands in the column `response`.
tests/benchmarks/official_evaluators.py runs the evaluators on such files and compares their verdicts with ours.
"""

from __future__ import annotations

import ast
import csv
import json
import sys
from datetime import date
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow.parquet as pq

from data_prep.files import replacing, write_text
from reward_fns.answer.boxed import last_box
from reward_fns.answer.places import answer_block, split_think
from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import Benchmark
from specs_verl.measure.benchmarks.megabench import rows as mega_rows
from specs_verl.measure.benchmarks.source import list_of
from specs_verl.sampling.store import SampleRun

RUN = "T{:%Y%m%d}_G00000000"
"""A run folder as VLMEvalKit names them, T<day>_G<commit>: of no commit."""

READ_AS_MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
READ_AS_MISSING |= {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
"""Cells that pandas.read_csv, which the evaluators use, reads as a missing value: some of them stop there."""


def answer_of(response: str, *, boxed: bool = True) -> str:
    """What follows the thinking, of that the inside of the last answer block, of that the last box, as VLMEvalKit's own
    wrappers of models that think do; the whole response where there is nothing of the kind. Empty where nothing follows
    the thinking or the block is empty; a thought that was cut off stays whole, as with VLMEvalKit's SPLIT_THINK.

    Args:
        boxed: look for a box; MEGA-Bench asks for formats in which one may be a part of the answer.
    """
    after, _, closed = split_think(response)
    if not after:
        return "" if closed else response.strip()
    block = answer_block(after)
    text = block if block is not None else "" if "<answer>" in after else after
    box = last_box(text) if boxed else None
    return (text if box is None else box).strip()


def first_responses(samples: Path, prepared: Path) -> dict[str, str]:
    """Sample 0 of every question by the question's id; an empty text where a question was skipped."""
    run = SampleRun(samples)
    if not run.complete:
        raise UserError(f"{samples}: the sampling run is not complete. Start it again with the same arguments.")
    extra = pq.read_table(prepared, columns=["extra_info"]).column(0).to_pylist()
    found = {str(info["id"]): "" for info in extra}
    for sample in run.samples(columns=["row", "sample", "response"]):
        if sample["sample"] == 0:
            if not 0 <= sample["row"] < len(extra):
                raise UserError(f"{samples}: row {sample['row']} is not in {prepared}. Were other data sampled?")
            found[str(extra[sample["row"]]["id"])] = sample["response"]
    return found


def write_vlmevalkit(
    benchmark: Benchmark,
    samples: Path,
    prepared: Path,
    table: Path,
    model: str,
    out: Path,
    *,
    id_of: str | None = None,
    whole: bool = False,
) -> Path:
    """VLMEvalKit's prediction file from its own table of the data set; every row of the split must have a response.

    Args:
        table: VLMEvalKit's tab-separated table (LMUData/NAME.tsv); NAME is the data set that will be scored.
        model: name of the model; the file lies in a folder of that name.
        id_of: our id of a question from the table's columns, such as "{index}"; the benchmark's own by default.
        whole: predict the whole response instead of the answer alone.
    """
    pattern = id_of or benchmark.vlmevalkit.get(table.stem)
    if pattern is None:
        known = ", ".join(benchmark.vlmevalkit) or "none"
        raise UserError(
            f"{table}: {table.stem} is no data set of VLMEvalKit that is known for {benchmark.title} ({known}). Name "
            "the table as VLMEvalKit does, or pass --id-of."
        )
    try:
        frame = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{table}: not a readable tab-separated table ({error}).") from error
    responses = first_responses(samples, prepared)
    try:
        ids = [pattern.format(**row) for row in frame.to_dict("records")]
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{table}: --id-of {pattern!r} does not fit its columns {', '.join(frame.columns)}.") from error
    kept = frame.drop(columns=[column for column in ("image", "image_path") if column in frame])
    kept["response"] = [responses.get(name) for name in ids]
    _check(kept, ids, _of_split(frame, benchmark), table, next(iter(responses)))
    kept["response"] = kept["response"].fillna("")
    kept["prediction"] = kept["response"] if whole else kept["response"].map(answer_of)
    for column in ("response", "prediction"):
        kept[column] = [f" {text}" if text in READ_AS_MISSING else text for text in kept[column]]
    target = out / model / RUN.format(date.today()) / f"{model}_{table.stem}.tsv"
    with replacing(target) as temporary:
        # All cells in quotes, as VLMEvalKit writes them: a carriage return would end a row otherwise.
        kept.to_csv(temporary, sep="\t", index=False, quoting=csv.QUOTE_ALL)
    return target


def _of_split(frame: pd.DataFrame, benchmark: Benchmark) -> pd.Series:
    """Rows of our split: MMMU_DEV_VAL holds the development questions, too, and scores the splits one by one."""
    split = frame.get("split")
    known = split is not None and (split == benchmark.split).any()
    return split == benchmark.split if known else pd.Series(True, index=frame.index)


def _check(kept: pd.DataFrame, ids: list[str], ours: pd.Series, table: Path, example: str) -> None:
    """Every row of our split has a response; those of others are counted."""
    named = pd.Series(ids, index=kept.index)
    missing = named[kept["response"].isna() & ours]
    if len(missing):
        raise UserError(
            f"{table}: {len(missing)} of {int(ours.sum())} rows have no response, the first is {missing.iloc[0]!r}; "
            f"ours are like {example!r}. Name the column that holds our ids with --id-of."
        )
    others = int((~ours).sum())
    if others:
        print(f"{table}: {others} rows of other splits have empty predictions: read no score of them.", file=sys.stderr)


def write_megabench(samples: Path, prepared: Path, folder: Path, out: Path, *, whole: bool = False) -> Path:
    """MEGA-Bench's response file: task by task, the queries in the order of the published rows.

    `task_description` and `question`, which VLMEvalKit's copy of the evaluator reads, repeat `global_description` and
    `query_text`, which MEGA-Bench itself and lmms-eval read; `query_idx` is `task_idx` in some of its versions.
    """
    responses = first_responses(samples, prepared)
    tasks: dict[str, dict[str, object]] = {}
    for place, row in mega_rows(folder):
        task = tasks.setdefault(
            str(row["task_name"]),
            {
                "task_name": str(row["task_name"]),
                **dict.fromkeys(("global_description", "task_description"), row["task_description"] or ""),
                "global_images": list_of(row.get("global_media"), place),
                "example_info": {
                    "image_paths": list_of(row.get("example_media"), place),
                    "example_text": row["example_text"] or "",
                },
                "query_response": [],
            },
        )
        queries = cast("list[dict[str, object]]", task["query_response"])
        response = responses.get(str(row["id"]), "")
        queries.append(
            {
                "response": response if whole else answer_of(response, boxed=False),
                "correct_answer": _literal(str(row["answer"]), place),
                "global_idx": row["id"],
                **dict.fromkeys(("task_idx", "query_idx"), len(queries)),
                "images": list_of(row["query_media"], place),
                **dict.fromkeys(("query_text", "question"), row["query_text"]),
            }
        )
    target = out / "all_query_responses.json"
    write_text(target, json.dumps(list(tasks.values()), ensure_ascii=False, indent=4) + "\n")
    return target


def _literal(text: str, place: str) -> object:
    """The answer as its evaluator wants it: an object by field; written in the table as a Python literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UserError(f"{place}: the answer {text[:60]!r} is no literal.") from error
