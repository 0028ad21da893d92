"""Subsets of the real line: intervals, unions, inequalities, points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.equality import same_value
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.values import Reading, symbols, value

MAX_PARTS = 40

Interval = tuple[Node, Node, bool, bool]  # from, to, open on the left, open on the right
_OO: Node = ("const", "oo")
_MINUS_OO: Node = ("neg", _OO)


def same_region(gold: Node, given: Node) -> bool | None:
    """Subsets of the real line, written as intervals, unions, inequalities or points."""
    one, two = _region(gold), _region(given)
    if one is None or two is None:
        return None
    if len(one) != len(two):
        return None if _touching(one) or _touching(two) else False
    for a, b in zip(one, two, strict=True):
        if a[2:] != b[2:]:
            return False
        for end, other in ((a[0], b[0]), (a[1], b[1])):
            verdict = _same_end(end, other)
            if not verdict:
                return verdict
    return True


def _same_end(one: Node, two: Node) -> bool | None:
    infinite = [end in (_OO, _MINUS_OO, ("const", "oo")) for end in (one, two)]
    if any(infinite):
        return one == two
    return same_value(one, two)


def _touching(region: list[Interval]) -> bool:
    """Whether neighbouring parts may join, so that the number of parts says nothing."""
    return any(_same_end(a[1], b[0]) is not False for a, b in itertools.pairwise(region))


def _region(node: Node) -> list[Interval] | None:
    """The parts of a region of the real line in ascending order, None for anything else."""
    parts = _parts(node)
    if parts is None or len(parts) > MAX_PARTS:
        return None
    try:
        return sorted(parts, key=lambda part: (_height(part[0]), _height(part[1])))
    except TooHard:
        return None


def _parts(node: Node) -> list[Interval] | None:
    kind = node[0]
    if kind == "union":
        return _joined(node[1])
    if kind == "group" and len(node[3]) == 2:
        return [(node[3][0], node[3][1], node[1] != "[", node[2] != "]")]
    if kind in ("set", "many", "list"):
        items = node[1]
        if all(item[0] in ("rel", "group") for item in items) and items:
            return _joined(items)
        return [(item, item, False, False) for item in items]
    if kind == "all":
        parts = _joined(node[1])
        return parts and (_between(parts) or parts)
    if kind == "rel":
        return _inequality(node)
    if kind == "minus" and node[2][0] in ("set", "many"):
        left = _parts(node[1])
        if left == [(_MINUS_OO, _OO, True, True)]:
            points = sorted(node[2][1], key=_height)
            ends = [_MINUS_OO, *points, _OO]
            return [(a, b, True, True) for a, b in itertools.pairwise(ends)]
    return None


def _joined(nodes: Iterable[Node]) -> list[Interval] | None:
    """The parts of all nodes, None when one of them is no region."""
    found: list[Interval] = []
    for node in nodes:
        parts = _parts(node)
        if parts is None:
            return None
        found += parts
    return found


def _between(parts: list[Interval]) -> list[Interval] | None:
    """ "x >= 2, x < 5": two conditions at once, since their union would be the whole line."""
    if len(parts) != 2:
        return None
    upper, lower = sorted(parts, key=lambda part: part[1] == _OO)
    if upper[0] != _MINUS_OO or lower[1] != _OO or upper[1] == _OO or lower[0] == _MINUS_OO:
        return None
    if _height(lower[0]) >= _height(upper[1]):
        return None
    return [(lower[0], upper[1], lower[2], upper[3])]


def _inequality(node: Node) -> list[Interval] | None:
    """x > 3, 1 <= x < 5, 3 < x, x != 2 with one bare symbol; "in" is settled before."""
    operators, members = node[1], node[2]
    if operators == ("in",):
        return _parts(members[1])
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
    if len(members) == 2 and operators[0] in turned:
        if _variable(members[0]) and not symbols(members[1]):
            operator, bound = operators[0], members[1]
        elif _variable(members[1]) and not symbols(members[0]):
            operator, bound = turned[operators[0]], members[0]
        else:
            return None
        if operator == "!=":
            return [(_MINUS_OO, bound, True, True), (bound, _OO, True, True)]
        if operator[0] == "<":
            return [(_MINUS_OO, bound, True, operator == "<")]
        return [(bound, _OO, operator == ">", True)]
    if len(members) == 3 and _variable(members[1]) and not symbols(members[0]) and not symbols(members[2]):
        first, second = operators
        if first[0] == second[0] == "<":
            return [(members[0], members[2], first == "<", second == "<")]
        if first[0] == second[0] == ">":
            return [(members[2], members[0], second == ">", first == ">")]
    return None


def _variable(node: Node) -> bool:
    """x, or f(x)."""
    applied = node[0] == "mul" and len(node[1]) == 2 and node[1][0] in (("sym", "f"), ("sym", "g"), ("sym", "h"))
    return node[0] == "sym" or (applied and node[1][1][0] == "sym")


def _height(node: Node) -> float:
    if node == _OO:
        return float("inf")
    if node == _MINUS_OO:
        return float("-inf")
    if symbols(node):
        raise TooHard("symbolic bound")
    return complex(value(node, Reading())).real
