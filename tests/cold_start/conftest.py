"""One tiny model and one process group for all tests of the cold start that run inside pytest's own process."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["VERL_PLATFORM"] = "cpu"
sys.path.insert(0, str(Path(__file__).parent))  # the helper modules beside this file

import tiny_vlm as tiny


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A random Qwen2.5-VL checkpoint."""
    return tiny.make_model(tmp_path_factory.mktemp("model"))
