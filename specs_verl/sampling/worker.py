"""One sampling process: one engine, shard after shard. Started by local_workers.py, not by people.

    python -m specs_verl.sampling.worker PLAN.json RANK

A shard is claimed by creating a file that must not exist yet, so any number of workers share the shards of a job. The
worker ends by itself when its supervisor is gone. ray_workers.py runs the same in an actor, which Ray ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from data_prep.files import write_json
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable, row_id
from specs_verl.sampling.engine import Engine, Finished, Sample
from specs_verl.sampling.engines import Engines
from specs_verl.sampling.exit_codes import HOPELESS, ORPHANED
from specs_verl.sampling.parameters import Job
from specs_verl.sampling.prompts import Prompt, PromptError
from specs_verl.sampling.stopping import predicate
from specs_verl.sampling.store import SampleRun
from specs_verl.sampling.usable import unusable

WAITING = 3
"""Sequences queued per sequence that is decoded: enough that the engine never idles, few enough to bound memory."""

BEAT_SECONDS = 0.4

ASKING_THREADS = 4
"""Threads that ask stopping rules."""

FAULT_OF_ENGINE = ("refused_by_engine", "request_failed")
"""Kinds of skipped rows that, when a shard has no others, mean that the engine is broken and not the rows."""

SUSPICIOUS_ROWS = 8
"""So many at least: the last shard of a run may have a single row, and that row may be at fault."""

DRAINING = -1
"""Fed instead of a row while the shard before must finish first."""


@dataclass
class ShardWork:
    """A shard under way."""

    shard: int
    samples: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0
    """Rows whose samples are not there yet."""

    all_rows_read: bool = False
    rows_done: int = 0


class OrphanedError(RuntimeError):
    """The supervisor has died; nobody would see what this worker does."""


class Heartbeat:
    """Tells the supervisor what the worker is doing, twice a second."""

    def __init__(self, path: Path, parent: int | None) -> None:
        self._path = path
        self._parent = parent
        self._last = 0.0
        self.stage = "loading"
        self.tokens = 0
        self.rows = 0

    def beat(self, now: bool = False) -> None:
        """Write the state, unless it was written just now."""
        moment = time.monotonic()
        if not now and moment - self._last < BEAT_SECONDS:
            return
        self._last = moment
        if self._parent is not None and os.getppid() != self._parent:
            raise OrphanedError("The supervisor is gone.")
        # Rows finished in shards that are not written yet; the others can be counted on disk.
        write_json(self._path, {"stage": self.stage, "tokens": self.tokens, "unwritten_rows": self.rows}, durable=False)


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


@dataclass
class RowWork:
    """A row whose samples are being drawn."""

    shard: ShardWork
    index: int
    row: dict[str, Any]
    identity: dict[str, Any]
    prompt: Prompt
    samples: list[Sample] = field(default_factory=list)
    failed: int = 0
    failure: str | None = None


class ShardRunner:
    """Feeds an engine with the rows of claimed shards and writes each shard when its last sample is there."""

    def __init__(self, job: Job, run: SampleRun, engine: Engine, table: RowTable, heartbeat: Heartbeat) -> None:
        self._job, self._run, self._engine, self._table, self._heartbeat = (
            job,
            run,
            engine,
            table,
            heartbeat,
        )
        self._manifest = run.manifest
        self._enough = predicate(job.parameters.until) if job.parameters.until else None
        self._in_flight: dict[str, RowWork] = {}
        # Stopping rules grade, which may take seconds for a single answer: the engine goes on meanwhile.
        self._asking: dict[Future[bool], RowWork] = {}
        self._threads = ThreadPoolExecutor(ASKING_THREADS, thread_name_prefix="enough")

    def run_shards(self, shards: Iterator[int]) -> None:
        """Sample all shards that the iterator gives."""
        n = self._job.parameters.n
        feed = self._feed(shards)
        exhausted = False
        while True:
            while not exhausted and self._open_rows * n < WAITING * self._engine.capacity:
                fed = next(feed, None)
                exhausted = fed is None
                if fed == DRAINING:
                    break
            if not self._open_rows:
                if exhausted:
                    break
                continue
            if self._in_flight:
                for finished in self._engine.step():
                    self._take(finished)
            else:
                wait(self._asking, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
            for answered in [future for future in self._asking if future.done()]:
                self._after_stopping_rule(answered)
            self._heartbeat.beat()

    @property
    def _open_rows(self) -> int:
        """Rows that wait for samples, or for the word whether they have enough."""
        return len(self._in_flight) + len(self._asking)

    def _feed(self, shards: Iterator[int]) -> Iterator[int]:
        """Add one row to the engine at every step of this generator; yields the row's index."""
        rows = int(self._manifest["shard_rows"])
        for shard in shards:
            work = ShardWork(shard)
            careful = self._run.is_suspect(shard)
            # A shard without seeds per request is one random stream: it starts when nothing else draws from it.
            while self._open_rows and (careful or not self._engine.seeds_per_request):
                yield DRAINING
            if not self._engine.seeds_per_request:
                self._engine.reseed(seed_of(self._job.parameters.seed, 0, shard))
            broken = self._run.broken_rows(shard)
            for index, row in self._table.slice(shard * rows, (shard + 1) * rows):
                if index in broken:
                    identity = {"row": index, "row_id": row_id(index, row)}
                    self._skip(work, identity, "breaks_engine", "the engine died of this row twice")
                    continue
                if careful:
                    self._run.note_trying(shard, index)
                self._start(work, index, row)
                self._heartbeat.beat()
                yield index
                while careful and self._open_rows:
                    yield DRAINING
            work.all_rows_read = True
            self._finish_if_complete(work)

    def _start(self, shard: ShardWork, index: int, row: dict[str, Any]) -> None:
        identity = {"row": index, "row_id": row_id(index, row)}
        try:
            prompt = self._engine.build(row, self._table.file_of(index))
            work = RowWork(shard, index, row, {**identity, "prompt_tokens": prompt.n_tokens}, prompt)
            self._draw(work)
        except PromptError as error:
            self._skip(shard, identity, error.kind, str(error))
            return
        shard.waiting += 1

    def _draw(self, work: RowWork) -> None:
        """Ask for the next n samples of a row, fewer where `max_samples` is near."""
        parameters = self._job.parameters
        drawn = len(work.samples)
        n = min(parameters.n, (parameters.max_samples or parameters.n) - drawn)
        seed = seed_of(parameters.seed, 1, work.index, drawn) if self._engine.seeds_per_request else None
        self._engine.add(str(work.index), work.prompt, seed, n)
        self._in_flight[str(work.index)] = work

    def _skip(
        self, shard: ShardWork, identity: dict[str, Any], kind: str, message: str, samples: int | None = None
    ) -> None:
        """Note a row without samples or, with `samples`, how many of a row's samples are missing."""
        reason = f"{self._table.file_of(identity['row'])}, row {identity['row']}: {message}"
        entry = {"row": identity["row"], "row_id": identity["row_id"], "kind": kind, "reason": reason}
        shard.skipped.append(entry if samples is None else {**entry, "samples": samples})
        print(f"skipped: {reason}", file=sys.stderr, flush=True)

    def _take(self, finished: Finished) -> None:
        work = self._in_flight.pop(finished.key)
        self._heartbeat.tokens += sum(sample.n_tokens for sample in finished.samples)
        drawn = len(work.samples)
        work.samples += [replace(sample, sample=drawn + number) for number, sample in enumerate(finished.samples)]
        work.failed += finished.failed
        work.failure = work.failure or finished.failure
        # A request that failed altogether is not repeated: the engine has tried often enough.
        gave_up = finished.failed and not finished.samples
        if self._enough is None or gave_up or len(work.samples) >= (self._job.parameters.max_samples or 0):
            self._close(work)
            return
        usable = [s.response for s in work.samples if unusable(s.response, s.finish_reason, s.n_vision_tokens) is None]
        if usable:
            self._asking[self._threads.submit(self._enough, work.row, usable)] = work
        else:
            self._draw(work)

    def _after_stopping_rule(self, answered: Future[bool]) -> None:
        """Draw more samples of a row, or close it, now that its stopping rule has spoken."""
        work = self._asking.pop(answered)
        try:
            enough = answered.result()
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._table.file_of(work.index)}, row {work.index}: the stopping rule {self._job.parameters.until} "
                f"cannot judge it: {error.args[0] if error.args else error} Fix the row, or leave it out."
            ) from error
        if enough:
            self._close(work)
        else:
            self._draw(work)

    def _close(self, work: RowWork) -> None:
        """All samples of a row are there."""
        why = work.failure or "no reason given"
        if work.failed and not work.samples:
            self._skip(work.shard, work.identity, "request_failed", why)
        elif work.failed:
            self._skip(
                work.shard, work.identity, "sample_failed", work.failure or "no reason given", samples=work.failed
            )
        shard = work.shard
        shard.samples += [
            {**work.identity, **asdict(sample), "model": self._manifest["model_fingerprint"]} for sample in work.samples
        ]
        shard.waiting -= 1
        self._heartbeat.rows += 1
        shard.rows_done += 1
        self._finish_if_complete(shard)

    def _finish_if_complete(self, shard: ShardWork) -> None:
        if shard.all_rows_read and shard.waiting == 0:
            refused = [entry for entry in shard.skipped if entry["kind"] in FAULT_OF_ENGINE]
            if len(refused) >= SUSPICIOUS_ROWS and not shard.samples:
                raise RuntimeError(
                    f"The engine refuses every row of shard {shard.shard}; the first: {refused[0]['reason']}"
                )
            self._run.write_shard(shard.shard, shard.samples, shard.skipped)
            self._heartbeat.rows -= shard.rows_done
            self._heartbeat.beat(now=True)


def run_plan(plan: dict[str, Any], rank: int) -> None:
    """Go through the jobs of a plan, each with its own checkpoint."""
    engines = Engines()
    for values in plan["jobs"]:
        job = Job.from_dict(values)
        run = SampleRun(Path(job.out))
        table = RowTable(job.data, job.rows)
        heartbeat = Heartbeat(run.path / "claims" / f"worker-{rank}.json", plan["parent"])
        shards = unclaimed(run, run.n_shards, rank)
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
    engines.close()


def work(plan: dict[str, Any], rank: int) -> int:
    """Go through a plan; the exit code (exit_codes.py)."""
    # Registers the CPU platform where it is in use, exactly as in a verl process; must come before vLLM is imported.
    from specs_verl.plugin import entry  # noqa: F401

    try:
        run_plan(plan, rank)
    except OrphanedError:
        return ORPHANED
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return HOPELESS
    return 0


def main(arguments: list[str]) -> int:
    """Entry point of the process."""
    plan = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    rank = int(arguments[1])
    cores = plan["cores"][rank]
    if cores:
        os.sched_setaffinity(0, cores)
    code = work(plan, rank)
    if code:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    # vLLM's and triton's tear-down at interpreter exit costs seconds and prints leak reports; everything is on disk.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
