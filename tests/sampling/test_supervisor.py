"""Runs with real worker processes on a fake engine: nothing lost, nothing twice, whatever dies."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep import schema
from specs_verl.errors import UserError
from specs_verl.sampling import SamplingError, sample, sample_all, supervisor

SCHEMA = pa.schema([field for field in schema.SCHEMA if field.name in ("prompt", "images")])


def texts(run):
    return [(record["row"], record["sample"], record["response"]) for record in run.samples()]


def check_complete(run, n=16):
    """Every row but the broken one has its n samples, once, in order."""
    expected = [(row, number) for row in range(200) if row != 17 for number in range(n)]
    assert [(record["row"], record["sample"]) for record in run.samples()] == expected
    assert run.summary["samples"] == 199 * n
    assert run.summary["skipped"]["corrupt_image"] == 1


def test_every_row_is_sampled_once(make_job):
    seen = []
    run = sample(make_job(), seen.append)
    check_complete(run)
    assert len(run.shards()) == 7  # 200 rows, 32 per shard
    assert run.summary["tokens"] == 199 * 16 * 4
    (skipped,) = run.skipped()
    assert (skipped["row"], skipped["row_id"], skipped["kind"]) == (17, "q17", "corrupt_image")
    assert "row 17: the test says so" in skipped["reason"]
    assert seen[-1].stage == "done" and seen[-1].samples_done == seen[-1].samples_total == 200 * 16
    assert json.loads((run.path / "progress.json").read_text())["stage"] == "done"


def test_a_complete_run_is_not_started_again(make_job, checkpoint):
    sample(make_job())
    loaded = (checkpoint / "loaded").read_text()
    sample(make_job())
    assert (checkpoint / "loaded").read_text() == loaded


def test_samples_do_not_depend_on_the_number_of_workers(make_job):
    assert texts(sample(make_job("one", workers=1))) == texts(sample(make_job("two", workers=2)))


def test_samples_depend_on_the_seed(make_job):
    assert texts(sample(make_job("one"))) != texts(sample(make_job("two", seed=6)))


@pytest.mark.parametrize("engine", ["FakeEngine", "SeededEngine"])
def test_a_killed_worker_is_replaced(make_job, monkeypatch, engine):
    unbroken = sample(make_job("unbroken", engine))
    monkeypatch.setenv("FAKE_ENGINE", "die@70,die@150")
    run = sample(make_job("broken", engine))
    check_complete(run)
    assert texts(run) == texts(unbroken), "the continuation must give the samples of an unbroken run"


def test_a_hanging_worker_is_replaced(make_job, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", "hang@70")
    check_complete(sample(make_job(stall_seconds=4.0)))


@pytest.mark.parametrize("fault", ["error", "kill"])
def test_a_row_that_breaks_the_engine_is_found_and_left_out(make_job, monkeypatch, fault):
    monkeypatch.setenv("FAKE_ENGINE", f"{fault}@70,{fault}@71")
    run = sample(make_job())
    assert run.summary["skipped"] == {"breaks_engine": 2, "corrupt_image": 1}
    assert sorted(row["row"] for row in run.skipped() if row["kind"] == "breaks_engine") == [70, 71]
    assert {record["row"] for record in run.samples()} == set(range(200)) - {17, 70, 71}


def test_a_row_that_the_engine_survives_at_last_is_not_left_out(make_job, monkeypatch):
    # Twice among others, so that the shard is sampled row by row; once alone, which may be chance; then never again.
    monkeypatch.setenv("FAKE_ENGINE", "die3@70")
    run = sample(make_job(workers=1))
    assert run.summary["skipped"] == {"corrupt_image": 1}
    assert {record["row"] for record in run.samples()} == set(range(200)) - {17}


def test_an_engine_that_cannot_load_ends_the_run_with_its_log(make_job, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", "load")
    with pytest.raises(SamplingError, match=r"RuntimeError: the weights cannot be read"):
        sample(make_job(workers=1))


def test_an_engine_that_dies_of_every_row_is_given_up(make_job, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", ",".join(f"error@{row}" for row in range(200)))
    monkeypatch.setattr(supervisor, "MOST_BROKEN_ROWS", 1)
    with pytest.raises(SamplingError, match=r"row \d+ breaks the engine"):
        sample(make_job(workers=1))


def test_rows_that_the_engine_refuses_are_counted(make_job, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", "refuse@3,refuse@199")
    run = sample(make_job())
    assert run.summary["skipped"] == {"refused_by_engine": 2, "corrupt_image": 1}
    assert {record["row"] for record in run.samples()} == set(range(200)) - {3, 17, 199}


def test_a_single_row_in_the_last_shard_may_be_refused(make_job, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE", "refuse@192")
    job = make_job()
    run = sample(type(job)(**{**job.__dict__, "rows": 193}))  # six shards of 32 rows and one of a single row
    assert run.summary["skipped"] == {"refused_by_engine": 1, "corrupt_image": 1} and run.complete


def test_memory_does_not_grow_with_the_data(make_job, checkpoint, tmp_path):
    """Ten times the rows, 216 MB more of images: the worker's peak may not follow."""
    peaks = []
    for count in (200, 2000):
        path = tmp_path / f"{count}.parquet"
        with pq.ParquetWriter(path, SCHEMA) as writer:
            for start in range(0, count, 100):
                rows = [image_row(index) for index in range(start, start + 100)]
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        job = make_job(f"out{count}", "DecodingEngine", workers=1, n=2)
        run = sample(type(job)(**{**job.__dict__, "data": (str(path),)}))
        assert run.summary["rows"] == count
        peaks.append(int((checkpoint / "peak_kilobytes").read_text()) / 1024)
    assert path.stat().st_size > 200e6, "noise does not compress: the data is really there"
    assert peaks[1] - peaks[0] < 60, f"{peaks} MiB"


