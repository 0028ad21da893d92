"""Which worker has which cores or GPUs."""

import argparse
import os
from contextlib import nullcontext

import pytest

from specs_verl.errors import UserError
from specs_verl.sampling import EngineSettings, Job, ray_workers
from specs_verl.sampling.cli import add_engine_arguments, engine_settings
from specs_verl.sampling.placement import placement, worker_environment


def places(monkeypatch, gpus: str | None, shards: int = 100, **settings):
    if gpus is None:
        monkeypatch.setenv("VERL_PLATFORM", "cpu")
    else:
        monkeypatch.delenv("VERL_PLATFORM", raising=False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    return placement(Job("model", ("data.parquet",), "out", engine=EngineSettings(**settings)), shards)


@pytest.mark.parametrize(
    ("gpus", "settings", "expected"),
    [
        ("0,1,2", {}, ["0", "1", "2"]),
        ("0,1,2", {"workers": 2}, ["0", "1"]),
        ("4,5,6,7", {"tensor_parallel": 2}, ["4,5", "6,7"]),
        # the last GPU holds no model alone
        ("0,1,2,3,4", {"tensor_parallel": 2, "workers": 9}, ["0,1", "2,3"]),
        ("GPU-a,GPU-b", {"tensor_parallel": 2}, ["GPU-a,GPU-b"]),
    ],
)
def test_every_gpu_belongs_to_one_worker(monkeypatch, gpus, settings, expected):
    found = places(monkeypatch, gpus, **settings)
    assert [worker_environment(place)["CUDA_VISIBLE_DEVICES"] for place in found] == expected
    assert [place.threads for place in found] == [6 // len(expected)] * len(expected)


def test_no_more_workers_than_shards(monkeypatch):
    assert [place.gpus for place in places(monkeypatch, "0,1,2,3", shards=1, tensor_parallel=2)] == ["0,1"]


def test_a_model_for_more_gpus_than_there_are(monkeypatch):
    with pytest.raises(UserError, match="--tensor-parallel 4 asks for 4 GPUs on one machine, and 2 can be seen"):
        places(monkeypatch, "0,1", tensor_parallel=4)
    with pytest.raises(UserError, match="--tensor-parallel 0"):
        EngineSettings(tensor_parallel=0)
    with pytest.raises(UserError, match="--engine verl: say --rollout"):
        EngineSettings(tensor_parallel=2, engine="verl")


def test_settings_of_an_engine_on_the_command_line():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine")
    add_engine_arguments(parser)
    arguments = parser.parse_args(["--engine", "ray", "--tensor-parallel", "4", "--max-num-seqs", "9"])
    expected = EngineSettings(engine="ray", tensor_parallel=4, max_num_seqs=9, workers=2)
    assert engine_settings(arguments, workers=2) == engine_settings(arguments, "models/mine", workers=2) == expected
    # who is asked at an address is sampled by no engine of ours
    assert engine_settings(arguments, "http://127.0.0.1:8000/v1#teacher").engine is None


@pytest.mark.parametrize(
    ("settings", "cores"),
    [
        # 4 workers at most, whose cores are their own
        ({}, [[0], [1], [2], [3]]),
        ({"workers": 2}, [[0, 1, 2], [3, 4, 5]]),
        # 4 // 2: each of two workers runs two processes for one model
        ({"tensor_parallel": 2}, [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_cores(monkeypatch, settings, cores):
    assert [place.cores for place in places(monkeypatch, None, **settings)] == cores


@pytest.mark.parametrize(("size", "count"), [(1, 14), (4, 3), (8, 1)])
def test_the_gpus_of_an_engine_are_in_one_node_of_a_cluster(monkeypatch, size, count):
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(ray_workers, "connected", nullcontext)
    nodes = [(8, True), (6, True), (8, False)]  # GPUs, alive
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": alive, "Resources": {"GPU": n}} for n, alive in nodes])
    job = {"model": "m", "data": ["d"], "out": "o", "engine": {"engine": "ray", "tensor_parallel": size}}
    with ray_workers.RayWorkers({"jobs": [job]}, shards=100) as workers:
        assert workers.count == count
    with (
        pytest.raises(UserError, match="No node of the Ray cluster has 16 GPUs"),
        ray_workers.RayWorkers({"jobs": [{**job, "engine": {"engine": "ray", "tensor_parallel": 16}}]}, shards=100),
    ):
        pass
