"""Sampling workers as processes of this machine, each bound to its cores or its GPU.

with LocalWorkers(plan, shards=40) as workers:
    worker = workers.start(rank=0, log=Path("out/logs/worker-0.log"))

Not here: which worker runs where (placement.py), and when one is started again (supervisor.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_prep.files import write_json
from reward_fns.workers.parent import ENDS_WITH_PARENT
from specs_verl.sampling.parameters import Job
from specs_verl.sampling.placement import placement, worker_environment


class LocalWorkers:
    """Processes of this machine; they end by themselves when this one is gone."""

    def __init__(self, plan: dict[str, Any], shards: int) -> None:
        self._places = placement(Job.from_dict(plan["jobs"][0]), shards)
        self._plan = {**plan, "cores": [place.cores for place in self._places]}
        self._stack = ExitStack()
        self.count = len(self._places)

    def __enter__(self) -> LocalWorkers:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="specs-sampling-"))
        self._file = Path(directory) / "plan.json"
        write_json(self._file, self._plan)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def start(self, rank: int, log: Path) -> subprocess.Popen[bytes]:
        """Start the worker of a place."""
        # By its own heartbeat a worker would notice the end of this process only once its engine is loaded.
        command = [*ENDS_WITH_PARENT, str(os.getpid()), sys.executable, "-m", "specs_verl.sampling.worker"]
        command += [str(self._file), str(rank)]
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=worker_environment(self._places[rank]),
            )
