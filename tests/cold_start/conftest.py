"""One tiny model and one process group for all tests of the cold start that run inside pytest's own process."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["VERL_PLATFORM"] = "cpu"

from tests.cold_start import tiny


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A random Qwen2.5-VL checkpoint."""
    return tiny.make_model(tmp_path_factory.mktemp("model"))
