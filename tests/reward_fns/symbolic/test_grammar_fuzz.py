r"""Random expressions in many spellings, read back and compared with sympy's value of the same expression.

    REWARD_FNS_TREES=100000 python -m pytest tests/reward_fns/symbolic/test_grammar_fuzz.py

sympy builds every expression from objects, never from text. A writer spells it in a dialect of its own: \frac, \dfrac
or a slash, \cdot, \times or nothing between factors, braces or none, \left and \right, signs in front of factors and in
exponents, thousands separators, mixed numbers. Read back, the value must be sympy's; ``verify`` must take two spellings
of one expression for the same answer, and never the spelling of a changed one.
"""

from __future__ import annotations

import operator
import os
import random
from dataclasses import dataclass
from fractions import Fraction

import pytest
import sympy

from reward_fns import verify_batch
from reward_fns.symbolic.tree import parse
from reward_fns.symbolic.values import Reading, point_of, value

COUNT = int(os.environ.get("REWARD_FNS_TREES", "4000"))
SHARDS = 8
SEED = int(os.environ.get("REWARD_FNS_SEED", "77000"))
SYMBOLS = ("x", "y", "k")
POINTS = (0, 4)
"""One where all symbols are positive, one where they have either sign."""


# ------------------------------------------------------------------------------------------------------------- trees
# ("int", n) ("decimal", Fraction, places) ("mixed", whole, top, bottom) ("sym", name) ("pi",) ("neg", a)
# ("add", a, b) ("sub", a, b) ("mul", a, b) ("div", a, b) ("pow", a, n) ("root", n, a) ("power", a, p, q) ("abs", a) ("sin", a)
# ("exp", a) ("ln", a)


def leaf(rng):
    kind = rng.random()
    if kind < 0.55:
        return ("int", rng.choice((rng.randint(0, 12), rng.randint(1, 9), rng.randint(10, 999))))
    if kind < 0.6:
        return ("int", rng.randint(1_000, 9_999_999))
    if kind < 0.68:
        places = rng.randint(1, 4)
        return ("decimal", Fraction(rng.randint(1, 10 ** (places + 1)), 10**places), places)
    if kind < 0.76:
        bottom = rng.randint(2, 12)
        return ("mixed", rng.randint(1, 20), rng.randint(1, bottom - 1), bottom)
    return ("pi",) if kind < 0.8 else ("sym", rng.choice(SYMBOLS))


def grown(rng, depth):
    if depth == 0 or rng.random() < 0.12:
        return leaf(rng)
    kind = rng.choice(
        (
            "add",
            "sub",
            "mul",
            "mul",
            "div",
            "div",
            "neg",
            "neg",
            "pow",
            "pow",
            "root",
            "power",
            "abs",
            "sin",
            "exp",
            "ln",
        )
    )
    if kind == "pow":
        return ("pow", grown(rng, depth - 1), rng.choice((-3, -2, -1, 2, 2, 3)))
    if kind == "root":
        return ("root", rng.choice((2, 2, 2, 3, 4, 5)), grown(rng, depth - 1))
    if kind == "power":
        return ("power", grown(rng, depth - 1), rng.choice((-3, -1, 1, 1, 2, 5)), rng.choice((2, 3)))
    if kind in ("neg", "abs", "sin", "exp", "ln"):
        return (kind, grown(rng, depth - 1))
    return (kind, grown(rng, depth - 1), grown(rng, depth - 1))


def changed(tree, rng):
    """The tree with one thing in it that is different: a number, a sign, an exponent, an operation."""
    inner = [place for place, part in enumerate(tree) if isinstance(part, tuple)]
    if inner and rng.random() < 0.75:
        place = rng.choice(inner)
        return (*tree[:place], changed(tree[place], rng), *tree[place + 1 :])
    kind = tree[0]
    if kind == "int":
        return ("int", tree[1] + rng.choice((1, 2, 10)))
    if kind == "mixed":
        return ("mixed", tree[1] + 1, *tree[2:])
    if kind == "power":
        return ("power", tree[1], -tree[2], tree[3])
    if kind in ("pow", "root"):
        return ("pow", tree[1], tree[2] + 1) if kind == "pow" else ("root", tree[1] + 1, tree[2])
    if kind in ("add", "sub", "mul", "div"):
        return ({"add": "sub", "sub": "add", "mul": "div", "div": "mul"}[kind], *tree[1:])
    return tree[1] if kind == "neg" else ("neg", tree)


def valued(tree, point):
    """sympy's value of the tree, None where it or a part of it is not real or of no sensible size."""
    kind, *parts = tree
    operands = [valued(part, point) if isinstance(part, tuple) else part for part in parts]
    if None in operands:
        return None
    if (kind in ("power", "ln") and not operands[0] > 0) or (kind == "sin" and abs(operands[0]) > 100):
        return None  # of several values, or without a digit left in floating point
    number = OPERATIONS[kind](*operands) if kind != "sym" else sympy.Float(point_of(parts[0], point), 30)
    if not number.is_Rational:
        number = number.evalf(30)
    if not number.is_finite or not number.is_real or (number != 0 and not 1e-6 < abs(float(number)) < 1e9):
        return None
    return number


