"""What a cold start left behind: the checkpoints of its steps.

checkpoints_of(Path("runs/cold_start"))        # {5: .../hf_step_000005, 10: ..., 140: .../hf}
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from specs_verl.errors import UserError

_STEP = re.compile(r"hf_step_(\d+)")


def checkpoints_of(run: Path) -> dict[int, Path]:
    """Hugging Face checkpoints of a run by step: those of trainer.hf_freq, and the result OUT/hf as the last step."""
    if not run.is_dir():
        raise UserError(f"{run}: no such run.")
    found = {
        int(match.group(1)): folder
        for folder in sorted(run.iterdir())
        if (match := _STEP.fullmatch(folder.name)) and (folder / "config.json").is_file()
    }
    last = last_step(run)
    if (run / "hf" / "config.json").is_file() and last is not None and not (run / "gf.jsonl").is_file():
        found.setdefault(last, run / "hf")  # of a run that stops by probes, hf is one of the steps
    if not found:
        raise UserError(f"{run}: no checkpoints there. Have the cold start leave them with trainer.hf_freq=N.")
    return dict(sorted(found.items()))


def last_step(run: Path) -> int | None:
    """The last step in the run's metrics.jsonl, None without one."""
    file = run / "metrics.jsonl"
    last = None
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            last = int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):  # a line that a kill cut short
            continue
    return last
