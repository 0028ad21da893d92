"""What the tables say: one row per model, the spread over its seeds, and the gain of one model over another.

    summarise([read_metrics(path) for path in paths]).rows      # in the order given; seeds of a model are one row
    gain(base, final, "acc")                                    # Interval over prompts, or None without graded rollouts

Not here: how rows are shown (tables.py, page.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specs_verl.errors import UserError
from specs_verl.measure.bootstrap import Interval, Spread, paired_difference, seed_spread
from specs_verl.measure.graded import read_graded
from specs_verl.measure.metrics import Figures, ModelMetrics, SetMetrics
from specs_verl.measure.passk import pass_at_k

PREFERRED_K = 8


@dataclass(frozen=True)
class Row:
    """One model in the summary table; shares in [0, 1]. What was not evaluated is None."""

    model: str
    accuracy: Spread
    format: Spread
    pass_k: Spread
    mean_tokens: Spread
    truncated: Spread
    control_pass_k: Spread | None
    control_accuracy: Spread | None
    ood_accuracy: Spread | None
    ood_format: Spread | None
    prompts: int
    samples: int


@dataclass(frozen=True)
class Summary:
    """All rows, and the k of the pass@k columns."""

    rows: tuple[Row, ...]
    k: int

    @property
    def has_ood(self) -> bool:
        return any(row.ood_format is not None for row in self.rows)

    @property
    def has_control(self) -> bool:
        return any(row.control_pass_k is not None for row in self.rows)

    @property
    def seeds(self) -> int:
        return max(row.accuracy.n for row in self.rows)


def by_model(metrics: Sequence[ModelMetrics]) -> dict[str, list[ModelMetrics]]:
    """Metrics grouped by model name, both in the order given."""
    groups: dict[str, list[ModelMetrics]] = {}
    for entry in metrics:
        known = groups.setdefault(entry.model, [])
        if any(other.seed == entry.seed for other in known):
            raise UserError(
                f"{entry.path}: model {entry.model!r} with seed {entry.seed} is given twice. "
                "Give the runs of one model different seeds, or different models different names."
            )
        known.append(entry)
    return groups


def common_k(metrics: Sequence[ModelMetrics]) -> int:
    """8 where every in-distribution set has it, else the largest k that all have."""
    shared = set.intersection(*(set(entry.in_distribution().overall.pass_at_k) for entry in metrics))
    return PREFERRED_K if PREFERRED_K in shared else max(shared)


def summarise(metrics: Sequence[ModelMetrics]) -> Summary:
    """The summary table; at least one model."""
    if not metrics:
        raise UserError("No metrics to report. Pass at least one metrics.json of `specs evaluate`.")
    k = common_k(metrics)
    return Summary(tuple(_row(name, group, k) for name, group in by_model(metrics).items()), k)


def _row(model: str, seeds: list[ModelMetrics], k: int) -> Row:
    def spread(value: Callable[[Figures], float]) -> Spread:
        return seed_spread([value(entry.in_distribution().overall) for entry in seeds])

    def role_spread(role: str, value: Callable[[Figures], float | None]) -> Spread | None:
        means = []
        for entry in seeds:
            values = [value(metrics.overall) for metrics in entry.of_role(role).values()]
            known = [number for number in values if number is not None]
            if known:
                means.append(sum(known) / len(known))
        return seed_spread(means) if means else None

    first = seeds[0].in_distribution().overall
    return Row(
        model=model,
        accuracy=spread(lambda f: f.accuracy),
        format=spread(lambda f: f.format),
        pass_k=spread(lambda f: f.pass_at_k[k]),
        mean_tokens=spread(lambda f: f.mean_tokens),
        truncated=spread(lambda f: f.truncated),
        control_pass_k=role_spread("control", lambda f: f.pass_at_k.get(k)),
        control_accuracy=role_spread("control", lambda f: f.accuracy),
        ood_accuracy=role_spread("ood", lambda f: f.accuracy),
        ood_format=role_spread("ood", lambda f: f.format),
        prompts=first.prompts,
        samples=round(first.responses / first.prompts),
    )


def graded_rollouts(
    metrics: ModelMetrics, name: str, columns: Sequence[str], rows: Sequence[int] | None = None
) -> pd.DataFrame | None:
    """Graded rollouts of one data set beside the metrics file (see read_graded), or None where they were not kept."""
    evaluated = metrics.sets[name]
    if metrics.path is None or not evaluated.graded:
        return None
    files = sorted((metrics.path.parent / evaluated.graded).glob("*.parquet"))
    return read_graded(files, columns, rows) if files else None


def gain(
    before: Sequence[ModelMetrics], after: Sequence[ModelMetrics], quantity: str, k: int = 1, role: str = "id"
) -> Interval | None:
    """Paired gain over the prompts of a role, averaged over seeds; None without graded rollouts.

    Args:
        before, after: the seeds of one model each.
        quantity: "acc", "format" or "pass" (then at ``k``).
        role: of the data sets; of `id` the first counts, of the others all.
    """
    sides = []
    for seeds in (before, after):
        per_seed = [_per_prompt(entry, quantity, k, role) for entry in seeds]
        if not per_seed or any(series is None for series in per_seed):
            return None
        sides.append(pd.concat(per_seed, axis=1, join="inner").mean(axis=1))
    paired = pd.concat(sides, axis=1, join="inner").to_numpy()
    return paired_difference(paired[:, 1], paired[:, 0]) if len(paired) else None


def _per_prompt(metrics: ModelMetrics, quantity: str, k: int, role: str) -> pd.Series | None:
    """One value per prompt, by set and row."""
    names = [name for name, entry in metrics.sets.items() if entry.role == role]
    found = {name: _of_set(metrics, name, quantity, k) for name in (names[:1] if role == "id" else names)}
    known = {name: series for name, series in found.items() if series is not None}
    return pd.concat(known) if known and len(known) == len(found) else None


def _of_set(metrics: ModelMetrics, name: str, quantity: str, k: int) -> pd.Series | None:
    frame = graded_rollouts(metrics, name, ["row", "right", "acc", "format"])
    if frame is None:
        return None
    groups = frame.groupby("row")
    if quantity != "pass":
        return groups[quantity].mean()
    values = pass_at_k(groups.size().to_numpy(), groups["right"].sum().to_numpy().astype(np.int64), k)
    return pd.Series(values, index=groups.size().index)


def warnings(metrics: Sequence[ModelMetrics]) -> list[str]:
    """What a reader must know before trusting the numbers."""
    found = []
    for entry in metrics:
        for name, evaluated in entry.sets.items():
            found += [f"{entry.model}, {name}: {sentence}" for sentence in _set_warnings(evaluated)]
    return found


def _set_warnings(evaluated: SetMetrics) -> list[str]:
    overall, sentences = evaluated.overall, []
    if overall.unparsable_golds:
        sentences.append(f"{overall.unparsable_golds} ground truths could not be parsed and count as wrong.")
    if overall.timeouts:
        sentences.append(
            f"{overall.timeouts} of {overall.responses} gradings ran into the time limit and count as wrong."
        )
    if overall.errors:
        sentences.append(
            f"The verifier failed on {overall.errors} of {overall.responses} responses, which count as wrong; the log "
            "names them (status error)."
        )
    if evaluated.skipped_prompts:
        sentences.append(
            f"{evaluated.skipped_prompts} prompts could not be sampled (too long or damaged) and are left out."
        )
    if overall.truncated > 0.05:
        sentences.append(f"{100 * overall.truncated:.0f} % of the responses were cut off at the length limit.")
    return sentences
