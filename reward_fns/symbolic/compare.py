"""Two trees: the same answer, a different one, or undecided.

    same(parse("x = 1/2"), parse("0.5"))                       -> True
    same(parse("(1, 2)"), parse("(2, 1)"))                     -> False
    same(parse("\\\\int_0^1 x dx"), ...)                         -> never gets here: parse raises TooHard

The order of the arguments matters: gold first. The form follows the gold: a value for "x = 5", an interval for an
inequality, a list for solutions joined by "or", but x = 5 is not y = 5. None means undecided: the next tier decides.
Not here: units (verifiers/mathematics.py).
"""

from __future__ import annotations

from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.dummies import renamed
from reward_fns.symbolic.equality import EQUAL, same_value
from reward_fns.symbolic.regions import same_region
from reward_fns.symbolic.shape import name_of, settle
from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.values import POINTS, Reading, symbols, value

MAX_ITEMS = 40


def same(gold: Node, given: Node) -> bool | None:
    """Whether ``given`` states the answer ``gold``; None when that cannot be decided here."""
    if gold == given:
        return True
    try:
        return _same(gold, renamed(gold, given))
    except (TooHard, ArithmeticError, ValueError, RecursionError):  # too large, not defined, too deep: not decided here
        return None


def _points(node: Node) -> str:
    """The name of a polygon or an angle, ABC: capitals that are no product; else nothing."""
    if node[0] == "mul" and len(node[1]) >= 3 and all(part[0] == "sym" and part[1].isupper() for part in node[1]):
        return "".join(part[1] for part in node[1])
    return ""


def _same(gold: Node, given: Node) -> bool | None:
    gold, given = settle(gold), settle(given)
    if gold == given:
        return True
    kind, other = gold[0], given[0]
    if _points(gold) and _points(given):
        return _points(gold) in (_points(given), _points(given)[::-1])
    if kind == "rel" or other == "rel":
        return _same_relation(gold, given)
    if kind == "text" or other == "text":
        return _words(gold) == _words(given) if kind == other else False
    if kind in ("union", "minus", "meet") or other in ("union", "minus", "meet"):
        return same_region(gold, given)
    if {kind, other} & {"many", "named", "all"}:
        return _same_many(gold, given)
    if kind == "matrix" or other == "matrix":
        verdict = _same_matrix(gold, given)
        if verdict is not None or "group" not in (kind, other):
            return verdict
    if kind == "group" or other == "group":
        return _same_group(gold, given)
    if kind == "ratio" or other == "ratio":
        return _same_ratio(gold, given)
    if kind == "base" or other == "base":
        return _same_base(gold, given)
    return same_value(gold, given)


def _same_relation(gold: Node, given: Node) -> bool | None:
    if gold[0] != "rel":
        return _value_of_relation(gold, given)
    if given[0] != "rel":
        name = name_of(gold)
        if name is not None:
            return _same(gold[2][-1], given)
        if all(operator in ("=", "~") for operator in gold[1]) and given[0] not in ("named", "all", "many"):
            if _measured(gold[2][0]) and not symbols(gold[2][-1]):
                return _same(gold[2][-1], given)
            return False  # "2x + z = 1" is not answered by "1"
        return same_region(gold, given)
    gold_name, given_name = name_of(gold), name_of(given)
    if gold_name is not None and given_name is not None:
        if (
            gold_name == given_name
            or "(" in gold_name
            or len({gold_name[0], given_name[0]} & {"f", "g", "h", "y"}) == 2
        ):
            verdicts = [_same(a, b) for a in _outcomes(gold) for b in _outcomes(given)]
            return True if True in verdicts else verdicts[0]
        if _swapped(gold, given):
            return True
    verdict = _same_by_difference(gold, given)
    if verdict is not None:
        return verdict
    return same_region(gold, given)


def _measured(node: Node) -> bool:
    """A left side that names one quantity: (p, q), V_1 : V_2, NO / BO, |AB|."""
    return node[0] in ("ratio", "div", "group") or node[:2] == ("fn", "abs")


def _outcomes(relation: Node) -> list[Node]:
    """What an equation states in the end: its last member, or also the exact one before an approximation."""
    members = relation[2]
    return [members[-1], members[-2]] if relation[1][-1] == "~" and len(members) > 2 else [members[-1]]


def _swapped(gold: Node, given: Node) -> bool:
    return len(gold[2]) == len(given[2]) == 2 and gold[2] == given[2][::-1]


def _value_of_relation(gold: Node, given: Node) -> bool | None:
    """A value is asked for, the response states an equation: the last member counts, or the one before an
    approximation."""
    operators, members = given[1], given[2]
    if any(operator not in ("=", "~", "to") for operator in operators):
        return same_region(gold, given)
    verdict = _same(gold, members[-1])
    if verdict:
        return True
    if operators[-1] == "~" and len(members) > 1:
        before = _same(gold, members[-2])
        if before:
            return True
    if len(members) == 2 and members[1][0] in ("sym", "text"):  # 5 = x
        return _same(gold, members[0])
    return verdict


