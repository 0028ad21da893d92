"""Values of expression trees: exact fractions where possible, else complex numbers at fixed points.

    value(("div", ("num", 1), ("num", 3)), Reading())       -> Fraction(1, 3)
    value(("mul", (two, x)), Reading(point=1))              -> (2.83+0j)

Two expressions that agree at several generic points are equal for all practical purposes (a polynomial identity
test); this replaces symbolic simplification in all but the hard cases. Sizes are bounded before anything is computed:
no power tower ever grows.
"""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from reward_fns.symbolic.cursor import Node
from reward_fns.symbolic.tokens import TooHard

MAX_BITS = 4_096
MAX_ANGLE = 1e5
"""Radians, beyond which floating point says nothing about a sine."""
POINTS = 8
FAR = 5
"""From this point on symbols take larger values, where |x - 5|, floors and maxima show their other side."""
_SCALES = (5.0, 19.0, 67.0)
Value = Fraction | complex


class Reading(NamedTuple):
    """How marks that people use in two ways are read, and the point at which free symbols are evaluated."""

    point: int = 0
    percent: bool = True
    """50 % is 0.5; False: 50."""
    common: bool = False
    """log without a base is the common logarithm; False: the natural one."""
    radians: bool = False
    """30 degrees are pi / 6; False: 30 (inside a trigonometric function they are always pi / 6)."""


def value(node: Node, reading: Reading) -> Value:
    """The value of ``node``; TooHard when it has none that can be computed within bounds."""
    try:
        result = _value(node, reading, reading.radians)
    except (OverflowError, ZeroDivisionError, ValueError) as error:
        raise TooHard(str(error)) from error
    if isinstance(result, complex) and not (math.isfinite(result.real) and math.isfinite(result.imag)):
        raise TooHard("not finite")
    return result


def as_complex(number: Value) -> complex:
    """``complex(number)``, without the slow questions of the abstract class that fractions are of."""
    return number if isinstance(number, complex) else complex(number.numerator / number.denominator)


def symbols(node: Node) -> frozenset[str]:
    """Names of the free symbols."""
    return frozenset(one[1] for one in walk(node) if one[0] == "sym")


def contains(node: Node, *kinds: str) -> bool:
    """Whether a node of one of these kinds occurs."""
    return any(one[0] in kinds for one in walk(node))


def is_complex(node: Node) -> bool:
    """Whether the imaginary unit occurs."""
    return ("const", "i") in walk(node)


def walk(node: Node) -> list[Node]:
    """``node`` and all nodes below it."""
    found = [node]
    for one in found:
        if one[0] not in _LEAVES:
            found.extend(children(one))
    return found


_LEAVES = frozenset(("num", "dec", "sym", "const"))


def children(node: Node) -> list[Node]:
    """The nodes directly below ``node``."""
    found: list[Node] = []
    for part in node[1:]:
        if isinstance(part, tuple) and part:
            if isinstance(part[0], str):
                if node[0] not in ("rel",) or part in node[2:]:
                    found.append(part)
            else:
                for item in part:
                    if isinstance(item, tuple) and item:
                        found.extend((item,) if isinstance(item[0], str) else item)
    return found


def point_of(name: str, point: int) -> float:
    """Where the symbol ``name`` is evaluated: generic, reproducible, positive at the first points, of either sign
    later."""
    share = zlib.crc32(f"{name}/{point}".encode()) / 2**32
    positive = 0.35 + 2.3 * share
    if point < 3:
        return positive
    if point >= FAR:
        positive *= _SCALES[point - FAR]
    return -positive if zlib.crc32(f"{point}/{name}".encode()) & 1 else positive + 0.5


