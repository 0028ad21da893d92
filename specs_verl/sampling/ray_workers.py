"""Sampling workers as Ray actors, one engine each, on all nodes of a cluster: `--engine ray`.

    with RayWorkers(plan, shards=40) as workers:
        worker = workers.start(rank=0, log=Path("out/logs/worker-0.log"))

Each actor runs what a worker process runs on one machine (worker.py): it claims shards in the run's folder and writes
them, whole or not at all. So a cluster job that is killed, with or without its nodes, goes on where it was, also with
another number of nodes or without Ray; a dead actor or node costs the shards it was at; a row that breaks the engine
is found. The supervisor is the same. Model, data and output folder must be on a disk that all nodes share.

Ray Data's vLLM processor (ray.data.llm) was considered and left. What it writes, and what its checkpoints count, are
blocks of its own: a run could not change between one machine and a cluster. It maps a row to its samples once, so
stopping rules and the search for a row that breaks the engine would be written a second time. And the `llm` extra of
Ray 2.60 pins vLLM 0.29, verl 0.9.1 another. With verl's rollout servers
(`--engine verl`) one process feeds all replicas.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from specs_verl.errors import UserError
from specs_verl.ray_cluster import connected, passed_on
from specs_verl.sampling.exit_codes import HOPELESS
from specs_verl.sampling.parameters import Job
from specs_verl.sampling.placement import ENGINE_SETTINGS, MOST_CPU_WORKERS

KILLED = -9
"""The code of a worker whose process or node is gone, as for a process that a signal ended."""


class RayWorkers:
    """Actors on a cluster, one per GPU or group of GPUs, or a few per node in the CPU profile."""

    def __init__(self, plan: dict[str, Any], shards: int) -> None:
        # The actors' working directory is another one; they belong to no process of their machine.
        jobs = [{**job, **_absolute(job)} for job in plan["jobs"]]
        self._plan = {**plan, "jobs": jobs, "cores": None, "parent": None, "folder": str(Path.cwd())}
        self._shards = shards
        settings = Job.from_dict(jobs[0]).engine
        self._asked, self._size = settings.workers, settings.tensor_parallel
        self._stack = ExitStack()
        self.count = 0

    def __enter__(self) -> RayWorkers:
        self._stack.enter_context(connected())
        import ray

        self._on_cpu = os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if self._on_cpu:
            there = sum(min(int(node.get("CPU", 0)), MOST_CPU_WORKERS) for node in nodes)
        else:  # an engine's GPUs are in one node
            there = sum(int(node.get("GPU", 0)) // self._size for node in nodes)
        if there < 1:
            self._stack.close()
            raise UserError(
                f"No node of the Ray cluster has {self._size} GPUs, and this is not the CPU profile: fewer with "
                "--tensor-parallel, or set VERL_PLATFORM=cpu to use the CPUs."
                if self._size > 1
                else "The Ray cluster has no GPU, and this is not the CPU profile: set VERL_PLATFORM=cpu for its CPUs."
            )
        self.count = max(1, min(self._asked or there, there, self._shards))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def start(self, rank: int, log: Path) -> RayWorker:
        """Start a worker wherever there is room for it."""
        import ray

        environment = {**ENGINE_SETTINGS, **passed_on(), "OMP_NUM_THREADS": "1"}
        actor = ray.remote(_Sampler).options(
            num_cpus=1,
            num_gpus=0 if self._on_cpu else self._size,
            # Actors fill one node before the next otherwise, and a node that is lost takes all of them with it.
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": environment},
        )
        return RayWorker(actor.remote(), self._plan, rank, log)


class RayWorker:
    """One actor, with the methods of subprocess.Popen that the supervisor uses."""

    def __init__(self, actor: Any, plan: dict[str, Any], rank: int, log: Path) -> None:
        self._actor, self._log = actor, log
        self._done = actor.run.remote(plan, rank, str(log.resolve()))
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while it works; why it ended is added to its log."""
        import ray

        if self._code is None and ray.wait([self._done], timeout=0)[0]:
            try:
                self._code = int(ray.get(self._done))
            except UserError as error:
                self._ended(HOPELESS, str(getattr(error, "cause", error)))
            except ray.exceptions.RayActorError as error:  # killed, out of memory, or its node is gone
                self._ended(KILLED, str(error))
            except ray.exceptions.RayError as error:  # no runtime environment, a damaged object
                self._ended(1, str(error))
            else:
                self.kill()  # and give its GPU back
        return self._code

    def _ended(self, code: int, why: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            print(why, file=file)
        self._code = code
        self.kill()

    def terminate(self) -> None:
        """End it; there is nothing it would have to do before."""
        self.kill()

    def kill(self) -> None:
        """End it and what it has started."""
        import ray

        ray.kill(self._actor, no_restart=True)
        if self._code is None:
            self._code = KILLED

    def wait(self, timeout: float | None = None) -> int:
        """The exit code of a worker that was killed."""
        return KILLED if self._code is None else self._code


class _Sampler:
    """The actor."""

    def run(self, plan: dict[str, Any], rank: int, log: str) -> int:
        """Work through the plan; UserError where this node cannot see what it needs."""
        import socket

        for job in plan["jobs"]:
            for path in (job["model"], *job["data"], str(Path(job["out"]) / "manifest.json")):
                if not Path(path).exists():
                    raise UserError(
                        f"Node {socket.gethostname()} sees no {path}. With --engine ray, model, data and output folder "
                        "must be on a disk that all nodes share, under the same path."
                    )
        if Path(plan["folder"]).is_dir():
            os.chdir(plan["folder"])  # images may be given relative to it
        with open(log, "ab", buffering=0) as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        from specs_verl.sampling.worker import work

        try:
            return work(plan, rank)
        except Exception:  # as Python does at the end of a process; an error that Ray cannot pickle would say nothing
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def _absolute(job: dict[str, Any]) -> dict[str, Any]:
    """The paths of a job for a process with another working directory."""
    return {
        "model": str(Path(job["model"]).resolve()),
        "data": [str(Path(file).resolve()) for file in job["data"]],
        "out": str(Path(job["out"]).resolve()),
    }
