"""The grader's engine: what is graded again and what is not, and processes that do not outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specs_verl.grading.shards import ShardTask, grade_shards


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "samples").mkdir()
    for number in range(4):
        pq.write_table(pa.table({"row": [number]}), tmp_path / "samples" / f"shard-{number:05d}.parquet")
    return sorted((tmp_path / "samples").iterdir())


def tasks_of(shards, key="key"):
    return [ShardTask(shard, shard.parent.parent / "grades" / shard.name, key) for shard in shards]


def test_only_what_has_changed_is_graded_again(shards):
    graded = []

    def grade(task):
        graded.append(task.samples.name)
        return pa.table({"twice": [2 * pq.read_table(task.samples).column("row")[0].as_py()]})

    def run(key="key"):
        graded.clear()
        assert {task.samples for task in grade_shards(tasks_of(shards, key), grade, workers=1)} == set(shards)
        return list(graded)

    names = [shard.name for shard in shards]
    assert run() == names
    assert pq.read_table(tasks_of(shards)[3].graded).column("twice").to_pylist() == [6]
    assert run() == []
    pq.write_table(pa.table({"row": [9]}), shards[1])  # other samples under the same name
    tasks_of(shards)[2].graded.write_bytes(b"PAR1 half a file")
    assert run() == names[1:3]
    assert pq.read_table(tasks_of(shards)[1].graded).column("twice").to_pylist() == [18]
    assert run(key="another judge") == names


def test_processes_end_when_their_parent_is_killed(shards, tmp_path):
    (tmp_path / "working").mkdir()
    script = Path(__file__).with_name("slow.py")
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)]) as parent:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "working").iterdir())) < 2:
            assert time.monotonic() < deadline and parent.poll() is None, "two processes must be grading"
            time.sleep(0.05)
        workers = [psutil.Process(int(file.name)) for file in (tmp_path / "working").iterdir()]
        os.kill(parent.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(workers, timeout=20)
    for process in alive:
        process.kill()
    assert len(gone) == 2 and not alive
