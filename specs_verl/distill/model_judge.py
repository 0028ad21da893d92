r"""A model as judge: does the reasoning of a right response lead to its answer? Asked through a chat endpoint.

    judge_run(run, grades_dir, out_dir, data_files, Endpoint.parse("http://127.0.0.1:8000/v1#judge"))

Of each prompt the right and well-formed samples are asked about one after another until one is found consistent (at
most MOST_ASKED): a prompt needs one chosen response only. The judge sees question, reasoning and answer, not the
images: whether the image was read rightly is what the verified answer vouches for. What it is asked is INSTRUCTION
below; the texts themselves stand between marks (reward_fns/workers/fence.py). It must reply with a JSON object; a reply
without one, or with two that disagree, is asked for again with another seed.

    out_dir/shard-00003.parquet    row, sample, support, reason: the samples that were asked about
    out_dir/replies.sqlite         every reply, so that a killed run asks nothing twice
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reward_fns.workers.fence import RULE, fence
from specs_verl.distill.corrupt import blocks
from specs_verl.errors import UserError
from specs_verl.files.derived import is_derived, write_derived
from specs_verl.files.rows import RowTable
from specs_verl.sampling.endpoint import Cache, Endpoint, EndpointClient, EndpointError
from specs_verl.sampling.store import SampleRun, read_shard
from specs_verl.sampling.usable import unusable

SCHEMA = pa.schema([("row", pa.int64()), ("sample", pa.int32()), ("support", pa.string()), ("reason", pa.string())])

MOST_ASKED = 4
MOST_READINGS = 3
REPLY_TOKENS = 512

INSTRUCTION = f"""You check whether a piece of reasoning is consistent with the answer it ends in. {RULE}
The answer itself is known to be correct; do not solve the question again. Decide only whether the reasoning leads to
this answer: it must not conclude another value, contradict itself at the end, or stop before it could know the answer.
Reply with a JSON object and nothing else: {{"consistent": true or false, "reason": "one short sentence"}}"""


def judge_run(
    run: SampleRun,
    grades: Path,
    out: Path,
    data: tuple[str, ...],
    endpoint: Endpoint,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Judge the graded samples of a run, shard by shard; shards that are judged already stay as they are."""
    out.mkdir(parents=True, exist_ok=True)
    cache = Cache(out / "replies.sqlite")
    shards = run.shards()
    try:
        for number, shard in enumerate(shards, 1):
            if not is_derived(out / shard.name, shard):
                judged = asyncio.run(_judge_shard(shard, grades / shard.name, data, endpoint, cache))
                write_derived(out / shard.name, pa.Table.from_pylist(judged, schema=SCHEMA), shard)
            if on_progress:
                on_progress(number, len(shards))
    finally:
        cache.close()


async def _judge_shard(
    shard: Path, graded: Path, data: tuple[str, ...], endpoint: Endpoint, cache: Cache
) -> list[dict[str, Any]]:
    by_row: dict[int, list[dict[str, Any]]] = {}
    columns = ["row", "sample", "response", "finish_reason", "n_vision_tokens"]
    samples = read_shard(shard, columns).to_pylist()
    for sample, marks in zip(samples, pq.read_table(graded).to_pylist(), strict=True):
        flaw = unusable(sample["response"], sample["finish_reason"], sample["n_vision_tokens"])
        if marks["status"] == "right" and marks["format"] and flaw is None:
            by_row.setdefault(sample["row"], []).append(sample)
    if not by_row:
        return []
    table = RowTable(data, columns=["prompt"])
    questions = {index: _question(row) for index, row in table.slice(min(by_row), max(by_row) + 1) if index in by_row}
    async with EndpointClient(endpoint, cache) as client:
        rows = await asyncio.gather(*(_judge_row(client, questions[row], group) for row, group in by_row.items()))
    judged = [mark for marks in rows for mark in marks]
    if all(mark["support"] == "unjudged" for mark in judged):
        raise UserError(f"The judge {endpoint.model} at {endpoint.url} gave no verdict at all; {judged[0]['reason']}.")
    return judged


async def _judge_row(client: EndpointClient, question: str, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Verdicts on the samples of one row, up to the first that is consistent."""
    marks = []
    for sample in samples[:MOST_ASKED]:
        support, reason = await _verdict(client, question, sample["response"])
        marks.append({"row": sample["row"], "sample": sample["sample"], "support": support, "reason": reason})
        if support == "supports":
            break
    return marks


async def _verdict(client: EndpointClient, question: str, response: str) -> tuple[str, str]:
    parts = blocks(response)
    shown = {"Question": question, "Reasoning": parts.thought.strip(), "Answer": parts.answer.strip()}
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": fence(shown)}]
    reply = ""
    for reading in range(MOST_READINGS):
        try:
            reply = (await client.complete(messages, temperature=0.0, max_tokens=REPLY_TOKENS, seed=reading)).text
        except EndpointError as error:
            return "unjudged", str(error)
        verdict = read_verdict(reply)
        if verdict is not None:
            return verdict
    return "unjudged", f"no JSON verdict in {reply[:100]!r}"


def read_verdict(reply: str) -> tuple[str, str] | None:
    """The JSON object of a reply that holds a boolean `consistent`, as (support, reason).

    None when there is none, or when several disagree: the judge may have quoted an object from the text it judges.
    """
    decoder = json.JSONDecoder()
    found: list[tuple[str, str]] = []
    at = reply.find("{")
    while at >= 0:
        end = at + 1
        try:
            value, end = decoder.raw_decode(reply, at)
        except (json.JSONDecodeError, RecursionError):
            value = None
        if isinstance(value, dict) and isinstance(value.get("consistent"), bool):
            found.append(("supports" if value["consistent"] else "contradicts", str(value.get("reason", ""))))
        at = reply.find("{", end)
    return found[0] if len({support for support, _ in found}) == 1 else None


def _question(row: dict[str, Any]) -> str:
    """The text of the row's last user message, without image marks."""
    texts = [message["content"] for message in row["prompt"] if message["role"] == "user"]
    return texts[-1].replace("<image>", "").strip() if texts else ""


def verdicts(out: Path, shard: str) -> dict[tuple[int, int], str]:
    """The judge's word on the samples of a shard, by row and sample."""
    table = pq.read_table(out / shard, columns=["row", "sample", "support"]).to_pylist()
    return {(mark["row"], mark["sample"]): mark["support"] for mark in table}