def image_row(index):
    """A row with a picture of noise, 120 kB."""
    content = io.BytesIO()
    Image.frombytes("RGB", (200, 200), random.Random(index).randbytes(120_000)).save(content, "BMP")
    return {
        "prompt": [{"role": "user", "content": f"<image>question {index}"}],
        "images": [{"bytes": content.getvalue(), "path": None}],
    }


def test_a_killed_run_goes_on_where_it_was(make_job, tmp_path):
    unbroken = sample(make_job("unbroken"))
    job = make_job("killed")
    (tmp_path / "jobs.json").write_text(json.dumps([asdict(job)]))
    command = [sys.executable, "-m", "specs_verl.sampling", "--jobs", str(tmp_path / "jobs.json"), "--quiet"]
    process = subprocess.Popen(command, env={**os.environ, "FAKE_ENGINE": "slow"}, start_new_session=True)
    shards = Path(job.out) / "shards"
    deadline = time.monotonic() + 60
    while len(list(shards.glob("shard-*.parquet"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)  # the supervisor only: its workers must notice by themselves
    process.wait()
    assert not (Path(job.out) / "summary.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in sorted(shards.glob("*.parquet"))[:2]}
    time.sleep(1.0)
    run = sample(job)
    check_complete(run)
    assert texts(run) == texts(unbroken)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items()), "complete shards are not redone"


def test_a_worker_ends_with_the_run_also_while_it_loads_its_engine(make_job, checkpoint, tmp_path):
    (tmp_path / "jobs.json").write_text(json.dumps([asdict(make_job(workers=1))]))
    command = [sys.executable, "-m", "specs_verl.sampling", "--jobs", str(tmp_path / "jobs.json"), "--quiet"]
    process = subprocess.Popen(command, env={**os.environ, "FAKE_ENGINE": "stuck"}, start_new_session=True)
    mark, deadline = checkpoint / "stuck", time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    worker = psutil.Process(int(mark.read_text()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    worker.wait(timeout=30)  # TimeoutExpired where it stays


def test_several_jobs_share_the_workers_and_the_loaded_engine(make_job, checkpoint):
    jobs = [{"out": "one"}, {"out": "two", "n": 4, "temperature": 0.5}, {"out": "three", "max_tokens": 7}]
    runs = sample_all([make_job(workers=1, **job) for job in jobs])
    check_complete(runs[0])
    check_complete(runs[1], n=4)
    check_complete(runs[2])
    # Job two differs in sampling only and reuses job one's engine, job three needs other lengths.
    assert (checkpoint / "loaded").read_text() == "xx"


def test_other_parameters_are_refused(make_job):
    sample(make_job())
    with pytest.raises(UserError, match=r"made differently .*parameters.*never mixed"):
        sample(make_job(temperature=0.7))


def test_another_checkpoint_is_refused(make_job, checkpoint):
    sample(make_job())
    (checkpoint / "model.safetensors").write_text("trained")
    with pytest.raises(UserError, match="model_fingerprint"):
        sample(make_job())


def test_two_runs_cannot_share_a_directory(make_job):
    job = make_job()
    with pytest.raises(UserError, match="another process is writing"):
        sample_all([job, job])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nowhere"}, "nowhere: no such checkpoint directory"),
        ({"data": ("nowhere.parquet",)}, "nowhere.parquet: no such data file"),
        ({"rows": 0}, "rows must be at least 1"),
        ({"engine": {"engine": "verl"}, "parameters": {"logprobs": 5}}, "log-probabilities are recorded by vLLM"),
    ],
)
def test_bad_input_is_named_before_anything_starts(make_job, change, message):
    job = asdict(make_job())
    with pytest.raises(UserError, match=message):
        sample(type(make_job()).from_dict({**job, **change}))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"temperature": 0.0}, "the same response 16 times"),
        ({"top_p": 0.0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"logprobs": -1}, "logprobs must be between 0 and 200"),
        ({"n": 1, "temperature": 0.0, "logprobs": 5}, "logprobs of greedy decoding"),
    ],
)
def test_bad_parameters_are_named(make_job, parameters, message):
    with pytest.raises(UserError, match=message):
        make_job(**parameters)