def _same_by_difference(gold: Node, given: Node) -> bool | None:
    """Equations and simple inequalities: left - right agree up to a constant factor (a positive one for the same
    direction)."""
    if len(gold[2]) != 2 or len(given[2]) != 2:
        return None
    operator, other = gold[1][0], given[1][0]
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    if operator not in ("=", "!=", *turned) or other not in ("=", "!=", *turned):
        return None
    if operator in ("=", "!=") and operator != other:
        return False if other in ("=", "!=") else None
    if operator in turned and other not in (operator, turned[operator]):
        return False if other in turned and symbols(gold) == symbols(given) else None
    ratios = []
    for point in range(POINTS):
        reading = Reading(point)
        one, two = (complex(value(side[2][0], reading)) - complex(value(side[2][1], reading)) for side in (gold, given))
        if abs(one) < EQUAL or abs(two) < EQUAL:
            continue
        ratios.append(one / two)
    if len(ratios) < 3:
        return None
    spread = max(abs(ratio - ratios[0]) for ratio in ratios) / abs(ratios[0])
    if spread < 1e-7:
        if operator in ("=", "!="):
            return True
        positive = ratios[0].real > 0
        return bool(positive == (operator == other))
    return (
        None
        if spread < 1e-4 or operator not in ("=",) or (symbols(gold) == symbols(given) and len(symbols(gold)) == 1)
        else False
    )


def _same_many(gold: Node, given: Node) -> bool | None:
    """Unordered answers; a bare list may stand for an ordered one and the other way round."""
    if gold[0] == "many" and given[0] == "many":
        return _match(_distinct(gold[1]), _distinct(given[1]))
    if gold[0] == given[0] == "named":
        ours, theirs = dict(gold[1]), dict(given[1])
        if ours.keys() == theirs.keys():
            return _in_order(tuple(ours.values()), tuple(theirs[name] for name in ours))
    one, two = _items(gold), _items(given)
    if one is not None and two is not None:
        if any("set" in side[2:] for side in (gold, given)) and "group" in (gold[0], given[0]):
            return False  # {2, 5} is no interval and no point
        return _in_order(one, two)
    if "all" in (gold[0], given[0]):
        return same_region(gold, given)
    if gold[0] == "named" or given[0] == "named":
        return None
    many, single = (gold, given) if gold[0] == "many" else (given, gold)
    if len(many[1]) == 1 or len(_distinct(many[1])) == 1:
        return _same(many[1][0], single) if many is gold else _same(single, many[1][0])
    if single[0] in ("group", "union"):
        return same_region(gold, given)
    return False


def _items(node: Node) -> tuple[Node, ...] | None:
    if node[0] == "many":
        return tuple(node[1])
    if node[0] == "group":
        return tuple(node[3])
    if node[0] == "named":
        return tuple(item for _, item in node[1])
    if node[0] == "matrix" and (len(node[1]) == 1 or len(node[1][0]) == 1):
        return tuple(cell for row in node[1] for cell in row)
    return None


def _distinct(items: tuple[Node, ...]) -> list[Node]:
    kept: list[Node] = []
    for item in items[:MAX_ITEMS]:
        if not any(_same(item, other) for other in kept):
            kept.append(item)
    return kept


def _match(gold: list[Node], given: list[Node]) -> bool | None:
    """Whether both hold the same answers in some order. Equality is transitive, so a greedy match is exact."""
    if len(gold) != len(given):
        return False
    left = list(given)
    undecided = False
    for item in gold:
        verdicts = [_same(item, other) for other in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            undecided = True
        else:
            return False
    return None if undecided else True


def _in_order(gold: tuple[Node, ...], given: tuple[Node, ...]) -> bool | None:
    if len(gold) != len(given):
        return False
    verdicts = [_same(a, b) for a, b in zip(gold, given, strict=True)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _same_group(gold: Node, given: Node) -> bool | None:
    """Tuples, points, intervals, vectors: ordered, and brackets matter when they say open or closed."""
    one, two = _items(gold), _items(given)
    if one is None or two is None:
        return None if given[0] in ("all",) or gold[0] in ("all",) else False
    brackets_differ = gold[0] == given[0] == "group" and gold[1:3] != given[1:3] and len(one) == 2
    if brackets_differ and {gold[1], gold[2], given[1], given[2]} <= {"(", ")", "[", "]"}:
        return False
    return _in_order(one, two)


def _as_matrix(node: Node) -> Node:
    """[[1, 2], [3, 4]] as a matrix."""
    if node[0] == "group" and node[1:3] == ("[", "]") and len(node[3]) > 1:
        rows = node[3]
        if all(row[0] == "group" and row[1] == "[" and len(row[3]) == len(rows[0][3]) for row in rows):
            return ("matrix", tuple(row[3] for row in rows))
    return node


def _same_matrix(gold: Node, given: Node) -> bool | None:
    gold, given = _as_matrix(gold), _as_matrix(given)
    if gold[0] != "matrix" or given[0] != "matrix":
        return None
    if len(gold[1]) != len(given[1]) or len(gold[1][0]) != len(given[1][0]):
        return False
    flat = lambda matrix: tuple(cell for row in matrix[1] for cell in row)  # noqa: E731
    return _in_order(flat(gold), flat(given))


def _same_ratio(gold: Node, given: Node) -> bool | None:
    one, two = _quotients(gold), _quotients(given)
    return _in_order(one, two) if one and two else False


def _quotients(node: Node) -> tuple[Node, ...]:
    """3:4:5 as the quotients of neighbours; a plain value is a ratio to one."""
    if node[0] != "ratio":
        return (node,)
    return tuple(("div", a, b) for a, b in zip(node[1], node[1][1:], strict=False))


def _same_base(gold: Node, given: Node) -> bool | None:
    """1011_2: the digits must agree; a base that one side leaves out is understood."""
    if gold[0] == given[0] == "base":
        return bool(gold[1:] == given[1:])
    base, plain = (gold, given) if gold[0] == "base" else (given, gold)
    return bool(plain[0] == "num" and plain[1] == int(base[1]))


def _words(node: Node) -> str:
    return " ".join(str(node[1]).lower().split())
