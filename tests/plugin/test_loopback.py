"""Which runs keep to this machine, and what Ray makes of it (the whole run: tests/end_to_end)."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from specs_verl.plugin import loopback
from specs_verl.plugin.loopback import VARIABLES, keep_to_this_machine


@pytest.fixture
def constants(monkeypatch):
    """Ray's constants as they are on Linux, and no cluster anywhere."""
    stand_in = SimpleNamespace(ENABLE_RAY_CLUSTER=True)
    monkeypatch.setitem(sys.modules, "ray._private.ray_constants", stand_in)
    monkeypatch.setattr(loopback, "cluster_address", lambda: None)
    return stand_in


def test_one_machine_keeps_to_itself(constants):
    environment = {"VLLM_HOST_IP": "10.0.0.7"}
    assert keep_to_this_machine(1, environment)
    assert environment == {**VARIABLES, "VLLM_HOST_IP": "10.0.0.7"}, "what the user has set stays"
    assert not constants.ENABLE_RAY_CLUSTER


@pytest.mark.parametrize(
    ("nodes", "environment", "cluster"), [(2, {}, None), (1, {"SPECS_LOOPBACK": "0"}, None), (1, {}, "10.0.0.1:6379")]
)
def test_clusters_and_those_who_say_so_are_left_alone(constants, monkeypatch, nodes, environment, cluster):
    monkeypatch.setattr(loopback, "cluster_address", lambda: cluster)
    before = dict(environment)
    assert not keep_to_this_machine(nodes, environment)
    assert environment == before and constants.ENABLE_RAY_CLUSTER


@pytest.mark.parametrize(("ray_address", "kept"), [("local", True), ("auto", False), ("10.0.0.1:6379", False)])
def test_the_address_of_the_run_wins_over_a_cluster_on_this_machine(constants, monkeypatch, ray_address, kept):
    monkeypatch.setattr(loopback, "cluster_address", lambda: "10.0.0.1:6379")
    assert keep_to_this_machine(1, {}, ray_address) is kept


def test_ray_takes_this_node_for_127_0_0_1(tmp_path):
    # What verl's servers and TransferQueue ask Ray for, without starting it.
    code = """
import ray
from specs_verl.plugin.loopback import keep_to_this_machine
kept = keep_to_this_machine(1, ray_address="local")  # also where another cluster runs
print(kept, ray.util.get_node_ip_address())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "127.0.0.1"], done.stderr