@pytest.mark.parametrize("engine", ["FakeEngine", "SeededEngine"])
def test_adaptive_sampling_stops_row_by_row(make_job, monkeypatch, engine):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # the supervisor looks the rule up, too
    job = make_job(engine=engine, n=4, until="fake_engine:even", max_samples=10)
    run = sample(job)
    counts = {row: len(samples) for row, samples in run.by_row()}
    # Even rows are content after 4; odd ones are drawn 4 + 4 + 2 = 10 times.
    assert counts == {row: 10 if row % 2 else 4 for row in range(200) if row != 17}
    for _, samples in run.by_row():
        assert [record["sample"] for record in samples] == list(range(len(samples)))


def test_sampling_goes_on_while_a_stopping_rule_thinks(make_job, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("SPECS_TEST_ASKED", str(tmp_path / "asked"))
    run = sample(make_job(engine="SeededEngine", workers=1, n=4, until="fake_engine:patient", max_samples=16))
    check_complete(run, n=4)


def test_a_row_that_a_stopping_rule_cannot_judge_is_named(make_job, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with pytest.raises(SamplingError, match=r"a\.parquet, row 40: the stopping rule .* no verifier is called 'moth'"):
        sample(make_job(workers=1, n=4, until="fake_engine:puzzled", max_samples=16))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"until": "right"}, "belong together"),
        ({"until": "right", "max_samples": 3}, "max_samples 3 is less"),
        ({"until": "nonsense", "max_samples": 99}, "'nonsense' is none of right"),
    ],
)
def test_wrong_adaptive_settings_are_named(make_job, parameters, message):
    with pytest.raises(UserError, match=message):
        sample(make_job(**parameters))
