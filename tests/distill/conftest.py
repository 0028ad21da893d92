"""The loopback chat server of the sampling tests serves here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sampling"))
