"""Tokens per second of specs_verl.sampling against vllm.LLM.chat: same checkpoint, prompts, images, engine and process.

    python tests/benchmarks/distill_sampling.py --model CKPT --data train.parquet --rows 400 --n 8
    python tests/benchmarks/distill_sampling.py --model CKPT --data train.parquet --logprobs 20 --probe OTHER_CKPT

`sampling` is what a worker does: rows from the parquet, prompts, images, requests, text from tokens, shards on disk.
`chat` is LLM.chat with all conversations at once; its images are decoded from the parquet too, and handed over as
Pillow pictures, the cheapest way it offers. The two take turns, so that both meet the same machine load; the first
turn of each warms up and is not counted. Not part of the test run.

With --logprobs K another engine then samples the same with K log-probabilities a token. With --probe the engine takes
another checkpoint's weights and answers 64 prompts once: what a step costs that is probed for the factor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

PROBE_ROWS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--max-prompt-tokens", type=int, default=512)
    parser.add_argument("--turns", type=int, default=4, help="counted turns of each")
    parser.add_argument("--logprobs", type=int, default=0, metavar="K", help="also with K log-probabilities a token")
    parser.add_argument("--probe", metavar="CKPT", help="also the cost of a probe, with this checkpoint's weights")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    from specs_verl.plugin import entry  # noqa: F401
    from specs_verl.sampling.engine import VllmEngine
    from specs_verl.sampling.parameters import Job, SamplingParameters

    parameters = SamplingParameters(
        n=args.n, max_tokens=args.max_tokens, max_prompt_tokens=args.max_prompt_tokens, seed=1
    )
    job = Job(args.model, (args.data,), "", parameters, args.rows)
    started = time.perf_counter(), time.process_time()
    engine = VllmEngine(args.model, parameters, job.engine, Path())
    print(f"new engine, imports included: {_since(started)}", flush=True)
    found = in_turns(args.turns, {"sampling": lambda: through_sampling(engine, job), "chat": lambda: chat(engine, job)})
    show(found, "sampling", "chat")
    if args.probe:
        asked = replace(job, rows=PROBE_ROWS, parameters=replace(parameters, n=1))
        started = time.perf_counter(), time.process_time()
        if not engine.take_weights(args.probe):
            raise SystemExit(f"{args.probe} differs from {args.model} in more than its weights.")
        print(f"weights taken in place: {_since(started)}")
        started = time.perf_counter(), time.process_time()
        engine.parameters = asked.parameters
        through_sampling(engine, asked)
        print(f"{PROBE_ROWS} prompts answered once: {_since(started)}", flush=True)
    if args.logprobs:
        engine.close()
        detailed = replace(job, parameters=replace(parameters, logprobs=args.logprobs))
        other = VllmEngine(args.model, detailed.parameters, job.engine, Path())
        name = f"{args.logprobs} log-probs"
        found |= in_turns(args.turns, {name: lambda: through_sampling(other, detailed)})
        show(found, name, "sampling")


Rates = dict[str, list[tuple[float, float]]]
"""Of every turn: tokens per second, and per processor second."""


def in_turns(turns: int, measured: dict[str, Callable[[], int]]) -> Rates:
    """What takes turns; the first turn of each is not counted."""
    rates: Rates = {name: [] for name in measured}
    for turn in range(turns + 1):
        for name, measure in measured.items():
            started, used = time.perf_counter(), time.process_time()
            tokens = measure()
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            speed = f"{tokens / wall:.0f} / s, {tokens / cpu:.0f} / processor second"
            print(f"turn {turn} {name:12} {tokens} tokens, {speed}", flush=True)
            if turn:
                rates[name].append((tokens / wall, tokens / cpu))
    return rates


def show(rates: Rates, one: str, other: str) -> None:
    """The ratio of two medians."""
    for number, unit in enumerate(("second", "processor second")):
        medians = [statistics.median(rate[number] for rate in rates[name]) for name in (one, other)]
        print(f"{one} / {other}, tokens per {unit}: {medians[0] / medians[1]:.3f}", flush=True)


def _since(started: tuple[float, float]) -> str:
    return f"{time.perf_counter() - started[0]:.1f} s, {time.process_time() - started[1]:.1f} processor seconds"


def through_sampling(engine: object, job: object) -> int:
    """All shards of a run, by the worker's own loop."""
    from specs_verl.files.rows import RowTable
    from specs_verl.sampling.store import SampleRun
    from specs_verl.sampling.supervisor import manifest_of
    from specs_verl.sampling.worker import Heartbeat, ShardRunner, unclaimed

    table = RowTable(job.data, job.rows)
    with tempfile.TemporaryDirectory() as folder:
        run = SampleRun(Path(folder))
        run.open(manifest_of(job, len(table)))
        shards = -(-len(table) // int(run.manifest["shard_rows"]))
        heartbeat = Heartbeat(Path(folder) / "claims" / "worker-0.json", os.getppid())
        ShardRunner(job, run, engine, table, heartbeat).run_shards(unclaimed(run, shards, 0))
        return run.summarise(0.0)["tokens"]


def chat(engine: object, job: object) -> int:
    """vllm.LLM.chat on the same engine."""
    import torch
    from vllm import SamplingParams as VllmParameters

    from data_prep.images import decode_image
    from specs_verl.files.rows import RowTable

    torch.manual_seed(1)
    conversations = []
    table = RowTable(job.data, job.rows)
    for index, row in table.slice(0, len(table)):
        decoded = [decode_image(image, table.file_of(index)) for image in row["images"]]
        images = [{"type": "image_pil", "image_pil": image} for image in decoded]
        text = row["prompt"][0]["content"].replace("<image>", "")
        conversations.append([{"role": "user", "content": [*images, {"type": "text", "text": text}]}])
    wanted = job.parameters
    parameters = VllmParameters(n=wanted.n, temperature=wanted.temperature, max_tokens=wanted.max_tokens)
    outputs = engine._llm.chat(conversations, parameters, use_tqdm=False, chat_template_content_format="openai")
    return sum(len(sample.token_ids) for output in outputs for sample in output.outputs)


if __name__ == "__main__":
    main()
