"""Puts the made-up published files where the tests of this folder import them from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
