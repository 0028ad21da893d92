"""What the CPU profile sets in the environment, before torch is imported where it counts."""

import os
import subprocess
import sys

import pytest

from specs_verl.cpu import environment
from specs_verl.sampling.placement import Place, worker_environment


@pytest.mark.parametrize(("given", "sleep"), [(None, True), ("active", False)])
def test_threads_of_the_cold_start_sleep_while_they_wait(given, sleep):
    """OpenMP reads it when it is loaded, with torch, and says then what it has read."""
    variables = {**os.environ, "OMP_DISPLAY_ENV": "verbose"}
    del variables["OMP_WAIT_POLICY"]
    code = "from specs_verl.cold_start import quiet; quiet.prepare(); import torch"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables if given is None else {**variables, "OMP_WAIT_POLICY": given},
        capture_output=True,
        text=True,
        timeout=120,
    )
    # rounds of waiting before they sleep
    assert ("GOMP_SPINCOUNT = '0'" in done.stderr) == sleep and "GOMP_SPINCOUNT" in done.stderr, done.stderr


def test_those_of_verl_and_of_sampling_do_too(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert worker_environment(Place([], 1, None))["OMP_WAIT_POLICY"] == "passive"
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {"TORCHDYNAMO_DISABLE": "0"})
        environment.apply()
        assert os.environ["OMP_WAIT_POLICY"] == "passive" and os.environ["TORCHDYNAMO_DISABLE"] == "0"
