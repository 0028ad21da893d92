"""Sampling and grading on a Ray cluster of two raylets: the shards of one machine, whatever dies, and their grades.

Two raylets take minutes to start on a busy machine, so this is a check and not part of `make test`:

    python -m pytest -m cluster tests/sampling/test_ray.py
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specs_verl import ray_cluster
from specs_verl.errors import UserError
from specs_verl.grading.shards import ShardTask, grade_shards
from specs_verl.sampling import Job, SamplingError, sample
from specs_verl.sampling.supervisor import sample_all

pytestmark = pytest.mark.cluster

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402  (needs ray)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two raylets on this machine, a CPU each; no dashboard, 80 MB of object store."""
    values = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    before = os.environ.pop("RAY_ADDRESS", None)
    with pytest.MonkeyPatch.context() as patch:
        # Ray would note this cluster as the machine's own, for whoever starts a run here.
        patch.setattr("ray._private.utils.write_ray_address", lambda address, temp_dir=None: None)
        cluster = Cluster(initialize_head=True, head_node_args=values)
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    cluster.wait_for_nodes()
    os.environ["RAY_ADDRESS"] = cluster.address
    yield cluster
    os.environ.pop("RAY_ADDRESS")
    if before is not None:
        os.environ["RAY_ADDRESS"] = before
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def on_ray(make_job, monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")

    def make(out="ray", engine="FakeEngine", **values):
        job = make_job(out, engine, **values)
        return replace(job, engine=replace(job.engine, engine=f"ray:fake_engine:{engine}"))

    return make


def texts(run):
    return [(record["row"], record["sample"], record["response"]) for record in run.samples()]


def test_the_samples_are_those_of_one_machine(cluster, on_ray, make_job, checkpoint):
    (checkpoint / "faults").write_text("die@70,slow")  # an actor is killed once
    spread = sample(on_ray())
    assert (checkpoint / "did-die@70").exists()
    (checkpoint / "faults").unlink()
    assert texts(spread) == texts(sample(make_job("local")))
    assert spread.summary["skipped"] == {"corrupt_image": 1}
    # both actors worked; what they print is where processes of one machine have it
    assert {log.name for log in (spread.path / "logs").iterdir()} == {"worker-0.log", "worker-1.log"}


DRIVER = """
import json, sys
from pathlib import Path
from specs_verl.sampling import Job, sample
sample(Job.from_dict(json.loads(Path(sys.argv[1]).read_text())))
"""


def test_a_killed_driver_is_continued_and_complete_shards_stay(cluster, on_ray, make_job, checkpoint, tmp_path):
    (checkpoint / "faults").write_text("slow")
    job, file = on_ray(), tmp_path / "job.json"
    file.write_text(json.dumps(asdict(job)))
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(file)]) as driver:
        shards = Path(job.out) / "shards"
        deadline = time.monotonic() + 120
        while not (shards.is_dir() and len(list(shards.glob("shard-*.parquet"))) >= 2):
            assert driver.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
    made = {shard: shard.stat().st_mtime_ns for shard in shards.glob("shard-*.parquet")}
    assert 2 <= len(made) < 7 and not (Path(job.out) / "summary.json").exists()
    (checkpoint / "faults").unlink()
    run = sample(job)
    assert {shard: shard.stat().st_mtime_ns for shard in made} == made
    assert texts(run) == texts(sample(make_job("local")))


def test_a_node_without_the_files_is_named(cluster, on_ray, monkeypatch):
    job = on_ray()
    real = Path.exists
    # The driver sees the model; the nodes look for it under another path.
    monkeypatch.setattr("specs_verl.sampling.ray_workers._absolute", lambda values: {"model": "/not/shared"})
    assert not real(Path("/not/shared"))
    with pytest.raises(SamplingError, match=r"sees no /not/shared\. With --engine ray"):
        sample(job)


def test_an_engine_that_cannot_load_ends_the_run_with_its_log(cluster, on_ray, checkpoint):
    (checkpoint / "faults").write_text("load")
    with pytest.raises(SamplingError, match="RuntimeError: the weights cannot be read"):
        sample(on_ray(workers=1))


def test_an_endpoint_is_asked_from_here(make_job):
    job = make_job()
    endpoint = Job(
        "http://127.0.0.1:1/v1#m", job.data, job.out, job.parameters, engine=replace(job.engine, engine="ray")
    )
    with pytest.raises(UserError, match="leave --engine ray out"):
        sample_all([endpoint])


def test_waiting_for_nodes(cluster, capsys):
    assert ray_cluster.main(["--nodes", "2", "--seconds", "1"]) == 0
    assert capsys.readouterr().out == "Ray: 2 nodes, 0 GPUs, 2 CPUs\n"
    assert ray_cluster.main(["--nodes", "3", "--seconds", "0"]) == 2
    assert "Of 3 nodes only 2 have joined" in capsys.readouterr().err


def test_grading_runs_as_tasks_of_the_cluster(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import ray_grader

    monkeypatch.chdir(tmp_path)
    Path("samples").mkdir()
    for number in range(3):
        pq.write_table(pa.table({"row": [number]}), f"samples/shard-{number}.parquet")
    tasks = [ShardTask(shard, Path("grades") / shard.name, "key") for shard in sorted(Path("samples").iterdir())]
    assert set(grade_shards(tasks, ray_grader.grade, on_ray=True)) == set(tasks)
    tables = [pq.read_table(task.graded) for task in tasks]
    assert [table.column("twice")[0].as_py() for table in tables] == [0, 2, 4]
    assert os.getpid() not in {table.column("pid")[0].as_py() for table in tables}
    # what is graded is not graded again; bad rows are named as on one machine
    pq.write_table(pa.table({"row": [9]}), tasks[1].samples)
    with pytest.raises(UserError, match=r"samples/shard-1\.parquet: no such verifier"):
        list(grade_shards(tasks, ray_grader.grade, on_ray=True))
    assert pq.read_table(tasks[2].graded).column("pid")[0].as_py() == tables[2].column("pid")[0].as_py()
