"""One sampling process: one engine, shard after shard. Started by supervisor.py, not by people.

    python -m specs_verl.sampling.worker PLAN.json RANK

A shard is claimed by creating a file that must not exist yet, so any number of workers share the shards of a job. The
worker ends by itself when its supervisor is gone.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from specs_verl.sampling.engine import Engine, Finished
from specs_verl.sampling.parameters import Job
from specs_verl.sampling.prompts import PromptError
from specs_verl.sampling.rows import RowTable, row_id
from specs_verl.sampling.store import SampleRun, write_json

WAITING = 3
"""Sequences queued per sequence that is decoded: enough that the engine never idles, few enough to bound memory."""

BEAT_SECONDS = 0.4

DRAINING = -1
"""Fed instead of a row while the shard before must finish first."""


@dataclass
class ShardWork:
    """A shard under way."""

    shard: int
    samples: list[dict[str, object]] = field(default_factory=list)
    skipped: list[dict[str, object]] = field(default_factory=list)
    waiting: int = 0
    """Rows whose samples are not there yet."""

    all_rows_read: bool = False


class OrphanedError(RuntimeError):
    """The supervisor has died; nobody would see what this worker does."""


class Heartbeat:
    """Tells the supervisor what the worker is doing, twice a second."""

    def __init__(self, path: Path, parent: int) -> None:
        self._path = path
        self._parent = parent
        self._last = 0.0
        self.stage = "loading"
        self.tokens = 0
        self.samples = 0
        self.partial_samples = 0

    def beat(self, now: bool = False) -> None:
        """Write the state, unless it was written just now."""
        moment = time.monotonic()
        if not now and moment - self._last < BEAT_SECONDS:
            return
        self._last = moment
        if os.getppid() != self._parent:
            raise OrphanedError("The supervisor is gone.")
        state = {"stage": self.stage, "tokens": self.tokens, "samples": self.samples}
        write_json(self._path, {**state, "partial_samples": self.partial_samples})


def seed_of(*parts: int) -> int:
    """A 31-bit seed from the run's seed and a position, the same on every machine."""
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF


