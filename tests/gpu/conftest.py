"""Checks for a machine with a CUDA GPU, started by `make gpu-check`: no network, random weights, under ten minutes.

Elsewhere, and in `make test`, they are skipped. They are not part of the CPU suite because that one forces the CPU
platform on its process.
"""

import os
import sys
from pathlib import Path

import pytest

WANTED = "SPECS_GPU_CHECK"
for folder in ("benchmarks", "cold_start"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))


def pytest_collection_modifyitems(config, items) -> None:
    import torch

    reason = None
    if os.environ.get(WANTED) != "1":
        reason = "run by `make gpu-check`"
    elif not torch.cuda.is_available():
        reason = "no CUDA GPU"
    here = Path(__file__).parent
    for item in items:
        if reason and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))
