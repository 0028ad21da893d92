"""Tokens per second of specs_verl.sampling against vllm.LLM.chat: same checkpoint, prompts, images, engine and process.

    python tests/benchmarks/distill_sampling.py --model CKPT --data train.parquet --rows 400 --n 8

`sampling` is what a worker does: rows from the parquet, prompts, images, requests, text from tokens, shards on disk.
`chat` is LLM.chat with all conversations at once; its images are decoded from the parquet too, and handed over as
Pillow pictures, the cheapest way it offers. The two take turns, so that both meet the same machine load; the first
turn of each warms up and is not counted. Not part of the test run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path


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
    engine = VllmEngine(args.model, parameters, job.engine, Path())
    rates: dict[str, list[tuple[float, float]]] = {"sampling": [], "chat": []}
    for turn in range(args.turns + 1):
        for name, measure in (("sampling", through_sampling), ("chat", through_chat)):
            started, used = time.perf_counter(), time.process_time()
            tokens = measure(engine, job)
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            print(
                f"turn {turn} {name:8} {tokens} tokens, {tokens / wall:.0f} / s, {tokens / cpu:.0f} / processor second",
                flush=True,
            )
            if turn:
                rates[name].append((tokens / wall, tokens / cpu))
    for number, unit in enumerate(("second", "processor second")):
        medians = {name: statistics.median(rate[number] for rate in turns) for name, turns in rates.items()}
        print(f"sampling / chat, tokens per {unit}: {medians['sampling'] / medians['chat']:.3f}")


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


def through_chat(engine: object, job: object) -> int:
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
