"""Two expressions without structure above arithmetic: equal, different or undecided.

Constants are compared exactly where both are fractions, a decimal stands for what rounds to it, and expressions with
symbols are compared at several points.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from reward_fns.numbers.tolerance import STRICT, agrees
from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.values import Reading, Value, as_complex, contains, value, walk

EQUAL = 1e-10
DIFFERENT = 1e-7
HUGE = 10**300
"""Larger fractions have no floating-point value; whatever has one differs from them."""

ORDER = (0, 3, 1, 4, 2, 5, 6, 7)
"""Points in the order in which they are tried: positive ones (0 to 2) and ones of either sign by turns."""
ENOUGH = 4
"""Points at which expressions must agree; fewer, but at least two, when the others lie outside the real domain."""


class _Side(NamedTuple):
    """An expression, and what occurs in it."""

    node: Node
    kinds: frozenset[str]
    names: frozenset[str]
    has_log: bool
    imaginary: bool
    piecewise: bool
    """It has pieces, so that agreement near zero says little: |x - 5|, floor, max, sqrt(x^2)."""


def _surveyed(node: Node) -> _Side:
    nodes = walk(node)
    functions = {one[1] for one in nodes if one[0] == "fn"}
    return _Side(
        node,
        kinds=frozenset(one[0] for one in nodes),
        names=frozenset(one[1] for one in nodes if one[0] == "sym"),
        has_log="log" in functions,
        imaginary=("const", "i") in nodes,
        piecewise=not functions.isdisjoint(_PIECEWISE)
        or any(one[0] == "root" and contains(one[2], "pow") for one in nodes),
    )


_PIECEWISE = ("abs", "floor", "ceil", "max", "min")


def same_value(gold: Node, given: Node) -> bool | None:
    """Two expressions: equal, different or undecided, over all readings of percent and degree signs."""
    ours, theirs = _surveyed(gold), _surveyed(given)
    readings = [Reading()]
    if "percent" in ours.kinds or "percent" in theirs.kinds:
        readings.append(Reading(percent=False))
    if ("deg" in ours.kinds) != ("deg" in theirs.kinds):
        readings.append(Reading(radians=True))
    if ours.has_log or theirs.has_log:
        readings.append(Reading(common=True))
    verdicts = [_equal_under(ours, theirs, reading) for reading in readings]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _equal_under(ours: _Side, theirs: _Side, reading: Reading) -> bool | None:
    gold, given = ours.node, theirs.node
    if not ours.names and not theirs.names:
        return _same_constant(value(gold, reading), value(given, reading), gold, given)
    if bool(ours.names) != bool(theirs.names) and _varies(given if theirs.names else gold, reading):
        return False
    complex_allowed = ours.imaginary or theirs.imaginary
    piecewise = ours.piecewise or theirs.piecewise
    agreeing = unsure = 0
    skipped = []
    for point in ORDER:
        at = reading._replace(point=point)
        try:
            one, two = as_complex(value(gold, at)), as_complex(value(given, at))
        except TooHard:
            continue
        if not complex_allowed and (_imaginary(one) or _imaginary(two)):
            skipped.append((one, two))
            continue
        verdict = _close(one, two)
        if verdict is False:
            return False
        if verdict is None:  # near a zero, where terms cancel
            unsure += 1
            continue
        agreeing += 1
        if agreeing == ENOUGH and not piecewise:
            return True
    if agreeing >= 2 + unsure:
        return True
    if unsure:
        return None
    verdicts = [_close(one, two) for one, two in skipped]
    if len(verdicts) < 2:
        return None
    return True if all(verdicts) else None if None in verdicts else False


def _varies(node: Node, reading: Reading) -> bool:
    """Whether an expression takes clearly different values, so that no constant can equal it."""
    found = []
    for point in ORDER[:3]:
        try:
            found.append(as_complex(value(node, reading._replace(point=point))))
        except (TooHard, ArithmeticError):
            continue
    return len(found) >= 2 and any(_close(found[0], other) is False for other in found[1:])


def _imaginary(number: complex) -> bool:
    return abs(number.imag) > 1e-9 * max(1.0, abs(number.real))


def _close(one: complex, two: complex) -> bool | None:
    size = max(abs(one), abs(two))
    gap = abs(one - two)
    if gap <= EQUAL * size or gap < 1e-13:
        return True
    return False if gap > DIFFERENT * size else None


def _same_constant(gold: Value, given: Value, gold_node: Node, given_node: Node) -> bool | None:
    """Constants: exact when both are fractions, and the rule of numbers/tolerance.py where a decimal is involved."""
    huge = [isinstance(side, Fraction) and abs(side) > HUGE for side in (gold, given)]
    if any(huge):
        return (
            gold == given if all(isinstance(side, Fraction) for side in (gold, given)) else None if all(huge) else False
        )
    if isinstance(gold, Fraction) and isinstance(given, Fraction):
        if gold == given:
            return True
    else:
        verdict = _close(complex(gold), complex(given))
        if verdict:
            return True
    gold_places, given_places = places(gold_node), places(given_node)
    if gold_places is None and given_places is None:
        return (
            False
            if isinstance(gold, Fraction) and isinstance(given, Fraction)
            else _close(complex(gold), complex(given))
        )
    one, two = complex(gold), complex(given)
    if _imaginary(one) or _imaginary(two):
        return False
    exact = gold_places is None and abs(one.real - round(one.real)) <= EQUAL  # an integer that was computed
    wanted = gold if isinstance(gold, Fraction) else Fraction(round(one.real) if exact else one.real)
    found = given if isinstance(given, Fraction) else Fraction(two.real)
    return agrees(wanted, found, gold_places, given_places is not None, STRICT)


def places(node: Node) -> int | None:
    """Decimals of a bare decimal number (with sign, unit or power of ten); None for anything that is exact."""
    if node[0] == "dec":
        return int(node[2])
    if node[0] in ("neg", "percent", "deg", "unit"):
        return places(node[1])
    return None
