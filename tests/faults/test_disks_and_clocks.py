"""Real disks that are full or read-only, and files from the future: one sentence, and the same call goes on later."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest

from specs_verl.sampling import sample

YEAR_S = 365 * 24 * 3600


@pytest.fixture
def disk(tmp_path):
    """A file system of its own; `disk(options)` mounts it, or mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        again = "remount," if os.path.ismount(folder) else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("this user may not mount a file system")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def run(job, folder):
    """The sampling command, as in a pipeline."""
    jobs = folder / "jobs.json"
    jobs.write_text(json.dumps([asdict(job)]))
    command = [sys.executable, "-m", "specs_verl.sampling", "--jobs", str(jobs), "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_full_disk(job, disk, tmp_path):
    folder = disk("size=4m")
    (folder / "others").write_bytes(bytes((4 << 20) - (36 << 10)))
    job = replace(job, out=str(folder / "out"), engine=replace(job.engine, workers=1))  # one shard after the other
    full = run(job, tmp_path)
    assert full.returncode != 0 and "the disk is full" in full.stderr
    shards = sorted((folder / "out").rglob("shard-*.parquet"))
    assert 0 < len(shards) < 7
    kept = {shard: pq.read_table(shard).num_rows for shard in shards}  # what has its name is whole
    (folder / "others").unlink()
    assert run(job, tmp_path).returncode == 0
    assert all(pq.read_table(shard).num_rows == rows for shard, rows in kept.items())
    whole = replace(job, out=str(tmp_path / "whole"))
    assert list(sample(job).samples()) == list(sample(whole).samples())


def test_a_disk_with_room_is_not_called_full(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", "load")
    failed = run(job, tmp_path)
    assert failed.returncode != 0
    assert "the weights cannot be read" in failed.stderr and "disk is full" not in failed.stderr


def test_a_read_only_disk(job, disk, tmp_path):
    disk("size=64m")
    folder = disk("ro,size=64m")
    refused = run(replace(job, out=str(folder / "out")), tmp_path)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert "read-only" in refused.stderr.lower() and str(folder) in refused.stderr


def test_a_clock_that_was_moved_back(job, tmp_path):
    before = list(sample(job).samples())
    future = time.time() + YEAR_S
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for path in (*files, tmp_path / "prompts.parquet", *(tmp_path / "checkpoint").iterdir()):
        os.utime(path, (future, future))
    shards = sorted((tmp_path / "out").rglob("shard-*.parquet"))
    for shard in shards[:2]:
        shard.unlink()
    assert list(sample(job).samples()) == before
    assert all(shard.stat().st_mtime < future - 1 for shard in shards[:2]), "made again"
    assert all(shard.stat().st_mtime >= future - 1 for shard in shards[2:]), "not made again"