OPERATIONS = {
    "int": sympy.Integer,
    "decimal": lambda number, places: sympy.Rational(number.numerator, number.denominator),
    "mixed": lambda whole, top, bottom: whole + sympy.Rational(top, bottom),
    "pi": lambda: sympy.pi,
    "neg": operator.neg,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "root": lambda degree, inner: (
        (sympy.sign(inner) if degree % 2 else 1) * sympy.root(sympy.Abs(inner) if degree % 2 else inner, degree)
    ),
    "abs": sympy.Abs,
    "sin": sympy.sin,
    "exp": sympy.exp,
    "ln": sympy.log,
    "power": lambda base, top, bottom: base ** sympy.Rational(top, bottom),
}


def at_points(tree):
    found = [valued(tree, point) for point in POINTS]
    return None if None in found else [float(number) for number in found]


# ------------------------------------------------------------------------------------------------------------ writing

SUM, PRODUCT, POWER, ATOM = range(4)


@dataclass
class Writer:
    r"""Spells trees; every choice is the dialect's or a coin's."""

    rng: random.Random

    def __post_init__(self):
        choice = self.rng.choice
        self.fraction = choice((r"\frac", r"\dfrac", r"\tfrac", "/", "/", r"\div"))
        self.times = choice((r"\cdot", r"\times", "*", "·", "×", ""))
        self.brackets = choice((("(", ")"), (r"\left(", r"\right)"), (r"\bigl(", r"\bigr)"), ("[", "]"), (r"\left[", r"\right]")))  # fmt: skip
        self.stacked = self.fraction in (r"\frac", r"\dfrac", r"\tfrac")
        self.space = choice(("", " ", r"\,", "  "))
        self.minus = choice(("-", "-", "−"))
        self.thousands = choice(("", ",", "{,}", r"\,", " "))
        self.braces = self.rng.random() < 0.6  # \frac{1}{2} and x^{2}, or \frac12 and x^2
        self.bare_signs = self.rng.random() < 0.5  # 2 \cdot -3, or 2 \cdot (-3)

    def __call__(self, tree, level=SUM):
        """``tree`` where at least ``level`` is needed."""
        text, own = getattr(self, tree[0])(*tree[1:])
        return self.bracketed(text, tree) if own < level else text

    def bracketed(self, text, tree):
        opening, closing = self.brackets
        if opening.endswith("[") and ("," in text or tree[0] in ("int", "sym")):
            opening, closing = "(", ")"
        return f"{opening}{text}{closing}"

    def coin(self):
        return self.rng.random() < 0.5

    def right(self, tree, level):
        """A right operand; a sign of its own and a mixed number stay bare in some dialects."""
        if self.bare_signs and tree[0] == "neg":
            return self.minus + self(tree[1], max(level, POWER))
        if tree[0] == "mixed" and self.bare_signs:
            return self(tree)
        return self(tree, level)

    def left(self, tree):
        """A left factor and the level of the whole: that of a sum when it starts with a sign."""
        if tree[0] == "neg" and self.bare_signs:
            return self(tree), SUM
        return self(tree, PRODUCT), PRODUCT

    def number(self, text):
        whole, point, rest = text.partition(".")
        groups = []
        while len(whole) > 3:
            groups.insert(0, whole[-3:])
            whole = whole[:-3]
        return self.thousands.join((whole, *groups)) + point + rest

    def int(self, n):
        return self.number(str(n)), ATOM

    def decimal(self, number, places):
        digits = f"{int(number * 10**places):0{places + 1}d}"
        text = f"{digits[:-places]}.{digits[-places:]}"
        return text[text[0] == "0" and self.bare_signs :], ATOM

    def mixed(self, whole, top, bottom):
        if self.stacked:
            return f"{whole}{self.space}{self.fraction}{{{top}}}{{{bottom}}}", PRODUCT
        return f"{whole} {top}/{bottom}", PRODUCT

    def sym(self, name):
        return name, ATOM

    def pi(self):
        return self.rng.choice((r"\pi", r"\pi ", "π")), ATOM

    def neg(self, inner):
        return self.minus + (" " if self.rng.random() < 0.2 else "") + self(inner, PRODUCT), SUM

    def add(self, one, two):
        return f"{self(one)}{self.space}+{self.space}{self.right(two, PRODUCT)}", SUM

    def sub(self, one, two):
        return f"{self(one)}{self.space}{self.minus}{self.space}{self.right(two, PRODUCT)}", SUM

    def mul(self, one, two):
        left, level = self.left(one)
        beside = None if self.times else self.beside(left, one, two)
        return beside or f"{left} {self.times or '*'} {self.right(two, POWER)}", level

    def beside(self, left, one, two):
        """Two factors with nothing between them, where no reader can take them for something else."""
        right = self(two, POWER)
        last, first = left.rstrip()[-1], right.lstrip()[0]
        if one[0] in ("mixed", "mul", "neg", "abs", "sin", "ln") or two[0] in ("mixed", "abs", "exp"):
            return None
        if "div" in (one[0], two[0]) and (not self.stacked or one[0] in ("int", "div")):  # 2 1/3 is a mixed number
            return None
        if first.isdigit() or first in ".[" or (last.isalpha() and first.isalpha()):
            return None
        if last.isalpha() and first == "(":  # y(x) may be a function
            return None
        return f"{left}{' ' if last.isalpha() else self.space}{right}"

    def div(self, top, bottom):
        if self.stacked:
            return self.fraction + self.argument(top) + self.argument(bottom), POWER
        left, level = self.left(top)
        return f"{left}{self.space}{self.fraction} {self.right(bottom, POWER)}", level

    def argument(self, tree):
        """In braces; one digit may do without."""
        if not self.braces and tree[0] == "int" and tree[1] < 10:
            return f"{' ' * self.coin()}{tree[1]}"
        return f"{{{self(tree)}}}"

    def pow(self, base, exponent):
        raised = f"{self.minus if exponent < 0 else ''}{abs(exponent)}"
        return f"{self(base, ATOM)}^{f'{{{raised}}}' if self.braces else raised}", POWER

    def root(self, degree, inner):
        if degree == 2:
            return rf"\sqrt{self.argument(inner)}", POWER
        return rf"\sqrt[{degree}]{{{self(inner)}}}", POWER

    def abs(self, inner):
        text = self(inner)
        if "|" in text or self.braces:
            return rf"\lvert {text}\rvert", POWER
        return f"|{text}|" if self.coin() else rf"\left|{text}\right|", POWER

    def power(self, base, top, bottom):
        sign, top = self.minus if top < 0 else "", abs(top)
        raised = f"{sign}{self.fraction}{{{top}}}{{{bottom}}}" if self.stacked else f"{sign}{top}/{bottom}"
        return f"{self(base, ATOM)}^{{{raised}}}", POWER

    def function(self, name, inner):
        if inner[0] in ("int", "sym", "pi") and self.stacked:  # \sin \pi/6 is read as people mean it
            return rf"\{name} {self(inner)}", POWER
        return rf"\{name}({self(inner)})", POWER

    def sin(self, inner):
        return self.function("sin", inner)

    def ln(self, inner):
        return self.function("ln", inner)

    def exp(self, inner):
        return (f"e^{{{self(inner)}}}", POWER) if self.braces else (rf"\exp({self(inner)})", POWER)


