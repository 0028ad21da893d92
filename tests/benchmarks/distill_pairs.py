"""How fast are grading and pairing, and does memory stay flat? Synthetic samples, no model.

    python tests/benchmarks/distill_pairs.py --prompts 6250 --n 8          # 2 x 50,000 responses
    python tests/benchmarks/distill_pairs.py --prompts 86000 --n 8 --image-kilobytes 60

Half of the answers are numbers, half fractions and expressions for the symbolic tier. Prints seconds and the
peak memory of the driver and of its workers. Not part of the test run.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep import schema
from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.sampling.fingerprint import data_fingerprint
from specs_verl.sampling.store import SampleRun

ROWS_PER_SHARD = 64


def truth(index: int) -> str:
    """An integer, a fraction or an expression."""
    return (
        str(index % 997)
        if index % 2
        else (rf"\frac{{{index % 91 + 2}}}{{7}}" if index % 4 else rf"{index % 31} \sqrt{{3}}")
    )


def response(index: int, rng: random.Random, well_formed: float) -> str:
    """Some reasoning and an answer, right in six of ten cases."""
    answer = truth(index) if rng.random() < 0.6 else truth(index + 4)
    steps = " ".join(f"Step {i}: the value of x_{i} is {rng.randint(1, 99)}." for i in range(rng.randint(4, 30)))
    thought = f"{steps} So the result is ${answer}$."
    stated = rf"The answer is $\boxed{{{answer}}}$"
    if rng.random() < well_formed:
        return f"<think> {thought} </think><answer> {stated}</answer>"
    return f"{thought} {stated}"


def write_prompts(path: Path, count: int, image_bytes: int) -> None:
    """Rows with incompressible bytes in the place of images."""
    rng = random.Random(0)
    with pq.ParquetWriter(path, schema.SCHEMA) as writer:
        for start in range(0, count, 256):
            rows = []
            for index in range(start, min(count, start + 256)):
                graded = schema.grading_columns(truth(index), "math")
                rows.append(
                    {
                        "data_source": f"bench_{index % 3}",
                        "prompt": [{"role": "user", "content": f"<image>Question {index}?"}],
                        "images": [{"bytes": rng.randbytes(image_bytes), "path": None}],
                        "ability": "math",
                        "reward_model": graded["reward_model"],
                        "extra_info": {"index": index, "split": "train", "id": str(index), **graded["extra_info"]},
                    }
                )
            writer.write_table(pa.Table.from_pylist(rows, schema=schema.SCHEMA))


def write_run(path: Path, prompts: Path, count: int, n: int, well_formed: float, seed: int) -> None:
    """A complete sampling run."""
    run = SampleRun(path)
    path.mkdir()
    run.open(
        {
            "format": 1,
            "parameters": {"n": n},
            "model": path.name,
            "model_fingerprint": path.name,
            "data": [str(prompts)],
            "data_fingerprint": data_fingerprint([prompts]),
            "rows": count,
            "shard_rows": ROWS_PER_SHARD,
            "versions": {},
        }
    )
    rng = random.Random(seed)
    for shard in range(-(-count // ROWS_PER_SHARD)):
        samples = [
            {
                "row": index,
                "row_id": str(index),
                "sample": number,
                "response": response(index, rng, well_formed),
                "finish_reason": "stop",
                "n_tokens": 100,
                "prompt_tokens": 100,
                "n_vision_tokens": 0,
                "model": path.name,
            }
            for index in range(shard * ROWS_PER_SHARD, min(count, (shard + 1) * ROWS_PER_SHARD))
            for number in range(n)
        ]
        run.write_shard(shard, samples, [])
    run.summarise(0.0)


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=6250)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--image-kilobytes", type=int, default=4)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompts = folder / "prompts.parquet"
        write_prompts(prompts, args.prompts, args.image_kilobytes * 1024)
        write_run(folder / "zero", prompts, args.prompts, args.n, 0.95, seed=1)
        write_run(folder / "base", prompts, args.prompts, args.n, 0.4, seed=2)
        started, steps = time.monotonic(), {}

        def on_progress(step: str, done: int, total: int) -> None:
            if done == total:
                steps[step] = round(time.monotonic() - started, 1)

        job = Distillation(
            (str(prompts),),
            str(folder / "zero"),
            str(folder / "base"),
            str(folder / "out"),
            Pairing(),
            workers=args.workers,
        )
        report = distill(job, on_progress)
        seconds = time.monotonic() - started
    peak = {who: resource.getrusage(kind).ru_maxrss / 2**20 for who, kind in
            (("driver", resource.RUSAGE_SELF), ("largest worker", resource.RUSAGE_CHILDREN))}  # fmt: skip
    print(
        f"{2 * args.prompts * args.n} responses -> {report['pairs']} pairs in {seconds:.1f} s (finished after: {steps})"
    )
    print("peak memory, GiB: " + ", ".join(f"{who} {value:.2f}" for who, value in peak.items()))


if __name__ == "__main__":
    main()
