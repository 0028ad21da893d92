r"""Tokens of an answer to an expression tree, by precedence climbing.

    parse(r"2\frac{1}{2} \text{ cm}")   -> ("unit", ("num", Fraction(5, 2)), "cm")
    parse("x = 1 or x = 2")             -> ("list", (("rel", ...), ("rel", ...)))

A node is a tuple whose first entry names its kind:
    leaves        ("num", Fraction) ("dec", Fraction, digits after the point) ("sym", name)
                  ("const", "pi" | "e" | "i" | "oo") ("text", words) ("base", digits, base)
    arithmetic    ("add", nodes) ("mul", nodes) ("div", a, b) ("neg", a) ("pow", a, b) ("root", n, a) ("fact", a)
                  ("fn", name, nodes) ("log", base, a) ("pm", a, b) ("percent", a) ("deg", a) ("unit", a, words)
    collections   ("group", open, close, nodes) ("set", nodes) ("list", nodes) ("matrix", rows) ("ratio", nodes)
    statements    ("rel", operators, nodes) ("union", nodes) ("meet", nodes) ("minus", a, b)
Depth is bounded. Notation that is not known raises TooHard: the next tier decides.
"""

from __future__ import annotations

import re
from fractions import Fraction

from reward_fns.numbers.words import ONES
from reward_fns.symbolic.atoms import GREEK, Atoms
from reward_fns.symbolic.cursor import MAX_DEPTH, Node, negative, shown, times
from reward_fns.symbolic.tokens import FUNCTIONS, Token, TooHard, tokenize

_RELATIONS = {
    "=": "=", "equiv": "=", "cong": "=", "coloneqq": "=", "approx": "~", "simeq": "~", "sim": "~",
    "<": "<", "lt": "<", ">": ">", "gt": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=",
    "geqslant": ">=", "ne": "!=", "neq": "!=", "in": "in", "to": "to", "rightarrow": "to", "mapsto": "to",
}  # fmt: skip
_TIMES = {"times", "cdot", "ast", "star", "bullet"}
_FACTORS = frozenset((
    "frac", "sqrt", "pi", "infty", "binom", "lbrace", "{", "%", "circ", "degree", "lvert", "lfloor", "lceil", "vert",
    "imath", "mathbb",
))  # fmt: skip
"""Commands that may follow a factor without a sign between them, functions and Greek letters aside."""
_RATIO_PARTS = frozenset(("num", "dec", "sym", "ratio", "fn", "root", "mul", "div", "pow", "group"))
_BASES = {word: str(number) for word, number in ONES.items() if 2 <= number <= 16}
_JOINERS = re.compile(r"^(?:and|or|,|;|and/or)$", re.IGNORECASE)


def parse(text: str, thousands: bool = True) -> Node:
    """The tree of ``text``; TooHard when it cannot be read completely."""
    parser = _Parser(tokenize(text, thousands))
    node = parser.sequence(())
    left_over = parser.peek()
    if left_over is not None:
        raise TooHard(f"unexpected {left_over[1]!r}")
    return node


