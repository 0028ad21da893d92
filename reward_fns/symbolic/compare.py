"""Two trees: the same answer, a different one, or undecided.

    same(parse("x = 1/2"), parse("0.5"))                       -> True
    same(parse("(1, 2)"), parse("(2, 1)"))                     -> False
    same(parse("\\\\int_0^1 x dx"), ...)                         -> never gets here: parse raises TooHard

The order of the arguments matters: gold first. The form follows the gold: a value for "x = 5", an interval for an
inequality, a list for solutions joined by "or", but x = 5 is not y = 5. None means undecided: the next tier decides.
Not here: units and words (reading.py).
"""

from __future__ import annotations

import itertools
from fractions import Fraction

from reward_fns.symbolic.tokens import TooHard
from reward_fns.symbolic.tree import Node
from reward_fns.symbolic.values import POINTS, Reading, Value, contains, is_complex, symbols, value

EQUAL = 1e-10
DIFFERENT = 1e-7
MAX_ITEMS = 40
HUGE = 10**300
"""Larger fractions have no floating-point value; whatever has one differs from them."""

ORDER = (0, 3, 1, 4, 2, 5, 6, 7)
"""Points in the order in which they are tried: positive ones and such of either sign in turn (0 to 2 are positive)."""
ENOUGH = 4
"""Points at which expressions must agree; fewer, but at least two, when the others lie outside the real domain."""


def same(gold: Node, given: Node) -> bool | None:
    """Whether ``given`` states the answer ``gold``; None when that cannot be decided here."""
    if gold == given:
        return True
    try:
        return _same(gold, given)
    except (TooHard, ArithmeticError, ValueError, RecursionError):  # too large, not defined, too deep: not decided here
        return None


def _same(gold: Node, given: Node) -> bool | None:
    gold, given = _settle(gold), _settle(given)
    if gold == given:
        return True
    kind, other = gold[0], given[0]
    if kind == "rel" or other == "rel":
        return _same_relation(gold, given)
    if kind == "text" or other == "text":
        return _words(gold) == _words(given) if kind == other else False
    if kind in ("union", "minus", "meet") or other in ("union", "minus", "meet"):
        return _same_region(gold, given)
    if {kind, other} & {"many", "named", "all"}:
        return _same_many(gold, given)
    if kind == "group" or other == "group":
        return _same_group(gold, given)
    if kind == "matrix" or other == "matrix":
        return _same_matrix(gold, given)
    if kind == "ratio" or other == "ratio":
        return _same_ratio(gold, given)
    if kind == "base" or other == "base":
        return _same_base(gold, given)
    return same_value(gold, given)


# -------------------------------------------------------------------------------------------------------------- shape


def _settle(node: Node) -> Node:
    """One shape for things that are written in several ways: unordered collections become ("many", items), solved
    lists lose "x ="."""
    kind = node[0]
    if kind == "list":
        return _settle_list(node[1])
    if kind == "set":
        return ("many", tuple(_flat(node[1])), "set")
    if kind == "pm":
        return ("many", (("add", (node[1], node[2])), ("add", (node[1], ("neg", node[2])))))
    if kind == "group" and len(node[3]) == 1:
        return _settle(node[3][0])
    if kind == "neg" and node[1][0] in ("num", "dec"):
        return (node[1][0], -node[1][1], *node[1][2:])
    if kind == "rel" and node[1][-1] == "in":
        return _settle(node[2][-1])
    if kind == "rel" and "=" in node[1] and len(node[2]) == 2 and contains(node[2][1], "pm"):
        return _settle(node[2][1])
    return node


def _settle_list(items: tuple[Node, ...]) -> Node:
    """Solutions "x = 1 or x = 2" and "x = 1, 2" become values; values of different names ("x = 1, y = 2") stay
    named."""
    names = [_name(item) for item in items]
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
        if item[0] in ("pm", "set", "many"):
            flat.extend(_settle(item)[1])
        else:
            flat.append(item)
    return flat


def _name(node: Node) -> str | None:
    """The name that an equation assigns to: x, y_1, f(x), area; None for other relations."""
    if node[0] != "rel" or any(operator not in ("=", "~", "to") for operator in node[1]):
        return None
    left = node[2][0]
    if left[0] == "sym":
        return left[1]
    if left[0] == "text":
        return left[1].lower() or "?"
    if left[0] == "mul" and all(part[0] == "sym" for part in left[1]):  # f(x), and names such as AB
        return "".join(part[1] for part in left[1])
    if left[0] == "unit" and left[1][0] == "sym":
        return left[2].lower()
    return None


