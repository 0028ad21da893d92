"""What `specs route` and `specs cot` share on the command line: progress, a failure of the sampling, the counts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from specs_verl.progress import Steps
from specs_verl.sampling import Progress, SamplingError
from specs_verl.sampling.cli import sampling_bars


def make_and_tell(make: Callable[[Callable[[Progress], None]], Mapping[str, Any]], out: str) -> int:
    """Call ``make`` with a callback for its progress and print the counts that it returns.

    Returns:
        The exit code: 1 where the sampling workers keep dying, else 0.
    """
    with Steps() as steps:
        try:
            report = make(sampling_bars(steps))
        except SamplingError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{report['trajectories']} trajectories in {out}/sft.parquet")
    for name, count in report["counts"].items():
        print(f"  {name}: {count}")
    return 0