class _Parser(Atoms):
    """Reads statements: what joins atoms to sums, relations and lists."""

    def sequence(self, closers: tuple[str, ...]) -> Node:
        """Items joined by commas, semicolons, "and", "or"; one item comes back as itself."""
        items = self.items(closers)
        if len(items) == 1:
            return items[0]
        if not items:
            raise TooHard("nothing there")
        return ("list", tuple(items))

    def items(self, closers: tuple[str, ...]) -> list[Node]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooHard("nested too deep")
        items: list[Node] = []
        logical = False
        while True:
            while self.joiner():
                logical = logical or self.is_cmd("vee", "lor", "wedge", "land")
                self.at += 1
            if self.peek() is None or self.value() in closers:
                break
            items.append(self.relation(closers))
            if self.peek() is None or self.value() in closers:
                break
            if not self.joiner():
                raise TooHard(f"unexpected {self.value()!r}")
        self.depth -= 1
        if logical and all(item[0] == "sym" for item in items):
            raise TooHard("logic")  # p and q is another statement than p or q
        return items

    def joiner(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token[0] in (",", ";"):
            return True
        if token[0] == "text":
            return bool(_JOINERS.match(token[1].strip(" ,;")))
        return token[0] == "cmd" and token[1] in ("and", "or", "vee", "lor", "wedge", "land")

    def relation(self, closers: tuple[str, ...]) -> Node:
        if self._relation_sign() is not None:  # "= 5", "\approx 5": what stands left was not copied
            self.at += 1
        operands = [self.union(closers)]
        operators: list[str] = []
        while (operator := self._relation_sign()) is not None:
            self.at += 1
            if operator in ("<", ">") and self.is_sign("="):
                self.at += 1
                operator += "="
            if operator == "=" and self.is_sign(">"):
                raise TooHard("=>")
            if self.peek() is None:
                break
            operators.append(operator)
            operands.append(self.union(closers))
        return ("rel", tuple(operators), tuple(operands)) if operators else operands[0]

    def _relation_sign(self) -> str | None:
        token = self.peek()
        if token is None:
            return None
        if token[0] in ("=", "<", ">") or token[0] == "cmd":
            return _RELATIONS.get(token[1])
        if token[0] == "!" and self.value(1) == "=":
            self.at += 1
            return "!="
        return None

    def union(self, closers: tuple[str, ...]) -> Node:
        left = self.sum()
        while True:
            if self.is_cmd("cup", "bigcup") or (self.peek() == ("sym", "U") and left[0] in ("group", "union", "set")):
                self.at += 1
                right = self.sum()
                parts = left[1] if left[0] == "union" else (left,)
                left = ("union", (*parts, right))
            elif self.is_cmd("cap"):
                self.at += 1
                left = ("meet", (left, self.sum()))
            elif self.is_cmd("setminus", "backslash"):
                self.at += 1
                left = ("minus", left, self.sum())
            else:
                return left

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooHard("nested too deep")
        terms = [self.signed()]
        while True:
            if self.is_sign("+"):
                self.at += 1
                if self.peek() is None:
                    raise TooHard("+ at the end")
                terms.append(self.product())
            elif self.is_sign("-"):
                self.at += 1
                terms.append(("neg", self.product()))
            elif self.is_cmd("pm", "mp"):
                self.at += 1
                left = terms[0] if len(terms) == 1 else ("add", tuple(terms))
                terms = [("pm", left, self.product())]
            else:
                break
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("add", tuple(terms))

    def signed(self) -> Node:
        if self.is_sign("-"):
            self.at += 1
            inner = self.signed()
            return negative(inner)
        if self.is_sign("+"):
            self.at += 1
            return self.signed()
        if self.is_cmd("pm", "mp"):
            self.at += 1
            return ("pm", ("num", Fraction(0)), self.product())
        return self.product()

    def product(self) -> Node:
        left = self.power()
        while True:
            if self.is_sign("*") or self.is_cmd(*_TIMES):
                self.at += 1
                left = times(left, self.factor())
            elif self.is_sign("/") or self.is_cmd("div"):
                self.at += 1
                left = ("div", left, self.factor())
            elif self.is_sign(":") and left[0] in _RATIO_PARTS:
                self.at += 1
                right = self.product()
                parts = left[1] if left[0] == "ratio" else (left,)
                left = ("ratio", (*parts, *(right[1] if right[0] == "ratio" else (right,))))
            elif self.is_sign("[") and (bracketed := self.bracketed_factor()) is not None:
                left = times(left, bracketed)
            elif self.starts_factor():
                before = self.peek()
                right = self.power()
                left = self._juxtaposed(left, right, before)
            else:
                return left

    def bracketed_factor(self) -> Node | None:
        """Square brackets around one term, 2[x + 1]^2; None for an interval or a list."""
        start = self.at, self.depth, self.bars
        try:
            node = self.power()
            inner = node[1] if node[0] == "pow" else node
            if inner[0] == "group" and inner[1:3] == ("[", "]") and len(inner[3]) == 1:
                return node
        except TooHard:  # ]0, 1[
            pass
        self.at, self.depth, self.bars = start
        return None

    def factor(self) -> Node:
        if self.is_sign("-", "+"):
            return self.signed_factor()
        node = self.power()
        return self.mixed(node) if node[0] == "num" and node[1].denominator == 1 else node

    def mixed(self, whole: Node) -> Node:
        r"""A mixed number after a sign, "4 \cdot 16 1/4", where the whole part alone must not become the factor."""
        if not self.fraction_ahead():
            return whole
        start, before = self.at, self.peek()
        joined = self._juxtaposed(whole, self.power(), before)
        if joined[0] == "num":
            return joined
        self.at = start
        return whole

    def fraction_ahead(self) -> bool:
        """Whether a fraction of two plain numbers follows. Only tokens are looked at: reading ahead and coming back at
        every level of a nested fraction would take time that doubles with each level."""
        kinds = [token[0] for token in self.tokens[self.at : self.at + 7]]
        if self.is_cmd("frac"):
            plain = ["cmd", "num", "num"], ["cmd", "num"], ["cmd", "{", "num", "}", "{", "num", "}"]
            return any(kinds[: len(form)] == form for form in plain)
        return kinds[:3] == ["num", "/", "num"]

    def signed_factor(self) -> Node:
        minus = self.value() == "-"
        self.at += 1
        inner = self.factor()
        return negative(inner) if minus else inner

    def starts_factor(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        kind, value = token
        if kind in ("num", "sym", "(", "{"):
            return not (kind == "sym" and value == "U" and self.value(1) in ("(", "[", "\\{"))
        if kind == "text":
            return not self.joiner()
        if kind == "cmd":
            return value in FUNCTIONS or value in GREEK or value in _FACTORS
        if kind == "[":
            return False
        return kind == "%" or (kind == "|" and self.bars == 0)

    def _juxtaposed(self, left: Node, right: Node, before: Token | None) -> Node:
        """Two factors without a sign between them: a mixed number, a unit, a named point or a product."""
        if left[0] == "num" and right[0] == "div" and before == ("cmd", "frac"):
            top, bottom = right[1], right[2]
            if top[0] == bottom[0] == "num" and left[1].denominator == 1 and 0 < top[1] < bottom[1]:
                return ("num", left[1] + top[1] / bottom[1])
        if left[0] == "num" and right[0] == "num" and before is not None and before[0] != "(":  # 2(-3) is a product
            # "1 1/2": the slash follows; anything else that puts two numbers side by side is not understood
            if self.is_sign("/") and self.peek(1) is not None and self.value(1).isdigit() and left[1].denominator == 1:
                self.at += 1
                bottom = Fraction(int(self.value()))
                self.at += 1
                if 0 < right[1] < bottom:
                    return ("num", left[1] + right[1] / bottom)
            raise TooHard("two numbers side by side")
        if right[0] == "text":
            return _with_text(left, right[1])
        if left[0] == "text":
            if left[1].lower() in ("not", "no", "never", "isn't"):
                raise TooHard("denied")
            return right
        if left[0] == "unit":  # "2 years is 80", "5 feet 3": words do not multiply
            raise TooHard("a value after words")
        if left[0] == "sym" and right[0] == "group" and right[1] == "(" and len(right[3]) > 1:
            return right  # a named point: A(1, 2)
        return times(left, right)

    def power(self) -> Node:
        base = self.postfix(self.atom())
        if self.is_sign("^"):
            self.at += 1
            if self.is_cmd("circ", "degree") or (
                self.value() == "{" and self.value(1) in ("circ", "degree") and self.value(2) == "}"
            ):
                self.at += 1 if self.value() != "{" else 3
                return self.postfix(("deg", base))
            if self.is_cmd("prime") or self.is_sign("'"):
                self.at += 1
                return base
            exponent = self.script()
            if base[0] == "unit":
                return ("unit", base[1], f"{base[2]}^{shown(exponent)}")
            return self.postfix(("pow", base, exponent))
        return base

    def script(self) -> Node:
        """The operand of ^ or _: a group, a signed number or one atom."""
        if self.is_sign("{"):
            self.at += 1
            node = self.sequence(("}",))
            self.expect("}")
            return node
        if self.is_sign("-", "+"):
            minus = self.value() == "-"
            self.at += 1
            inner = self.script()
            return negative(inner) if minus else inner
        token = self.peek()
        if token is not None and token[0] == "num" and len(token[1]) > 1 and "." not in token[1]:
            return self.atom()  # 2^10 as people write it, although TeX would raise the 1 only
        base = self.atom()
        if self.is_sign("^"):  # right associative: 2^3^2
            self.at += 1
            return ("pow", base, self.script())
        return base

    def postfix(self, node: Node) -> Node:
        while True:
            if self.is_sign("!") and self.value(1) != "=":
                self.at += 1
                node = ("fact", node)
            elif self.is_sign("%") or self.is_cmd("%"):
                self.at += 1
                node = ("percent", node)
            elif self.is_cmd("circ", "degree"):
                self.at += 1
                node = ("deg", node)
            elif self.is_sign("_"):
                self.at += 1
                node = self.subscripted(node)
            elif self.is_sign("'"):
                self.at += 1
                if node[0] == "sym":
                    node = ("sym", node[1] + "'")
            else:
                return node

    def subscripted(self, node: Node) -> Node:
        start = self.at
        inner = self.script_text()
        if node[0] == "num" and node[1].denominator == 1:
            base = _BASES.get(inner, inner)
            if base.isdigit():
                return ("base", str(node[1]), base)
            raise TooHard("subscript of a number")
        if node[0] == "sym":
            return ("sym", f"{node[1]}_{inner}")
        if node[0] == "base":
            raise TooHard("two bases")
        self.at = start
        raise TooHard("subscript")


def _with_text(left: Node, words: str) -> Node:
    """Words after a value: a unit or a label."""
    words = words.strip(" .,;:!")
    if not words:
        return left
    lowered = words.lower()
    if lowered in ("percent", "per cent", "pct", "percentage", "%"):
        return ("percent", left)
    if lowered in ("degrees", "degree", "deg"):
        return ("deg", left)
    if left[0] == "unit":
        return ("unit", left[1], f"{left[2]} {words}")
    return ("unit", left, words)
