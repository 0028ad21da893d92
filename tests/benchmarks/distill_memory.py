"""Does memory stay flat? Peak resident set of sampling and of distilling, for more and more rows with images.

    python tests/benchmarks/distill_memory.py                      # 5,000, 20,000, 86,000 rows x 8 samples x 2 sources
    python tests/benchmarks/distill_memory.py --rows 1000 4000 --n 4

Every measurement is a process of its own on generated data (distill_world.py); its peak is the largest sum of the
resident sets of the process and all its descendants, looked at ten times a second (pages that processes share count
several times). Sampling runs on a fake engine (tests/sampling/fake_engine.py): rows, images and shards are real.
Needs about 1.5 GB of disk per 10,000 rows at 8 samples. Not part of the test run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent
GIB = 1 << 30


def main() -> None:
    """One process per measurement, one line per number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 20_000, 86_000])
    parser.add_argument("--n", type=int, default=8, help="samples per prompt and source")
    parser.add_argument("--image-size", type=int, default=48, help="pixels per side, about 1.5 bytes each")
    parser.add_argument("--folder", help="where the data goes (default: the temporary directory)")
    parser.add_argument("--workers", type=int, default=2, help="grading processes")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, folder = args.child
        print(json.dumps(CHILDREN[what](Path(folder), args)))
        return
    columns = ("rows", "file, GB", "responses", "sampling, GiB", "s", "distilling, GiB", "s", "driver, GiB", "pairs")
    print(" ".join(f"{column:>16}" for column in columns))
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            done = {what: child(what, folder, rows, args) for what in CHILDREN}
        sampling, distilling = done["sample"], done["distill"]
        values = (
            *(f"{rows}", f"{done['make']['gigabytes']:.2f}", f"{2 * rows * args.n}"),
            *(f"{sampling['gib']:.2f}", f"{sampling['seconds']:.0f}"),
            *(f"{distilling['gib']:.2f}", f"{distilling['seconds']:.0f}", f"{distilling['driver_gib']:.2f}"),
            f"{distilling['pairs']}",
        )
        print(" ".join(f"{value:>16}" for value in values), flush=True)


def child(what: str, folder: str, rows: int, args: argparse.Namespace) -> dict[str, float]:
    """Run one part in a fresh interpreter."""
    command = [sys.executable, __file__, "--child", what, folder, "--rows", str(rows), "--n", str(args.n)]
    command += ["--image-size", str(args.image_size), "--workers", str(args.workers)]
    paths = [str(HERE), str(HERE.parent / "sampling"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def make(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Prompts and two finished sampling runs."""
    from distill_world import BASE, ZERO, write_prompts, write_run

    prompts = folder / "prompts.parquet"
    write_prompts(prompts, args.rows[0], args.image_size)
    for seed, (name, rates) in enumerate((("zero", ZERO), ("base", BASE))):
        write_run(folder / name, prompts, args.rows[0], args.n, rates, seed)
    return {"gigabytes": prompts.stat().st_size / 1e9}


def sample(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Sampling with a fake engine that decodes the images, as real ones do, and keeps nothing."""
    from specs_verl.sampling import EngineSettings, Job, SamplingParameters
    from specs_verl.sampling import sample as run_sampling

    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (checkpoint / name).write_text("{}")
    settings = EngineSettings(engine="fake_engine:DecodingEngine", workers=1)
    parameters = SamplingParameters(n=args.n)
    job = Job(str(checkpoint), (str(folder / "prompts.parquet"),), str(folder / "sampled"), parameters, engine=settings)
    with Peak() as peak:
        run_sampling(job)
    return peak.report()


def distill(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Grading, pairing and writing."""
    from specs_verl.distill import Distillation, Pairing
    from specs_verl.distill import distill as run_distillation

    sources = (str(folder / "zero"), str(folder / "base"))
    prompts = (str(folder / "prompts.parquet"),)
    with Peak() as peak:
        report = run_distillation(Distillation(prompts, *sources, str(folder / "out"), Pairing(), workers=args.workers))
    return {**peak.report(), "pairs": report["pairs"]}


CHILDREN = {"make": make, "sample": sample, "distill": distill}


class Peak:
    """The largest resident set of this process and its descendants while a block runs."""

    def __enter__(self) -> Peak:
        self._largest = self._driver = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._started
        self._ended.set()
        self._thread.join()

    def _now(self) -> tuple[int, int]:
        driver = psutil.Process()
        own = total = driver.memory_info().rss
        for process in driver.children(recursive=True):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total, own

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            total, own = self._now()
            self._largest, self._driver = max(self._largest, total), max(self._driver, own)

    def report(self) -> dict[str, float]:
        """GiB and seconds."""
        return {"gib": self._largest / GIB, "driver_gib": self._driver / GIB, "seconds": self.seconds}


if __name__ == "__main__":
    main()
