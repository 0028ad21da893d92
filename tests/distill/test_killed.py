"""Killed with SIGKILL while grading, pairing, writing: the same call goes on, to the same pairs; no process stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import killers
import psutil
import pytest

from specs_verl.distill import Distillation, Pairing, distill, grades
from specs_verl.errors import UserError

from . import building


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    prompts = building.write_prompts(folder / "prompts.parquet", 250)
    return (prompts, *building.random_runs(folder, prompts, 250))


@pytest.fixture(scope="module")
def unbroken(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "out"
    prompts, zero, base = sources
    report = distill(Distillation((prompts,), zero, base, str(out), Pairing(seed=3), workers=1))
    return report, building.read(out / "pairs.parquet")


def children_of(marker):
    """Processes whose environment carries the marker, wherever their parents have gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SPECS_TEST_MARKER") == marker:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.mark.parametrize(
    ("point", "workers"), [("grading", 1), ("grading", 2), ("pairing", 1), ("writing", 1), ("card", 1)]
)
def test_the_same_call_goes_on(sources, unbroken, tmp_path, point, workers):
    out, marker = tmp_path / "out", f"{tmp_path}"
    script = str(Path(__file__).with_name("killed_at.py"))
    command = [sys.executable, script, point, *sources, str(out), str(workers)]
    killed = subprocess.run(command, timeout=120, env={**os.environ, "SPECS_TEST_MARKER": marker})
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "report.json").exists(), "a report says that everything is there"
    graded = {path: path.stat().st_mtime_ns for path in out.glob("grades/*/shard-*.parquet")}
    # 250 rows in shards of 16: 16 per source; two workers may have finished one more each before the kill was seen.
    complete = 2 * 16
    assert len(graded) == complete if point != "grading" else 16 + 5 <= len(graded) < complete
    deadline = time.monotonic() + 20
    while children_of(marker):
        assert time.monotonic() < deadline, "grading processes must end with their parent"
        time.sleep(0.1)

    prompts, zero, base = sources
    report = distill(Distillation((prompts,), zero, base, str(out), Pairing(seed=3), workers=1))
    assert {path: path.stat().st_mtime_ns for path in graded} == graded, "what was graded is not graded again"
    assert (report, building.read(out / "pairs.parquet")) == unbroken
    left = {path.name for path in out.iterdir()}
    assert left == {".lock", "README.md", "card", "grades", "pairs.parquet", "report.json"}


def test_a_killed_grading_process_costs_time_only(sources, unbroken, tmp_path, monkeypatch):
    """The environment variable makes the first grader of shard 3 kill itself; a mark remembers that it did."""
    prompts, zero, base = sources
    monkeypatch.setenv("SPECS_TEST_KILL_ONCE", str(tmp_path / "did"))
    monkeypatch.setattr(grades, "grade_shard", killers.killed_once)
    job = Distillation((prompts,), zero, base, str(tmp_path / "out"), Pairing(seed=3), workers=2)
    assert (distill(job), building.read(tmp_path / "out" / "pairs.parquet")) == unbroken
    assert (tmp_path / "did").exists()


def test_graders_that_always_die_end_the_run_with_a_sentence(sources, tmp_path, monkeypatch):
    prompts, zero, base = sources
    monkeypatch.setattr(grades, "grade_shard", killers.killed_always)
    job = Distillation((prompts,), zero, base, str(tmp_path / "out"), workers=2)
    with pytest.raises(UserError, match=r"Grading processes keep dying.*shard-\d+\.parquet.*--workers"):
        distill(job)


def test_other_samples_under_the_same_name_are_graded_again(sources, tmp_path):
    prompts, *_ = sources
    truths = range(10, 260)
    right = [[building.whole(truth, truth)] for truth in truths]
    wrong = [[building.whole(1, 1)] for _ in truths]
    base = building.write_run(tmp_path / "base", prompts, right)
    zero = building.write_run(tmp_path / "zero", prompts, wrong)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no prompt gave a pair"):
        distill(Distillation((prompts,), zero, base, str(out), workers=1))
    (tmp_path / "zero").rename(tmp_path / "old")
    zero = building.write_run(tmp_path / "zero", prompts, right)  # same model, parameters and rows
    assert distill(Distillation((prompts,), zero, base, str(out), workers=1))["pairs"] == 250