# -------------------------------------------------------------------------------------------------------------- tests


def cases(seed, count):
    """(tree, its values, a changed tree or None, two spellings, a spelling of the changed one), reproducibly."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        tree = grown(rng, rng.randint(1, 4))
        values = at_points(tree)
        if values is None:
            continue
        made += 1
        other = changed(tree, rng)
        others = at_points(other)
        if others is None or not all(differs(a, b) for a, b in zip(values, others, strict=True)):
            other = None
        one, two = Writer(rng)(tree), Writer(rng)(tree)
        yield tree, values, one, two, other and Writer(rng)(other)


def differs(one, two):
    """Further apart than any rounding of a gold of two significant digits: 5 % at 1.0."""
    return abs(one - two) > 0.06 * max(abs(one), abs(two), 1e-3)


@pytest.fixture(scope="module", params=range(SHARDS))
def shard(request):
    return list(cases(SEED + request.param, COUNT // SHARDS))


def test_every_spelling_is_read_as_sympys_value(shard):
    failed = []
    for _, values, one, two, _ in shard:
        for text in (one, two):
            try:
                tree = parse(text)
                found = [complex(value(tree, Reading(point))) for point in POINTS]
            except Exception as error:
                failed.append((text, values, repr(error)))
                continue
            if any(abs(a - b) > 1e-8 * max(1.0, abs(b)) for a, b in zip(found, values, strict=True)):
                failed.append((text, values, found))
    assert not failed, f"{len(failed)} of {2 * len(shard)}: {failed[:12]}"


def test_two_spellings_of_one_expression_are_the_same_answer(shard):
    items = [(rf"\boxed{{{one}}}", two, "math") for _, _, one, two, _ in shard]
    failed = [(item, v) for item, v in zip(items, verify_batch(items), strict=True) if v.status != "right"]
    assert not failed, f"{len(failed)} of {len(items)}: {failed[:12]}"


def test_a_changed_expression_is_never_right(shard):
    items = [(rf"\boxed{{{one}}}", other, "math") for _, _, one, _, other in shard if other]
    assert len(items) > len(shard) // 3
    failed = [(item, v) for item, v in zip(items, verify_batch(items), strict=True) if v.status in ("right", "error")]
    assert not failed, f"{len(failed)} of {len(items)}: {failed[:12]}"
