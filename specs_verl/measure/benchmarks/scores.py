"""Official scores as they lie beside a model's metrics: OUT/MODEL/benchmarks.json."""

from __future__ import annotations

import json
from pathlib import Path

NAME = "benchmarks.json"


def read_benchmarks(metrics: Path) -> list[dict[str, object]]:
    """What an evaluation wrote about benchmarks beside a metrics file; empty where there is none."""
    file = metrics.with_name(NAME)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
