"""Tokens per second of specs_verl.sampling against vllm.LLM.chat: same checkpoint, prompts, images and engine.

    python tests/benchmarks/distill_sampling.py --model CKPT --data train.parquet --rows 400 --n 8

The two take turns, so that both meet the same machine load; the first turn of each warms up and is not counted.
LLM.chat gets the images as decoded pictures, which is the cheapest way it offers. Not part of the test run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

TURNS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=160)
    args = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    from specs_verl import plugin  # noqa: F401
    from specs_verl.sampling.engine import VllmEngine
    from specs_verl.sampling.parameters import EngineSettings, SamplingParameters

    parameters = SamplingParameters(n=args.n, max_tokens=args.max_tokens, max_prompt_tokens=512, seed=1)
    engine = VllmEngine(args.model, parameters, EngineSettings(), Path())
    rates: dict[str, list[float]] = {"sampling": [], "chat": []}
    for turn in range(TURNS + 1):
        for name, measure in (("sampling", through_sampling), ("chat", through_chat)):
            started, used = time.perf_counter(), time.process_time()
            tokens = measure(engine, args)
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            print(f"turn {turn} {name:8s} {tokens} tokens, {tokens / wall:.0f} / s, {tokens / cpu:.0f} / CPU second")
            if turn:
                rates[name].append(tokens / cpu)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"sampling / chat, tokens per CPU second: {medians['sampling'] / medians['chat']:.3f}")


def through_sampling(engine: object, args: argparse.Namespace) -> int:
    """The worker's own loop over one shard."""
    from specs_verl.sampling.rows import RowTable

    engine.reseed(1)
    tokens = 0
    rows = iter(RowTable((args.data,), limit=args.rows).slice(0, args.rows))
    waiting = 0
    exhausted = False
    while not exhausted or engine.busy:
        while not exhausted and waiting * args.n < 3 * engine.capacity:
            index, row = next(rows, (None, None))
            if index is None:
                exhausted = True
                break
            engine.add(str(index), engine.build(row, Path(args.data)), None, args.n)
            waiting += 1
        for finished in engine.step():
            waiting -= 1
            tokens += sum(sample.n_tokens for sample in finished.samples)
    return tokens


def through_chat(engine: object, args: argparse.Namespace) -> int:
    """vllm.LLM.chat on the same engine."""
    import torch
    from vllm import SamplingParams as VllmParameters

    from data_prep.images import decode_image
    from specs_verl.sampling.rows import RowTable

    torch.manual_seed(1)
    conversations = []
    for _, row in RowTable((args.data,), limit=args.rows).slice(0, args.rows):
        images = [{"type": "image_pil", "image_pil": decode_image(image, Path(args.data))} for image in row["images"]]
        text = row["prompt"][0]["content"].replace("<image>", "")
        conversations.append([{"role": "user", "content": [*images, {"type": "text", "text": text}]}])
    parameters = VllmParameters(n=args.n, temperature=1.0, max_tokens=args.max_tokens)
    outputs = engine._llm.chat(conversations, parameters, use_tqdm=False, chat_template_content_format="openai")
    return sum(len(sample.token_ids) for output in outputs for sample in output.outputs)


if __name__ == "__main__":
    main()
