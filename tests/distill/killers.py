"""Stand-ins for grade_shard whose process is killed; a module of its own, so that spawned processes can import them."""

import os
import signal
from pathlib import Path

from specs_verl.distill.grades import grade_shard


def killed_once(task):
    """Killed over shard 3, the first time; a file remembers that it happened."""
    mark = Path(os.environ["SPECS_TEST_KILL_ONCE"])
    if task.samples.name.endswith("00003.parquet") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return grade_shard(task)


def killed_always(task):
    """Killed over every shard."""
    os.kill(os.getpid(), signal.SIGKILL)