def unclaimed(run: SampleRun, shards: int, rank: int) -> Iterator[int]:
    """Shards that are neither complete nor taken by another worker, claimed one by one."""
    for shard in range(shards):
        if run.shard_path(shard).exists():
            continue
        try:
            descriptor = os.open(run.path / "claims" / f"shard-{shard:05d}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            continue
        os.write(descriptor, str(rank).encode())
        os.close(descriptor)
        yield shard


class ShardRunner:
    """Feeds an engine with the rows of claimed shards and writes each shard when its last sample is there."""

    def __init__(self, job: Job, run: SampleRun, engine: Engine, table: RowTable, heartbeat: Heartbeat) -> None:
        self._job, self._run, self._engine, self._table, self._heartbeat = job, run, engine, table, heartbeat
        self._manifest = run.manifest
        self._in_flight: dict[str, tuple[ShardWork, dict[str, object]]] = {}

    def run_shards(self, shards: Iterator[int]) -> None:
        """Sample all shards that the iterator gives."""
        n = self._job.parameters.n
        feed = self._feed(shards)
        exhausted = False
        while True:
            while not exhausted and len(self._in_flight) * n < WAITING * self._engine.capacity:
                fed = next(feed, None)
                exhausted = fed is None
                if fed == DRAINING:
                    break
            if not self._in_flight:
                if exhausted:
                    break
                continue
            for finished in self._engine.step():
                self._take(finished)
            self._heartbeat.beat()

    def _feed(self, shards: Iterator[int]) -> Iterator[int]:
        """Add one row to the engine at every step of this generator; yields the row's index."""
        rows = int(self._manifest["shard_rows"])
        parameters = self._job.parameters
        for shard in shards:
            work = ShardWork(shard)
            if not self._engine.seeds_per_request:
                # The shard is one random stream: it starts when nothing else draws from it.
                while self._in_flight:
                    yield DRAINING
                self._engine.reseed(seed_of(parameters.seed, 0, shard))
            for index, row in self._table.slice(shard * rows, (shard + 1) * rows):
                seed = seed_of(parameters.seed, 1, index) if self._engine.seeds_per_request else None
                self._add(work, index, row, seed)
                self._heartbeat.beat()
                yield index
            work.all_rows_read = True
            self._finish_if_complete(work)

    def _add(self, work: ShardWork, index: int, row: dict[str, object], seed: int | None) -> None:
        identity = {"row": index, "row_id": row_id(index, row)}
        try:
            prompt = self._engine.build(row, self._table.file_of(index))
            self._engine.add(str(index), prompt, seed)
        except PromptError as error:
            reason = f"{self._table.file_of(index)}, row {index}: {error}"
            work.skipped.append({**identity, "kind": error.kind, "reason": reason})
            print(f"skipped: {reason}", file=sys.stderr, flush=True)
            return
        work.waiting += 1
        self._in_flight[str(index)] = (work, {**identity, "prompt_tokens": prompt.n_tokens})

    def _take(self, finished: Finished) -> None:
        work, identity = self._in_flight.pop(finished.key)
        for sample in finished.samples:
            work.samples.append({**identity, **asdict(sample), "model": self._manifest["model_fingerprint"]})
        work.waiting -= 1
        self._heartbeat.tokens += sum(sample.n_tokens for sample in finished.samples)
        self._heartbeat.samples += len(finished.samples)
        self._heartbeat.partial_samples += len(finished.samples)
        self._finish_if_complete(work)

    def _finish_if_complete(self, work: ShardWork) -> None:
        if work.all_rows_read and work.waiting == 0:
            refused = [row for row in work.skipped if row["kind"] == "refused_by_engine"]
            if refused and not work.samples:
                raise RuntimeError(
                    f"The engine refuses every row of shard {work.shard}; the first: {refused[0]['reason']}"
                )
            self._run.write_shard(work.shard, work.samples, work.skipped)
            self._heartbeat.partial_samples -= len(work.samples)
            self._heartbeat.beat(now=True)


class Engines:
    """The engine of the current job; the one before is kept when only sampling parameters differ."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._engine: Engine | None = None

    def get(self, job: Job) -> Engine:
        """An engine for a job, loaded unless the last one fits."""
        wanted = job.parameters
        lengths = (wanted.max_tokens, wanted.max_prompt_tokens, wanted.system_prompt, wanted.instruction)
        key = (job.model, job.engine, *lengths)
        if self._engine is None or key != self._key:
            if self._engine is not None:
                self._engine.close()
            module, _, name = job.engine.engine.partition(":")
            self._engine = getattr(importlib.import_module(module), name)(job.model, wanted, job.engine)
            self._key = key
        self._engine.parameters = wanted
        return self._engine


def run_plan(plan: dict[str, object], rank: int) -> None:
    """Go through the jobs of a plan, each with its own checkpoint."""
    engines = Engines()
    for values in plan["jobs"]:
        job = Job.from_dict(values)
        run = SampleRun(Path(job.out))
        table = RowTable(job.data, job.rows)
        heartbeat = Heartbeat(run.path / "claims" / f"worker-{rank}.json", plan["parent"])
        shard_rows = int(run.manifest["shard_rows"])
        shards = unclaimed(run, -(-len(table) // shard_rows), rank)
        first = next(shards, None)
        if first is None:
            continue
        heartbeat.beat(now=True)
        engine = engines.get(job)
        heartbeat.stage = "sampling"
        heartbeat.beat(now=True)
        ShardRunner(job, run, engine, table, heartbeat).run_shards(chain([first], shards))
        heartbeat.stage = "done"
        heartbeat.beat(now=True)


def main(arguments: list[str]) -> int:
    """Entry point of the process."""
    plan = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    rank = int(arguments[1])
    cores = plan["cores"][rank]
    if cores:
        os.sched_setaffinity(0, cores)
    # Registers the CPU platform where it is in use, exactly as in a verl process; must come before vLLM is imported.
    from specs_verl import plugin  # noqa: F401

    try:
        run_plan(plan, rank)
    except OrphanedError:
        return 3
    sys.stdout.flush()
    sys.stderr.flush()
    # vLLM's and triton's tear-down at interpreter exit costs seconds and prints leak reports; everything is on disk.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
