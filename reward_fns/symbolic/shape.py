"""One shape for things that are written in several ways, before they are compared.

Unordered collections become ("many", items), solved equations of one name their values, several of them
("named", pairs), inequalities side by side ("all", relations).
"""

from __future__ import annotations

from reward_fns.symbolic.cursor import Node, mapped
from reward_fns.symbolic.values import contains

_VALUES = frozenset(("add", "mul", "div", "neg", "pow", "root", "fn", "pm", "unit", "percent", "deg"))
_NOTHING = frozenset(
    ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set")
)
_ALL_REALS = frozenset(("all real numbers", "all reals", "all real", "real numbers", "the set of all real numbers"))


def _with_plus(node: Node) -> Node:
    return ("add", (node[1], node[2])) if node[0] == "pm" else node


def _with_minus(node: Node) -> Node:
    return ("add", (node[1], ("neg", node[2]))) if node[0] == "pm" else node


def settle(node: Node) -> Node:
    """One shape for things that are written in several ways: unordered collections become ("many", items), solved
    lists lose "x ="."""
    kind = node[0]
    if kind == "list":
        return _settle_list(node[1])
    if kind == "set":
        nested = any(item[0] == "set" for item in node[1])  # {{}} is not {}
        return ("many", tuple(node[1] if nested else _flat(node[1])), "set")
    if kind in _VALUES and contains(node, "pm"):
        return ("many", (mapped(node, _with_plus), mapped(node, _with_minus)))
    if kind == "text" and node[1].lower() in _NOTHING:
        return ("many", (), "set")
    if kind == "text" and node[1].lower() in _ALL_REALS:
        return ("group", "(", ")", (("neg", ("const", "oo")), ("const", "oo")))
    if kind == "group" and len(node[3]) == 1:
        return settle(node[3][0])
    if kind == "neg" and node[1][0] in ("num", "dec"):
        return (node[1][0], -node[1][1], *node[1][2:])
    if kind == "rel" and node[1][-1] == "in":
        return settle(node[2][-1])
    if kind == "rel" and "=" in node[1] and len(node[2]) == 2 and contains(node[2][1], "pm"):
        return settle(node[2][1])
    return node


def _settle_list(items: tuple[Node, ...]) -> Node:
    """Solutions "x = 1 or x = 2" and "x = 1, 2" become values; values of different names ("x = 1, y = 2") stay
    named."""
    names = [name_of(item) for item in items]
    if names[0] is not None and all(name in (None, names[0]) for name in names):
        return (
            "many",
            tuple(_flat(tuple(item[2][-1] if name else item for item, name in zip(items, names, strict=True)))),
        )
    if all(name is not None for name in names):
        return ("named", tuple((name, item[2][-1]) for name, item in zip(names, items, strict=True)))
    if all(item[0] == "rel" for item in items):
        return ("all", items)
    return ("many", tuple(_flat(items)))


def _flat(items: tuple[Node, ...]) -> list[Node]:
    flat: list[Node] = []
    for item in items:
        if item[0] in ("set", "many") or (item[0] in _VALUES and contains(item, "pm")):
            flat.extend(settle(item)[1])
        else:
            flat.append(item)
    return flat


def name_of(node: Node) -> str | None:
    """The name that an equation assigns to: x, y_1, f(x), area; None for other relations."""
    if node[0] != "rel" or any(operator not in ("=", "~", "to") for operator in node[1]):
        return None
    left = node[2][0]
    if left[0] == "sym":
        return str(left[1])
    if left[0] == "text":
        return str(left[1]).lower() or "?"
    if left[0] == "mul" and all(part[0] == "sym" for part in left[1]):  # f(x), and names such as AB
        return "".join(part[1] for part in left[1])
    if left[0] == "div" and _differential(left[1]) and _differential(left[2]):  # dy/dx
        return _differential(left[1]) + "'"
    if left[0] == "unit" and left[1][0] == "sym":
        return str(left[2]).lower()
    return None


def _differential(node: Node) -> str:
    """The y of "dy", else nothing."""
    if node[0] == "mul" and len(node[1]) == 2 and node[1][0] == ("sym", "d") and node[1][1][0] == "sym":
        return str(node[1][1][1])
    return ""