# ---------------------------------------------------------------------------------------------------------- relations


def _same_relation(gold: Node, given: Node) -> bool | None:
    if gold[0] != "rel":
        return _value_of_relation(gold, given)
    if given[0] != "rel":
        name = _name(gold)
        if name is not None:
            return _same(gold[2][-1], given)
        if all(operator in ("=", "~") for operator in gold[1]) and given[0] not in ("named", "all", "many"):
            return False  # "2x + z = 1" is not answered by "1"
        return _same_region(gold, given)
    gold_name, given_name = _name(gold), _name(given)
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
    return _same_region(gold, given)


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
        return _same_region(gold, given)
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
        return positive == (operator == other)
    return (
        None
        if spread < 1e-4 or operator not in ("=",) or (symbols(gold) == symbols(given) and len(symbols(gold)) == 1)
        else False
    )


# ------------------------------------------------------------------------------------------------------------ regions

Interval = tuple[Node, Node, bool, bool]  # from, to, open on the left, open on the right
_OO: Node = ("const", "oo")
_MINUS_OO: Node = ("neg", _OO)


def _same_region(gold: Node, given: Node) -> bool | None:
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
    if parts is None or len(parts) > MAX_ITEMS:
        return None
    try:
        return sorted(parts, key=lambda part: (_height(part[0]), _height(part[1])))
    except TooHard:
        return None


def _parts(node: Node) -> list[Interval] | None:
    kind = node[0]
    if kind == "union":
        found = [_parts(part) for part in node[1]]
        return None if any(part is None for part in found) else [interval for part in found for interval in part]
    if kind == "group" and len(node[3]) == 2:
        return [(node[3][0], node[3][1], node[1] != "[", node[2] != "]")]
    if kind in ("set", "many", "list"):
        items = node[1]
        if all(item[0] in ("rel", "group") for item in items) and items:
            found = [_parts(item) for item in items]
            return None if any(part is None for part in found) else [interval for part in found for interval in part]
        return [(item, item, False, False) for item in items]
    if kind == "all":
        found = [_parts(item) for item in node[1]]
        return None if any(part is None for part in found) else [interval for part in found for interval in part]
    if kind == "rel":
        return _inequality(node)
    if kind == "minus" and node[2][0] in ("set", "many"):
        left = _parts(node[1])
        if left == [(_MINUS_OO, _OO, True, True)]:
            points = sorted(node[2][1], key=_height)
            ends = [_MINUS_OO, *points, _OO]
            return [(a, b, True, True) for a, b in itertools.pairwise(ends)]
    return None


def _inequality(node: Node) -> list[Interval] | None:
    """x > 3, 1 <= x < 5, 3 < x, x != 2 with one bare symbol; "in" is settled before."""
    operators, members = node[1], node[2]
    if operators == ("in",):
        return _parts(members[1])
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
    if len(members) == 2 and operators[0] in turned:
        if members[0][0] == "sym" and not symbols(members[1]):
            operator, bound = operators[0], members[1]
        elif members[1][0] == "sym" and not symbols(members[0]):
            operator, bound = turned[operators[0]], members[0]
        else:
            return None
        if operator == "!=":
            return [(_MINUS_OO, bound, True, True), (bound, _OO, True, True)]
        if operator[0] == "<":
            return [(_MINUS_OO, bound, True, operator == "<")]
        return [(bound, _OO, operator == ">", True)]
    if len(members) == 3 and members[1][0] == "sym" and not symbols(members[0]) and not symbols(members[2]):
        first, second = operators
        if first[0] == second[0] == "<":
            return [(members[0], members[2], first == "<", second == "<")]
        if first[0] == second[0] == ">":
            return [(members[2], members[0], second == ">", first == ">")]
    return None


def _height(node: Node) -> float:
    if node == _OO:
        return float("inf")
    if node == _MINUS_OO:
        return float("-inf")
    if symbols(node):
        raise TooHard("symbolic bound")
    return complex(value(node, Reading())).real


# -------------------------------------------------------------------------------------------------------- collections


