"""The gate before RL: is this cold start worth reinforcement learning?

    result = gate([base], [warm_up])
    print_gate(console, result)            # gains, Generalization Factor, pass@k against base, and one verdict

Open when the cold start taught the format in and out of distribution (factor of the format > 0) and neither accuracy
nor pass@k fell: RL sharpens what sampling can reach, so a model that lost pass@k has lost part of what RL could find.
"Fell" means beyond chance: the 95 % interval of the paired difference lies below zero (the intervals of the two models
lie apart, where graded rollouts were not kept).

Not here: the arithmetic (generalization.py, passk.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from specs_verl.errors import UserError
from specs_verl.measure.bootstrap import Interval
from specs_verl.measure.generalization import Generalization, generalization
from specs_verl.measure.metrics import Figures, ModelMetrics
from specs_verl.measure.summary import gain

QUANTITIES = ("format", "accuracy")


@dataclass(frozen=True)
class GateResult:
    """Everything the gate looks at, averaged over seeds; shares in [0, 1]."""

    base: str
    model: str
    factors: dict[str, Generalization]  # by quantity; empty without OOD sets
    pass_at_k: dict[int, tuple[float, float]]  # k -> (base, model)
    reasons: tuple[str, ...]  # why the gate is closed; empty means open

    @property
    def open(self) -> bool:
        return not self.reasons


def gate(base: Sequence[ModelMetrics], model: Sequence[ModelMetrics], beta: float = 2.0) -> GateResult:
    """Compare the seeds of ``model`` with the seeds of ``base``."""
    for entry in (*base, *model):
        entry.in_distribution()
    factors = {quantity: _factor(base, model, quantity, beta) for quantity in QUANTITIES}
    shared = set.intersection(*(set(entry.in_distribution().overall.pass_at_k) for entry in (*base, *model)))

    def reached(side: Sequence[ModelMetrics], k: int) -> float:
        return _mean(side, lambda figures: figures.pass_at_k[k])

    pass_at_k = {k: (reached(base, k), reached(model, k)) for k in sorted(shared)}
    reasons = []
    if factors["format"] is None:
        gained = _mean(model, lambda f: f.format) - _mean(base, lambda f: f.format)
        if gained <= 0:
            reasons.append(f"format compliance did not rise ({100 * gained:+.1f} points)")
    elif factors["format"].factor <= 0:
        worse = "out of" if factors["format"].ood_gain <= factors["format"].id_gain else "in"
        reasons.append(
            f"the format was not learned {worse} distribution ({100 * factors['format'].factor:+.1f} points)"
        )
    k = max(pass_at_k)
    for label, quantity, before, after in (
        ("accuracy", "acc", _mean(base, lambda f: f.accuracy), _mean(model, lambda f: f.accuracy)),
        (f"pass@{k}", "pass", *pass_at_k[k]),
    ):
        difference = gain(base, model, quantity, k)
        if _fell(difference, before, after, base, model):
            reasons.append(f"{label} fell from {100 * before:.1f} to {100 * after:.1f} %")
    return GateResult(
        base=base[0].model,
        model=model[0].model,
        factors={name: factor for name, factor in factors.items() if factor is not None},
        pass_at_k=pass_at_k,
        reasons=tuple(reasons),
    )


def _factor(
    base: Sequence[ModelMetrics], model: Sequence[ModelMetrics], quantity: str, beta: float
) -> Generalization | None:
    names = list(base[0].of_role("ood"))
    if not names:
        return None
    for entry in (*base, *model):
        missing = [name for name in names if name not in entry.sets]
        if missing:
            raise UserError(
                f"{entry.path or entry.model}: OOD set {missing[0]!r} was not evaluated, but {base[0].model} has it."
            )

    def out(side: Sequence[ModelMetrics]) -> dict[str, float]:
        return {name: sum(getattr(e.sets[name].overall, quantity) for e in side) / len(side) for name in names}

    return generalization(
        _mean(model, lambda f: getattr(f, quantity)),
        out(model),
        beta,
        id_baseline=_mean(base, lambda f: getattr(f, quantity)),
        ood_baseline=out(base),
    )


def _mean(side: Sequence[ModelMetrics], value: Callable[[Figures], float]) -> float:
    return sum(value(entry.in_distribution().overall) for entry in side) / len(side)


def _fell(
    difference: Interval | None,
    before: float,
    after: float,
    base: Sequence[ModelMetrics],
    model: Sequence[ModelMetrics],
) -> bool:
    if difference is not None:
        return difference.high < 0
    # Without rollouts to pair: take the accuracy interval's half width as the uncertainty of each side.
    half = max(
        (high - low) / 2 for entry in (*base, *model) for low, high in [entry.in_distribution().accuracy_interval]
    )
    return after < before - 2 * half


def gate_table(result: GateResult) -> Table:
    """Generalization per quantity; percentages and points."""
    table = Table(title=f"Gate before RL: {escape(result.model)} against {escape(result.base)}", title_justify="left")
    for heading in ("", "ID gain", "OOD gain", "GF"):
        table.add_column(heading, justify="left" if not heading else "right")
    for quantity, factor in result.factors.items():
        table.add_row(
            quantity, f"{100 * factor.id_gain:+.1f}", f"{100 * factor.ood_gain:+.1f}", f"{100 * factor.factor:+.1f}"
        )
    return table


def pass_table(result: GateResult) -> Table:
    """pass@k of both models, in per cent."""
    table = Table()
    table.add_column("")
    for k in result.pass_at_k:
        table.add_column(f"pass@{k}", justify="right")
    table.add_row(escape(result.base), *(f"{100 * before:.1f}" for before, _ in result.pass_at_k.values()))
    table.add_row(escape(result.model), *(f"{100 * after:.1f}" for _, after in result.pass_at_k.values()))
    return table


def verdict(result: GateResult) -> str:
    """One sentence."""
    if result.open:
        return "Gate open: the cold start taught the format without losing answers; go on with RL."
    return f"Gate closed: {'; '.join(result.reasons)}. Change the cold start before spending RL on it."


def print_gate(console: Console, result: GateResult) -> None:
    """Compact print for the terminal."""
    if result.factors:
        console.print(gate_table(result))
    else:
        console.print("No OOD set was evaluated, so there is no Generalization Factor.")
    console.print(pass_table(result))
    console.print(f"[{'green' if result.open else 'red'}]{escape(verdict(result))}[/]")
