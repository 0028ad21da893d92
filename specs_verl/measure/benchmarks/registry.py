"""The benchmarks of the three papers by name: BENCHMARKS["mathvista"], chosen("mathvista")."""

from __future__ import annotations

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.benchmark import Benchmark
from specs_verl.measure.benchmarks.dynamath import DYNAMATH
from specs_verl.measure.benchmarks.logicvista import LOGICVISTA
from specs_verl.measure.benchmarks.mathverse import MATHVERSE
from specs_verl.measure.benchmarks.mathvision import MATHVISION
from specs_verl.measure.benchmarks.mathvista import MATHVISTA
from specs_verl.measure.benchmarks.megabench import MEGABENCH
from specs_verl.measure.benchmarks.mmmu import MMMU, MMMU_PRO
from specs_verl.measure.benchmarks.wemath import WEMATH

ALL = (MATHVISTA, MATHVISION, MATHVERSE, MMMU, MMMU_PRO, DYNAMATH, WEMATH, LOGICVISTA, MEGABENCH)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in ALL}


def chosen(name: str) -> Benchmark:
    """The benchmark of that name."""
    if name not in BENCHMARKS:
        raise UserError(f"No benchmark is called {name!r}. Known: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]
