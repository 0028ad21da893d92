"""Measuring what training did: Generalization Factor, pass@k, branching factor, evaluation of rollouts, the report.

    from specs_verl.measure import generalization_factor, pass_at_k

generalization.py, passk.py, branching.py, bootstrap.py   arithmetic on arrays, nothing else
rollouts.py, ../grading, evaluate.py, metrics.py          sampled responses -> graded rollouts -> metrics per model
answers.py, exploration.py, compare.py                    majority, stuckness, branching; two models on the same prompts
checkpoints.py, evaluate_command.py                       checkpoints in, figures out
../formats, benchmarks/                                    other output formats; published benchmarks
gf_curve.py, gf_command.py, runs.py, probe.py             the factor over steps, and the probe of a cold start
gate.py, report.py and what they draw with                metrics -> terminal tables, one HTML page, PNG and CSV
cli.py                                                    specs evaluate | gf | report
"""

from specs_verl.measure.bootstrap import Interval, Spread, mean_interval, mean_intervals, paired_difference, seed_spread
from specs_verl.measure.branching import Branching, nucleus_sizes, rollout_branching_factor
from specs_verl.measure.generalization import Generalization, factor_from_gains, generalization, generalization_factor
from specs_verl.measure.passk import mean_pass_at_k, pass_at_k, reported_ks

__all__ = [
    "Branching",
    "Generalization",
    "Interval",
    "Spread",
    "factor_from_gains",
    "generalization",
    "generalization_factor",
    "mean_interval",
    "mean_intervals",
    "mean_pass_at_k",
    "nucleus_sizes",
    "paired_difference",
    "pass_at_k",
    "reported_ks",
    "rollout_branching_factor",
    "seed_spread",
]
