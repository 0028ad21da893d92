"""Two models on the same prompts: the difference of every figure, with its interval.

    for entry in compare(read_metrics(base), read_metrics(final)): print(entry.quantity, entry.difference)

Prompts are paired: what is drawn is the difference of a prompt, so that easy and hard prompts do not blur it.
Not here: several seeds of a model (summary.gain).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from specs_verl.measure.bootstrap import Interval, paired_difference
from specs_verl.measure.metrics import ModelMetrics
from specs_verl.measure.passk import pass_at_k, reported_ks
from specs_verl.measure.summary import graded_rollouts

COLUMNS = ("row", "right", "acc", "format", "n_tokens")


@dataclass(frozen=True)
class Comparison:
    """One quantity on one data set; shares in [0, 1], lengths in tokens."""

    data: str
    quantity: str
    control: str
    treated: str
    before: float
    after: float
    difference: Interval
    """Mean of treated minus control over the prompts that both answered, with its 95 % interval."""

    prompts: int

    @property
    def certain(self) -> bool:
        """Whether chance does not explain the difference: 0 lies outside of the interval."""
        return not self.difference.low <= 0 <= self.difference.high


def compare(control: ModelMetrics, treated: ModelMetrics) -> list[Comparison]:
    """All quantities on all data sets that both models have graded rollouts of."""
    found = []
    for name in control.sets:
        if name not in treated.sets:
            continue
        frames = [frame for entry in (control, treated) if (frame := graded_rollouts(entry, name, COLUMNS)) is not None]
        if len(frames) < 2:
            continue
        k = reported_ks(min(int(frame.groupby("row").size().min()) for frame in frames))[-1]
        first, second = (per_prompt(frame, k) for frame in frames)
        rows = first.index.intersection(second.index)
        for quantity in first if len(rows) else ():
            before, after = first.loc[rows, quantity].to_numpy(), second.loc[rows, quantity].to_numpy()
            found.append(
                Comparison(
                    data=name,
                    quantity=quantity,
                    control=control.model,
                    treated=treated.model,
                    before=float(before.mean()),
                    after=float(after.mean()),
                    difference=paired_difference(after, before),
                    prompts=len(rows),
                )
            )
    return found


def per_prompt(frame: pd.DataFrame, k: int) -> pd.DataFrame:
    """One line per prompt: accuracy, format, both, pass@k and length."""
    work = frame.assign(both=frame["format"].astype(bool) & frame["right"].astype(bool))
    groups = work.groupby("row")
    n, right = groups.size().to_numpy(), groups["right"].sum().to_numpy().astype(np.int64)
    means = groups[["acc", "format", "both", "n_tokens"]].mean()
    return means.set_axis(["accuracy", "format", "format and right", "tokens"], axis=1).assign(
        **{f"pass@{k}": pass_at_k(n, right, k)}
    )
