"""Our responses in the files that the official evaluators read.

    write_vlmevalkit(BENCHMARKS["mathvista"], samples, prepared, table, "qwen", out)  # qwen/qwen_MathVista_MINI.tsv
    write_megabench(samples, prepared, folder, out)                                   # all_query_responses.json

VLMEvalKit (open-compass/VLMEvalKit) scores MODEL/MODEL_DATASET.tsv: its own table of the data set, without the pictures
and with a column `prediction`; start it with PRED_FORMAT=tsv and --reuse. MEGA-Bench (TIGER-AI-Lab/MEGA-Bench) scores a
list of tasks with their `query_response`: main.py --evaluation_only. Both take one response per question: sample 0.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow.parquet as pq

from data_prep.files import replacing, write_text
from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import Benchmark
from specs_verl.measure.benchmarks.megabench import rows as mega_rows
from specs_verl.measure.benchmarks.source import list_of
from specs_verl.sampling.store import SampleRun


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
    benchmark: Benchmark, samples: Path, prepared: Path, table: Path, model: str, out: Path, id_of: str | None = None
) -> Path:
    """VLMEvalKit's prediction file from its own table of the data set; every row of the table must have a response.

    Args:
        table: VLMEvalKit's tab-separated table of the data set (LMUData/NAME.tsv).
        model: name of the model; the file lies in a folder of that name.
        id_of: our id of a question from the table's columns, such as "{index}"; the benchmark's own by default.
    """
    if not benchmark.vlmevalkit and id_of is None:
        raise UserError(f"{benchmark.title}: not among VLMEvalKit's data sets. Pass --id-of to write one all the same.")
    try:
        frame = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{table}: not a readable tab-separated table ({error}).") from error
    responses = first_responses(samples, prepared)
    pattern = id_of or benchmark.vlmevalkit_id
    try:
        ids = [pattern.format(**row) for row in frame.to_dict("records")]
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{table}: --id-of {pattern!r} does not fit its columns {', '.join(frame.columns)}.") from error
    missing = [name for name in ids if name not in responses]
    if missing:
        raise UserError(
            f"{table}: {len(missing)} of {len(ids)} rows have no response, the first is {missing[0]!r}; ours are like "
            f"{next(iter(responses))!r}. Name the column that holds our ids with --id-of."
        )
    kept = frame.drop(columns=[column for column in ("image", "image_path") if column in frame])
    kept["prediction"] = [responses[name] for name in ids]
    target = out / model / f"{model}_{benchmark.vlmevalkit or benchmark.name}.tsv"
    with replacing(target) as temporary:
        kept.to_csv(temporary, sep="\t", index=False)
    return target


def write_megabench(samples: Path, prepared: Path, folder: Path, out: Path) -> Path:
    """MEGA-Bench's response file: task by task, the queries in the order of the published rows."""
    responses = first_responses(samples, prepared)
    tasks: dict[str, dict[str, object]] = {}
    for place, row in mega_rows(folder):
        task = tasks.setdefault(
            str(row["task_name"]),
            {
                "task_name": str(row["task_name"]),
                "global_description": row["task_description"] or "",
                "global_images": list_of(row.get("global_media"), place),
                "example_info": {
                    "image_paths": list_of(row.get("example_media"), place),
                    "example_text": row["example_text"] or "",
                },
                "query_response": [],
            },
        )
        queries = cast("list[dict[str, object]]", task["query_response"])
        queries.append(
            {
                "response": responses.get(str(row["id"]), ""),
                "correct_answer": _literal(str(row["answer"]), place),
                "global_idx": row["id"],
                "task_idx": len(queries),
                "images": list_of(row["query_media"], place),
                "query_text": row["query_text"],
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
