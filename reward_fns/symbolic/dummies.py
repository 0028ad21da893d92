r"""Symbols whose name says nothing: the integer of a periodic solution, the constant of an integral.

renamed(parse(r"k\pi"), parse(r"n\pi"))        -> the tree of k\pi
renamed(parse("e^x + C"), parse("e^x + c"))    -> the tree of e^x + C
"""

from __future__ import annotations

from reward_fns.symbolic.cursor import Node, mapped
from reward_fns.symbolic.values import contains, symbols

_INTEGERS = frozenset(("k", "n", "m"))
_CONSTANTS = frozenset(("C", "c", "K", "C_1", "c_1", "C_0"))


def renamed(gold: Node, given: Node) -> Node:
    """``given`` with its dummy symbol called as in ``gold``."""
    value = given[2][-1] if given[0] == "rel" and gold[0] != "rel" else given
    ours, theirs = symbols(gold), symbols(value)
    if ours == theirs or not ours or not theirs:
        return given
    names = _INTEGERS if _periodic(gold) and _periodic(given) else _CONSTANTS if _integral(gold, ours) else frozenset()
    one, two = ours & names, theirs & names
    if len(one) != 1 or len(two) != 1 or ours - one != theirs - two:
        return given
    old, new = ("sym", next(iter(two))), ("sym", next(iter(one)))
    return mapped(given, lambda node: new if node == old else node)


def _periodic(node: Node) -> bool:
    return contains(node, "deg") or _has_pi(node)


def _has_pi(node: Node) -> bool:
    return node == ("const", "pi") or any(
        isinstance(part, tuple)
        and (_has_pi(part) if part and isinstance(part[0], str) else any(map(_has_pi, _nodes(part))))
        for part in node[1:]
    )


def _nodes(part: Node) -> list[Node]:
    return [item for item in part if isinstance(item, tuple) and item]


def _integral(node: Node, names: frozenset[str]) -> bool:
    """Whether a sum ends with a bare constant, as antiderivatives do."""
    last = node[2][-1] if node[0] == "rel" else node
    return last[0] == "add" and len(names) > 1 and any(term[0] == "sym" and term[1] in _CONSTANTS for term in last[1])