def _value(node: Node, reading: Reading, radians: bool) -> Value:
    kind = node[0]
    if kind in ("num", "dec"):
        exact: Fraction = node[1]
        return exact
    if kind == "sym":
        return complex(point_of(node[1], reading.point))
    if kind == "const":
        if node[1] == "oo":
            raise TooHard("infinity")
        return {"pi": complex(math.pi), "e": complex(math.e), "i": 1j}[node[1]]
    if kind == "add":
        return _fold(node[1], reading, radians, product=False)
    if kind == "mul":
        return _fold(node[1], reading, radians, product=True)
    if kind == "neg":
        return -_value(node[1], reading, radians)
    if kind == "div":
        top, bottom = _value(node[1], reading, radians), _value(node[2], reading, radians)
        if isinstance(top, complex) or isinstance(bottom, complex):
            return as_complex(top) / as_complex(bottom)
        return _bounded(top / bottom)
    if kind == "pow":
        return _power(_value(node[1], reading, radians), _value(node[2], reading, False))
    if kind == "root":
        return _root(_value(node[1], reading, radians), _value(node[2], reading, radians))
    if kind == "fact":
        return _factorial(_value(node[1], reading, radians))
    if kind == "fn":
        return _function(node[1], node[2], reading, radians)
    if kind == "log":
        base, number = complex(_value(node[1], reading, False)), complex(_value(node[2], reading, False))
        return cmath.log(number) / cmath.log(base)
    if kind == "percent":
        inner = _value(node[1], reading, radians)
        return inner / 100 if reading.percent else inner
    if kind == "deg":
        inner = _value(node[1], reading, radians)
        return complex(inner) * math.pi / 180 if radians else inner
    if kind == "unit":
        return _value(node[1], reading, radians)
    if kind == "base":
        return Fraction(int(node[1]))
    if kind == "group" and len(node[3]) == 1:  # [x + 1]^2: brackets around one term
        return _value(node[3][0], reading, radians)
    raise TooHard(f"no value: {kind}")


def _fold(nodes: tuple[Node, ...], reading: Reading, radians: bool, product: bool) -> Value:
    total: Value = Fraction(1) if product else Fraction(0)
    for node in nodes:
        item = _value(node, reading, radians)
        if isinstance(total, complex) or isinstance(item, complex):
            one, two = as_complex(total), as_complex(item)
            total = one * two if product else one + two
        else:
            total = _bounded(total * item if product else total + item)
    return total


def _bounded(number: Fraction) -> Fraction:
    if number.numerator.bit_length() + number.denominator.bit_length() > MAX_BITS:
        raise TooHard("number too long")
    return number


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        power = exponent.numerator
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if base in (0, 1, -1) and abs(power) < 2**64:
            if base == 0 and power <= 0:
                raise TooHard("0 to the power 0 or less")
            return Fraction(1) if base == 1 or power == 0 else base if base == 0 else Fraction(-1 if power % 2 else 1)
        if size * abs(power) > MAX_BITS:
            raise TooHard("power too large")
        return base**power
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        root = _exact_root(base, exponent.denominator) if base > 0 and exponent.denominator <= 64 else None
        if root is not None:
            return _power(root, Fraction(exponent.numerator))
    if base == 0:
        if complex(exponent).real > 0:
            return Fraction(0)
        raise TooHard("0 to the power 0 or less")
    return complex(base) ** complex(exponent)


def _root(index: Value, inner: Value) -> Value:
    if isinstance(index, Fraction) and index.denominator == 1 and 1 <= index <= 64 and isinstance(inner, Fraction):
        degree = int(index)
        if inner >= 0 or degree % 2:
            root = _exact_root(abs(inner), degree)
            if root is not None:
                return root if inner >= 0 else -root
    number = complex(inner)
    negative_real = number.imag == 0 and number.real < 0
    if negative_real and isinstance(index, Fraction) and index.denominator == 1 and index.numerator % 2:
        return -complex((-number.real) ** (1 / float(index)))
    if index == 2:
        return cmath.sqrt(number)
    return number ** (1 / complex(index))


def _exact_root(number: Fraction, degree: int) -> Fraction | None:
    """The root of a fraction when it is a fraction itself."""
    parts = []
    for part in (number.numerator, number.denominator):
        if degree == 2:
            root = math.isqrt(part)
        else:
            if part.bit_length() > 900:
                return None
            root = round(part ** (1 / degree))
        if root**degree != part:
            return None
        parts.append(root)
    return Fraction(*parts)


def _factorial(inner: Value) -> Value:
    if isinstance(inner, Fraction) and inner.denominator == 1:
        if not 0 <= inner <= 300:
            raise TooHard("factorial out of bounds")
        return _bounded(Fraction(math.factorial(int(inner))))
    number = complex(inner)
    if number.imag or number.real < -0.9:
        raise TooHard("factorial")
    return complex(math.gamma(number.real + 1))


_TRIGONOMETRIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_COMPLEX: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan,
    "cot": lambda z: 1 / cmath.tan(z), "sec": lambda z: 1 / cmath.cos(z), "csc": lambda z: 1 / cmath.sin(z),
    "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan,
    "arccot": lambda z: cmath.pi / 2 - cmath.atan(z),
    "arcsec": lambda z: cmath.acos(1 / z), "arccsc": lambda z: cmath.asin(1 / z),
    "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "coth": lambda z: 1 / cmath.tanh(z),
    "arcsinh": cmath.asinh, "arccosh": cmath.acosh, "arctanh": cmath.atanh,
    "ln": cmath.log, "log": cmath.log, "exp": cmath.exp,
}  # fmt: skip


def _function(name: str, arguments: tuple[Node, ...], reading: Reading, radians: bool) -> Value:
    if name in _TRIGONOMETRIC:
        radians = True
    if name == "det":
        return _determinant(arguments[0], reading)
    values = [_value(argument, reading, radians) for argument in arguments]
    if name == "abs" and len(values) == 1:
        return abs(values[0]) if isinstance(values[0], Fraction) else complex(abs(values[0]))
    if name in _COMPLEX and len(values) == 1:
        if values[0] == 0 and name in ("sin", "tan", "arcsin", "arctan", "sinh"):
            return Fraction(0)
        if values[0] == 0 and name in ("cos", "exp", "cosh"):
            return Fraction(1)
        if name in _TRIGONOMETRIC and abs(complex(values[0])) > MAX_ANGLE:
            raise TooHard("angle too large")
        found = _COMPLEX[name](complex(values[0]))
        return found / math.log(10) if name == "log" and reading.common else found
    if name in ("floor", "ceil") and len(values) == 1:
        number = values[0] if isinstance(values[0], Fraction) else values[0].real
        return Fraction(math.floor(number) if name == "floor" else math.ceil(number))
    whole = [int(v) for v in values if isinstance(v, Fraction) and v.denominator == 1]
    if name == "binom" and len(values) == 2:
        return _binomial(values[0], values[1])
    if name in ("max", "min") and values:
        reals = [v if isinstance(v, Fraction) else v.real for v in values]
        chosen = (max if name == "max" else min)(reals)
        return chosen if isinstance(chosen, Fraction) else complex(chosen)
    if name in ("gcd", "lcm") and values and len(whole) == len(values):
        return Fraction((math.gcd if name == "gcd" else math.lcm)(*whole))
    raise TooHard(f"function {name}")


def _binomial(top: Value, bottom: Value) -> Value:
    if not isinstance(bottom, Fraction) or bottom.denominator != 1:
        raise TooHard("binomial coefficient")
    if isinstance(top, Fraction) and top.denominator == 1 and 0 <= top <= 400 and 0 <= bottom <= 400:
        return _bounded(Fraction(math.comb(int(top), int(bottom))))
    if bottom not in range(9):
        raise TooHard("binomial coefficient")
    product = complex(1)
    for step in range(int(bottom)):
        product *= (complex(top) - step) / (step + 1)
    return product


def _determinant(matrix: Node, reading: Reading) -> Value:
    rows = matrix[1] if matrix[0] == "matrix" else ()
    if not rows or len(rows) != len(rows[0]) or len(rows) > 5:
        raise TooHard("determinant")
    numbers = [[_value(cell, reading, reading.radians) for cell in row] for row in rows]
    return _minor(numbers)


def _minor(rows: list[list[Value]]) -> Value:
    if len(rows) == 1:
        return rows[0][0]
    total: Value = Fraction(0)
    for column, head in enumerate(rows[0]):
        rest = _minor([[cell for c, cell in enumerate(row) if c != column] for row in rows[1:]])
        exact = isinstance(head, Fraction) and isinstance(rest, Fraction)
        term = head * rest if exact else complex(head) * complex(rest)
        if column % 2:
            term = -term
        both = isinstance(total, Fraction) and isinstance(term, Fraction)
        total = total + term if both else complex(total) + complex(term)
    return total
