"""A benchmark's published files as one parquet in verl's schema, with the method's prompt around every question.

    prepared = prepare(BENCHMARKS["mathvista"], "MathVista", "data/mathvista.parquet", prompt="specs")
    about(Path("data/mathvista.parquet"))       # Prepared: benchmark, prompt, questions, what was left out

`extra_info.groups` holds what the official score is computed by, as JSON. The file's metadata say which benchmark and
which prompt it is, so that a score can never be shown without them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import schema
from data_prep.files import replacing
from data_prep.prompts import Prompt
from data_prep.prompts import chosen as chosen_prompt
from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import Benchmark, Question
from specs_verl.measure.benchmarks.source import BrokenRowError

METADATA = b"specs_benchmark"
BATCH = 64
JUDGED = ("math", "text")
"""Verifiers of free answers: with a judge, these questions are asked of it."""

_EXTRA = pa.struct(
    [*schema.SCHEMA.field("extra_info").type, *((name, pa.string()) for name in ("task", "benchmark", "groups"))]
)
SCHEMA = schema.SCHEMA.set(schema.SCHEMA.get_field_index("extra_info"), pa.field("extra_info", _EXTRA))


@dataclass(frozen=True)
class Prepared:
    """What a prepared file is."""

    benchmark: str
    prompt: str
    """Name of the prompt and a digest of its words."""

    questions: int
    left_out: int
    expected: int
    """Questions of the official split."""

    judge: bool


def prepare(
    benchmark: Benchmark,
    folder: str | Path,
    out: str | Path,
    *,
    prompt: str = "specs",
    judge: bool = False,
    skip_broken: bool = False,
) -> Prepared:
    """Write the file, whole or not at all.

    Args:
        folder: the published data set on this machine.
        prompt: name of a prompt of data_prep.prompts, or a text file with a system prompt.
        judge: have free answers judged by the endpoint of REWARD_FNS_JUDGE_URL instead of by rule.
        skip_broken: leave out rows that cannot be used, and count them, instead of refusing the data set.
    """
    words, out = chosen_prompt(prompt), Path(out)
    count = left_out = 0
    with replacing(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        rows: list[dict[str, object]] = []
        for question in _questions(benchmark, Path(folder), skip_broken):
            if question is None:
                left_out += 1
                continue
            rows.append(_row(benchmark, question, words, count, judge))
            count += 1
            if len(rows) == BATCH:
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                rows = []
        if not count:
            raise UserError(f"{folder}: not one usable question of {benchmark.title}.")
        writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        made = Prepared(benchmark.name, f"{prompt} {_digest(words)}", count, left_out, benchmark.size, judge)
        writer.add_key_value_metadata({METADATA: json.dumps(asdict(made)).encode()})
    return made


def _questions(benchmark: Benchmark, folder: Path, skip_broken: bool) -> Iterator[Question | None]:
    """Questions, and None in place of a broken row, where that is allowed."""
    seen: set[str] = set()
    for place, row in benchmark.rows(folder):
        try:
            question = benchmark.question(row, folder, place)
        except BrokenRowError as error:
            if not skip_broken:
                raise UserError(
                    f"{error} A score over fewer questions is no score of {benchmark.title}: mend the data set, or "
                    "leave such rows out with --skip-broken, which is said beside every number."
                ) from error
            print(f"left out: {error}", file=sys.stderr)
            yield None
            continue
        if question.id in seen:
            raise UserError(f"{place}: the question {question.id} is there twice.")
        seen.add(question.id)
        yield question


def _row(benchmark: Benchmark, question: Question, words: Prompt, index: int, judge: bool) -> dict[str, object]:
    verifier, params = question.verifier, question.params
    if judge and verifier in JUDGED:
        verifier, params = "judge", {"question": question.text.replace("<image>", "").strip()}
    truth = question.answer if isinstance(question.answer, str) else json.dumps(question.answer, ensure_ascii=False)
    graded = schema.grading_columns(truth, verifier, params)
    return {
        "data_source": benchmark.name,
        "prompt": words.messages(question.text),
        "images": list(question.images),
        "ability": "benchmark",
        "reward_model": graded["reward_model"],
        "extra_info": {
            "index": index,
            "split": benchmark.split,
            "id": question.id,
            "task": next(iter(question.groups.values()), benchmark.name),
            "benchmark": benchmark.name,
            "groups": json.dumps(question.groups, ensure_ascii=False),
            **graded["extra_info"],
        },
    }


def _digest(words: Prompt) -> str:
    return hashlib.sha256(f"{words.system}\0{words.instruction}".encode()).hexdigest()[:8]


def about(file: Path) -> Prepared | None:
    """What a prepared file is; None for any other parquet file."""
    try:
        metadata = pq.read_metadata(file).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: not a readable parquet file ({error}).") from error
    return Prepared(**json.loads(metadata[METADATA])) if METADATA in metadata else None