def _same_many(gold: Node, given: Node) -> bool | None:
    """Unordered answers; a bare list may stand for an ordered one and the other way round."""
    if gold[0] == "many" and given[0] == "many":
        return _match(_distinct(gold[1]), _distinct(given[1]))
    if gold[0] == given[0] == "named":
        one, two = dict(gold[1]), dict(given[1])
        if one.keys() == two.keys():
            return _in_order(tuple(one.values()), tuple(two[name] for name in one))
    one, two = _items(gold), _items(given)
    if one is not None and two is not None:
        if any("set" in side[2:] for side in (gold, given)) and any("[" in side[1:3] for side in (gold, given)):
            return False  # {2, 5} is no closed interval
        return _in_order(one, two)
    if gold[0] in ("named", "all") or given[0] in ("named", "all"):
        return None
    many, single = (gold, given) if gold[0] == "many" else (given, gold)
    if len(many[1]) == 1 or len(_distinct(many[1])) == 1:
        return _same(many[1][0], single) if many is gold else _same(single, many[1][0])
    if single[0] in ("group", "union"):
        return _same_region(gold, given)
    return False


def _items(node: Node) -> tuple[Node, ...] | None:
    if node[0] == "many":
        return node[1]
    if node[0] == "group":
        return node[3]
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


def _same_matrix(gold: Node, given: Node) -> bool | None:
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
        return gold[1:] == given[1:]
    base, plain = (gold, given) if gold[0] == "base" else (given, gold)
    return plain[0] == "num" and plain[1] == int(base[1])


def _words(node: Node) -> str:
    return " ".join(str(node[1]).lower().split())


# ------------------------------------------------------------------------------------------------------------- values


def same_value(gold: Node, given: Node) -> bool | None:
    """Two expressions: equal, different or undecided, over all readings of percent and degree signs."""
    readings = [Reading()]
    if contains(gold, "percent") or contains(given, "percent"):
        readings.append(Reading(percent=False))
    if contains(gold, "deg") != contains(given, "deg"):
        readings.append(Reading(radians=True))
    verdicts = [_equal_under(gold, given, reading) for reading in readings]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _equal_under(gold: Node, given: Node, reading: Reading) -> bool | None:
    names = symbols(gold) | symbols(given)
    if not names:
        return same_number(value(gold, reading), value(given, reading), gold, given)
    if bool(symbols(gold)) != bool(symbols(given)) and _varies(given if symbols(given) else gold, reading):
        return False
    complex_allowed = is_complex(gold) or is_complex(given)
    agreeing = 0
    skipped = []
    for point in ORDER:
        at = reading._replace(point=point)
        try:
            one, two = complex(value(gold, at)), complex(value(given, at))
        except TooHard:
            continue
        if not complex_allowed and (_imaginary(one) or _imaginary(two)):
            skipped.append((one, two))
            continue
        verdict = _close(one, two)
        if not verdict:
            return verdict
        agreeing += 1
        if agreeing == ENOUGH:
            return True
    if agreeing >= 2:
        return True
    verdicts = [_close(one, two) for one, two in skipped]
    if len(verdicts) < 2:
        return None
    return True if all(verdicts) else None if None in verdicts else False


def _varies(node: Node, reading: Reading) -> bool:
    """Whether an expression takes clearly different values, so that no constant can equal it."""
    found = []
    for point in ORDER[:3]:
        try:
            found.append(complex(value(node, reading._replace(point=point))))
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


def same_number(gold: Value, given: Value, gold_node: Node, given_node: Node) -> bool | None:
    """Constants: exact when both are fractions; a decimal stands for what rounds to it."""
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
    return rounds_to(one.real, two.real, gold_places, given_places)


def rounds_to(gold: float, given: float, gold_places: int | None, given_places: int | None) -> bool:
    """Whether a decimal agrees with a more exact value: the gold with two or more decimals, the response with four or
    more digits.

    A gold such as 3.14 is a rounded value, so pi and 3.1416 agree with it. A gold such as 1/3 is exact; a response
    must show that it means it: 0.3333 agrees, 0.33 does not.
    """
    gap = abs(gold - given)
    if gold_places is not None and gold_places >= 2 and (given_places is None or given_places > gold_places):
        return gap <= max(0.5000001 * 10.0**-gold_places, 1e-12 * abs(gold))
    if gold_places is None and given_places is not None and given_places >= 2:
        digits = given_places + (len(str(int(abs(given)))) if abs(given) >= 1 else 0)
        return digits >= 4 and gap <= 0.5000001 * 10.0**-given_places
    return False


def places(node: Node) -> int | None:
    """Decimals of a bare decimal number (with sign, unit or power of ten); None for anything that is exact."""
    if node[0] == "dec":
        return node[2]
    if node[0] in ("neg", "percent", "deg", "unit"):
        return places(node[1])
    return None
