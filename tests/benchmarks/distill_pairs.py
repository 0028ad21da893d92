"""Seconds of reading, grading, judging, corrupting, pairing and writing, for generated samples (distill_world.py).

    python tests/benchmarks/distill_pairs.py                          # 100,000 responses, one process per core
    taskset -c 1 python tests/benchmarks/distill_pairs.py --workers 1
    python tests/benchmarks/distill_pairs.py --prompts 500 --profile profile.txt --workers 1

Prints wall time and processor time, the latter of all processes together: of this one, its grading processes and the
symbolic workers of reward_fns. Not part of the test run.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import tempfile
import time
from pathlib import Path

import psutil
from distill_world import BASE, ZERO, write_prompts, write_run

from specs_verl.distill import Distillation, Pairing, distill


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=6250)
    parser.add_argument("--n", type=int, default=8, help="samples per prompt and source")
    parser.add_argument("--image-size", type=int, default=48, help="pixels per side")
    parser.add_argument("--workers", type=int)
    parser.add_argument(
        "--profile", metavar="FILE", help="write a profile of the driver, which grades with --workers 1"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prompts = folder / "prompts.parquet"
        write_prompts(prompts, args.prompts, args.image_size)
        write_run(folder / "zero", prompts, args.prompts, args.n, ZERO, seed=1)
        write_run(folder / "base", prompts, args.prompts, args.n, BASE, seed=2)
        sources = (str(folder / "zero"), str(folder / "base"))
        job = Distillation((str(prompts),), *sources, str(folder / "out"), Pairing(), workers=args.workers)
        steps: dict[str, float] = {}
        before, started = processor_seconds(), time.monotonic()

        def on_progress(step: str, done: int, total: int) -> None:
            if done == total:
                steps[step] = round(time.monotonic() - started, 1)

        profiler = cProfile.Profile()
        if args.profile:
            profiler.enable()
        report = distill(job, on_progress)
        profiler.disable()
        wall = time.monotonic() - started
    responses = 2 * args.prompts * args.n
    print(f"{responses} responses -> {report['pairs']} pairs: {wall:.1f} s; finished after: {steps}")
    print(f"processor seconds of all processes: {processor_seconds() - before:.1f}")
    if args.profile:
        with open(args.profile, "w") as file:
            pstats.Stats(profiler, stream=file).sort_stats("cumulative").print_stats(60)


def processor_seconds() -> float:
    """Of this process, of its children that have ended, and of its descendants that still run; user and system mode."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    alive = sum(times.user + times.system + times.children_user + times.children_system for times in running)
    return alive + sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
