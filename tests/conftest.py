"""Shared by all tests: no test sees the process group that the cold-start tests make in pytest's own process.

Nor is any example of hypothesis timed: on a busy machine the fastest one takes a second now and then. Examples are the
same in every run; `pytest --hypothesis-profile hunt` draws others.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("hunt", deadline=None)
settings.load_profile("same")

# OpenMP's threads spin while they wait for each other, and tests run beside tests: what spins takes the other's time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Ray starts its workers with niceness 15: beside other tests they would get a thirtieth of a core.
os.environ.setdefault("RAY_worker_niceness", "0")


def pytest_collection_modifyitems(items):
    """Files that start whole runs come first: with several processes the others then fill the time beside them."""
    items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)


@pytest.fixture(autouse=True)
def environment_without_a_process_group(request, monkeypatch):
    """torchrun's variables, which tests/cold_start sets for itself, are hidden from every other test."""
    if "cold_start" not in request.path.parts:
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
