"""Peak memory of a cold-start run against the number of pairs: it must not grow with the data.

    python tests/benchmarks/cold_start_memory.py --folder /tmp/cold_start_memory        # about 6 minutes on one core

Every run is a whole epoch in a process of its own: pairs with one picture each, different from all others, reference
log-probabilities, training, export. The model is tiny, so that what is seen is what the data takes. Exit code 1 when
the largest run takes more than 1 GiB beyond the smallest.
"""

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "cold_start")]
import tiny_vlm as tiny  # noqa: E402

CHUNK = 100  # rows made and written at one time


def make_pairs(file: Path, count: int, edge: int) -> Path:
    """Write `count` pairs with a picture of its own each, unless the file is there."""
    if file.exists():
        return file
    draft, writer = file.with_suffix(".draft"), None
    for start in range(0, count, CHUNK):
        numbers = range(start, min(count, start + CHUNK))
        rows = [dict(tiny.row(n), images=[{"bytes": tiny.png(edge, edge, n), "path": None}]) for n in numbers]
        table = pq.read_table(tiny.write_pairs(file.with_suffix(".part"), rows))
        writer = writer or pq.ParquetWriter(draft, table.schema)
        writer.write_table(table)
    writer.close()
    file.with_suffix(".part").unlink()
    return draft.rename(file)


def peak(model: Path, pairs: Path, out: Path) -> int:
    """Peak resident set of one run, in bytes."""
    command = [sys.executable, "-m", "specs_verl.cold_start", "+specs=nano_cold_start"]
    command += [f"model.path={model}", f"data.train_files={pairs}", f"trainer.default_local_dir={out}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VERL_PLATFORM": "cpu", "SPECS_CACHE": str(out / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/cold_start_memory"))
    parser.add_argument("--pairs", type=int, nargs="+", default=[50, 500, 5000], help="in rising order")
    parser.add_argument("--edge", type=int, default=224, help="of the pictures, in pixels")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    model = tiny.make_model(arguments.folder / "model")
    peaks = []
    for count in arguments.pairs:  # the maximum over all children so far is that of the last, if memory grows at all
        file = make_pairs(arguments.folder / f"{count}.parquet", count, arguments.edge)
        out = arguments.folder / f"out-{count}"
        subprocess.run(["rm", "-rf", str(out)], check=True)
        peaks.append(peak(model, file, out))
        size = file.stat().st_size / 2**20
        print(f"{count:6} pairs, {size:7.1f} MiB on disk: peak {peaks[-1] / 2**30:.2f} GiB", flush=True)
    growth = (peaks[-1] - peaks[0]) / 2**30
    print(f"growth from {arguments.pairs[0]} to {arguments.pairs[-1]} pairs: {growth:.2f} GiB (goal: below 1)")
    sys.exit(growth > 1)


if __name__ == "__main__":
    main()
