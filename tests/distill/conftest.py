"""Modules imported by plain name: the chat server of the sampling tests, and what spawned processes import."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "sampling"), str(Path(__file__).parent)]
