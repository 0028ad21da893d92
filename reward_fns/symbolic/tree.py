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

from reward_fns.symbolic.tokens import FUNCTIONS, Token, TooHard, tokenize

MAX_DEPTH = 40
MAX_DIGITS = 200

Node = tuple

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">",
    "ne": "!=", "neq": "!=", "in": "in", "approx": "~", "equiv": "=", "simeq": "~", "cong": "=", "to": "to", "sim": "~", "coloneqq": "=",
    "rightarrow": "to", "mapsto": "to",
}  # fmt: skip
_TIMES = {"times", "cdot", "ast", "star", "bullet"}
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "varrho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
        "ell",
        "hbar",
    ]
)
_OPEN = {
    "(": ")",
    "[": "]",
    "{": "}",
    "lbrace": "rbrace",
    "langle": "rangle",
    "lfloor": "rfloor",
    "lceil": "rceil",
    "lvert": "rvert",
    "lbrack": "rbrack",
    "lparen": "rparen",
}
_IGNORED_COMMANDS = frozenset(
    {
        "$",
        "#",
        "&",
        "therefore",
        "because",
        "implies",
        "Rightarrow",
        "Longrightarrow",
        "ldots",
        "dots",
        "cdots",
        "checkmark",
        "square",
        "qed",
        "blacksquare",
        "prime",
    }
)
_JOINERS = re.compile(r"^(?:and|or|,|;|and/or)$", re.IGNORECASE)


def parse(text: str, thousands: bool = True) -> Node:
    """The tree of ``text``; TooHard when it cannot be read completely."""
    parser = _Parser(tokenize(text, thousands))
    node = parser.sequence(())
    if parser.peek() is not None:
        raise TooHard(f"unexpected {parser.peek()[1]!r}")
    return node


class _Parser:
    """Recursive descent over one token list. Every method leaves ``at`` behind what it read."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    # ------------------------------------------------------------------------------------------------------- token
    # access

    def peek(self, ahead: int = 0) -> Token | None:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def value(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return token[1] if token is not None else ""

    def is_cmd(self, *names: str) -> bool:
        token = self.peek()
        return token is not None and token[0] == "cmd" and token[1] in names

    def is_sign(self, *signs: str) -> bool:
        """Whether the next token is a bare sign such as "+" (and not a command of that name)."""
        token = self.peek()
        return token is not None and token[0] not in ("cmd", "text", "env") and token[1] in signs

    def expect(self, closing: str) -> None:
        if self.value() != closing:
            raise TooHard(f"{closing} missing")
        self.at += 1

    # ------------------------------------------------------------------------------------------------------------
    # sequence

    def sequence(self, closers: tuple[str, ...]) -> Node:
        """Items joined by commas, semicolons, "and", "or"; one item comes back as itself."""
        items, _joined_by_word = self.items(closers)
        if len(items) == 1:
            return items[0]
        if not items:
            raise TooHard("nothing there")
        return ("list", tuple(items))

    def items(self, closers: tuple[str, ...]) -> tuple[list[Node], bool]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooHard("nested too deep")
        items: list[Node] = []
        worded = False
        while True:
            while self._joiner():
                worded = worded or self.peek()[0] in ("text", "cmd")
                self.at += 1
            if self.peek() is None or self.value() in closers:
                break
            items.append(self.relation(closers))
            if self.peek() is None or self.value() in closers:
                break
            if not self._joiner():
                raise TooHard(f"unexpected {self.value()!r}")
        self.depth -= 1
        return items, worded

    def _joiner(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token[0] in (",", ";"):
            return True
        if token[0] == "text":
            return bool(_JOINERS.match(token[1].strip(" ,;")))
        return token[0] == "cmd" and token[1] in ("and", "or", "vee", "lor", "wedge", "land")

    # ------------------------------------------------------------------------------------------------------------
    # relations

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

    # -----------------------------------------------------------------------------------------------------------
    # arithmetic

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
            return _negative(inner)
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
                left = _times(left, self.factor())
            elif self.is_sign("/") or self.is_cmd("div"):
                self.at += 1
                left = ("div", left, self.factor())
            elif self.is_sign(":") and left[0] in (
                "num",
                "dec",
                "sym",
                "ratio",
                "fn",
                "root",
                "mul",
                "div",
                "pow",
                "group",
            ):
                self.at += 1
                right = self.product()
                parts = left[1] if left[0] == "ratio" else (left,)
                left = ("ratio", (*parts, *(right[1] if right[0] == "ratio" else (right,))))
            elif self._starts_factor():
                before = self.peek()
                right = self.power()
                left = self._juxtaposed(left, right, before)
            else:
                return left

    def factor(self) -> Node:
        if self.is_sign("-", "+"):
            return self.signed_factor()
        return self.power()

    def signed_factor(self) -> Node:
        negative = self.value() == "-"
        self.at += 1
        inner = self.factor()
        return _negative(inner) if negative else inner

    def _starts_factor(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        kind, value = token
        if kind in ("num", "sym", "(", "{"):
            return not (kind == "sym" and value == "U" and self.value(1) in ("(", "[", "\\{"))
        if kind == "text":
            return not self._joiner()
        if kind == "cmd":
            return (
                value in FUNCTIONS
                or value in _GREEK
                or value
                in (
                    "frac",
                    "sqrt",
                    "pi",
                    "infty",
                    "binom",
                    "lbrace",
                    "{",
                    "%",
                    "circ",
                    "degree",
                    "lvert",
                    "lfloor",
                    "lceil",
                    "vert",
                    "imath",
                    "mathbb",
                )
            )
        if kind == "[":
            return False
        return kind == "%" or (kind == "|" and self.bars == 0)

    def _juxtaposed(self, left: Node, right: Node, before: Token) -> Node:
        """Two factors without a sign between them: a mixed number, a unit, a named point or a product."""
        if left[0] == "num" and right[0] == "div" and before == ("cmd", "frac"):
            top, bottom = right[1], right[2]
            if top[0] == bottom[0] == "num" and left[1].denominator == 1 and 0 < top[1] < bottom[1]:
                return ("num", left[1] + top[1] / bottom[1])
        if left[0] == "num" and right[0] == "num":
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
            return right
        if left[0] == "sym" and right[0] == "group" and right[1] == "(" and len(right[3]) > 1:
            return right  # a named point: A(1, 2)
        return _times(left, right)

    # ---------------------------------------------------------------------------------------------------------------
    # powers

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
                return ("unit", base[1], f"{base[2]}^{_shown(exponent)}")
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
            negative = self.value() == "-"
            self.at += 1
            inner = self.script()
            return _negative(inner) if negative else inner
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
            base = {"two": "2", "eight": "8", "ten": "10", "sixteen": "16"}.get(inner, inner)
            if base.isdigit():
                return ("base", str(node[1]), base)
            raise TooHard("subscript of a number")
        if node[0] == "sym":
            return ("sym", f"{node[1]}_{inner}")
        if node[0] == "base":
            raise TooHard("two bases")
        self.at = start
        raise TooHard("subscript")

    def script_text(self) -> str:
        """A subscript as the text of its tokens."""
        if self.is_sign("{"):
            depth, parts = 0, []
            while (token := self.peek()) is not None:
                self.at += 1
                if token[0] == "{":
                    depth += 1
                elif token[0] == "}":
                    depth -= 1
                    if depth == 0:
                        return "".join(parts)
                else:
                    parts.append(token[1])
            raise TooHard("} missing")
        token = self.peek()
        if token is None:
            raise TooHard("subscript missing")
        self.at += 1
        return token[1]

    # ----------------------------------------------------------------------------------------------------------------
    # atoms

    def atom(self) -> Node:
        token = self.peek()
        if token is None:
            raise TooHard("something missing at the end")
        kind, value = token
        if kind == "num":
            return self.number()
        if kind == "sym":
            self.at += 1
            return ("const", value) if value in ("e", "i") else ("sym", value)
        if kind == "text":
            return self.words()
        if kind in ("(", "["):
            return self.group(kind)
        if kind == "]" and len(self.tokens) > self.at + 1:  # ]1, 2[ of some countries
            return self.group("]")
        if kind == "{":
            self.at += 1
            node = self.sequence(("}",))
            self.expect("}")
            return node
        if kind == "|":
            return self.absolute("|")
        if kind == "env":
            return self.environment(value)
        if kind == "cmd":
            return self.command(value)
        if kind in ("+", "-"):
            return self.signed()
        raise TooHard(f"unexpected {value!r}")

    def number(self) -> Node:
        text = self.value()
        self.at += 1
        if len(text) > MAX_DIGITS:
            raise TooHard("too many digits")
        whole, point, decimals = text.partition(".")
        if self.is_cmd("overline", "bar", "dot") and point:  # 0.1\overline{6}
            self.at += 1
            repeated = self.script_text()
            if not repeated.isdigit():
                raise TooHard("overline")
            nines = (10 ** len(repeated) - 1) * 10 ** len(decimals)
            return ("num", Fraction(f"{whole or 0}.{decimals or 0}") + Fraction(int(repeated), nines))
        if not decimals:
            return ("num", Fraction(int(whole or "0")))
        if self.is_cmd("ldots", "dots", "cdots"):
            self.at += 1
        return ("dec", Fraction(f"{whole or 0}.{decimals}"), len(decimals))

    def words(self) -> Node:
        """Neighbouring words as one text; a word that is a plain product of letters was split by the tokenizer."""
        parts = []
        while (token := self.peek()) is not None and token[0] == "text" and not self._joiner():
            parts.append(token[1])
            self.at += 1
            if self.is_sign("^"):  # cm^2, cm^{2}
                self.at += 1
                parts[-1] += "^" + _shown(self.script())
        return ("text", " ".join(part for part in parts if part))

    def group(self, opening: str) -> Node:
        self.at += 1
        closers = ("[",) if opening == "]" else (")", "]", "rangle")
        if opening == "]":
            closers = ("[", "]", ")")
        items, _ = self.items((*closers, "rbrack"))
        closing = self.value()
        if closing not in closers and closing != "rbrack":
            raise TooHard("bracket never closed")
        self.at += 1
        if len(items) == 1 and opening == "(" and closing == ")":
            inner = items[0]
            return inner
        if not items:
            raise TooHard("empty brackets")
        if opening == "]":
            opening, closing = "(", ")" if closing == "[" else closing
        return ("group", opening, closing, tuple(items))

    def absolute(self, closing: str) -> Node:
        self.at += 1
        self.bars += 1
        inner = self.sequence((closing,))
        self.expect(closing)
        self.bars -= 1
        return ("fn", "abs", (inner,))

    def environment(self, name: str) -> Node:
        action, _, kind = name.partition(" ")
        if action != "begin":
            raise TooHard("\\end without \\begin")
        self.at += 1
        if kind not in ("pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "smallmatrix", "array", "cases"):
            raise TooHard(kind)
        rows: list[list[Node]] = [[]]
        while True:
            token = self.peek()
            if token is None:
                raise TooHard("\\end missing")
            if token[0] == "env" and token[1].startswith("end "):
                self.at += 1
                break
            if token[0] == "&":
                self.at += 1
            elif token == ("cmd", "\\"):
                self.at += 1
                rows.append([])
            else:
                rows[-1].append(self.relation(("&",)))
        filled = [row for row in rows if row]
        if not filled or len({len(row) for row in filled}) != 1 or kind == "cases":
            raise TooHard("ragged matrix")
        matrix = ("matrix", tuple(map(tuple, filled)))
        return ("fn", "det", (matrix,)) if kind == "vmatrix" else matrix

    def command(self, name: str) -> Node:
        self.at += 1
        if name in ("frac", "binom"):
            top, bottom = self.argument(), self.argument()
            return ("div", top, bottom) if name == "frac" else ("fn", "binom", (top, bottom))
        if name == "sqrt":
            index: Node = ("num", Fraction(2))
            if self.is_sign("["):
                self.at += 1
                index = self.sequence(("]",))
                self.expect("]")
            return ("root", index, self.argument())
        if name == "cbrt":
            return ("root", ("num", Fraction(3)), self.argument())
        if name in ("pi",):
            return ("const", "pi")
        if name in ("infty", "infinity", "inf", "oo"):
            return ("const", "oo")
        if name in ("imath", "jmath"):
            return ("const", "i")
        if name in ("emptyset", "varnothing"):
            return ("set", ())
        if name == "mathbb":
            letter = self.script_text()
            if letter == "R":
                return ("group", "(", ")", (("neg", ("const", "oo")), ("const", "oo")))
            return ("text", f"set {letter}")
        if name in ("R",):
            return ("group", "(", ")", (("neg", ("const", "oo")), ("const", "oo")))
        if name in FUNCTIONS:
            return self.function(name)
        if name in _GREEK:
            return ("sym", {"varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta"}.get(name, name))
        if name in ("{", "lbrace"):
            items, _ = self.items(("}", "rbrace"))
            if not (self.is_cmd("}", "rbrace") or self.is_sign("}")):
                raise TooHard("set never closed")
            self.at += 1
            return ("set", tuple(items))
        if name == "langle":
            items, _ = self.items(("rangle",))
            self.expect("rangle")
            return ("group", "(", ")", tuple(items))
        if name in ("lfloor", "lceil", "lvert"):
            inner = self.sequence((_OPEN[name],))
            self.expect(_OPEN[name])
            return ("fn", {"lfloor": "floor", "lceil": "ceil", "lvert": "abs"}[name], (inner,))
        if name in ("|", "vert", "Vert"):
            inner = self.sequence((name,))
            self.expect(name)
            return ("fn", "abs", (inner,))
        if name == "dot" or name in _IGNORED_COMMANDS:
            return self.atom()
        if name in ("overline", "overrightarrow", "widehat"):
            return self.argument()
        raise TooHard(f"\\{name}")

    def argument(self) -> Node:
        r"""What \frac or \sqrt takes: a group, else one digit or atom."""
        token = self.peek()
        if token is None:
            raise TooHard("argument missing")
        if token[0] == "{":
            self.at += 1
            node = self.sequence(("}",))
            self.expect("}")
            return node
        if token[0] == "num" and len(token[1]) > 1 and token[1].isdigit():  # \frac12, \sqrt2x
            previous = self.tokens[self.at - 1] if self.at else None
            if previous == ("cmd", "frac"):
                self.tokens[self.at : self.at + 1] = [("num", token[1][0]), ("num", token[1][1:])]
        return self.atom() if token[0] != "(" else self.postfix(self.atom())

    def function(self, name: str) -> Node:
        r"""\sin x, \sin^2 x, \sin^{-1} x, \log_2 8, \max(a, b)."""
        exponent: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.is_sign("_"):
                self.at += 1
                base = self.script()
            elif self.is_sign("^"):
                self.at += 1
                exponent = self.script()
        if self.is_sign("("):
            self.at += 1
            items, _ = self.items((")",))
            self.expect(")")
        elif self.is_sign("{"):
            items = [self.argument()]
        else:
            items = [self.function_operand()]
        if not items:
            raise TooHard(f"{name} of nothing")
        node = self._applied(name, base, tuple(items))
        if exponent is None:
            return node
        if exponent == ("neg", ("num", Fraction(1))) or exponent == ("num", Fraction(-1)):
            return ("fn", "arc" + name, tuple(items))
        return ("pow", node, exponent)

    def _applied(self, name: str, base: Node | None, items: tuple[Node, ...]) -> Node:
        if name in ("log", "lg") and (base is not None or name == "lg"):
            return ("log", base or ("num", Fraction(10)), items[0])
        if base is not None:
            raise TooHard(f"subscript of {name}")
        if name == "sqrt":
            return ("root", ("num", Fraction(2)), items[0])
        return ("fn", {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name), items)

    def function_operand(self) -> Node:
        """The operand of a function without brackets: a product up to the next function or sign (sin 2x cos x is (sin
        2x)(cos x))."""
        node = self.power_or_sign()
        while True:
            token = self.peek()
            if (
                token is None
                or not self._starts_factor()
                or (token[0] == "cmd" and token[1] in FUNCTIONS)
                or token[0] in ("text", "(")
            ):
                break
            node = _times(node, self.power())
        if (
            self.is_sign("/")
            and node[0] in ("num", "const", "mul")
            and self.peek(1) is not None
            and self.peek(1)[0] == "num"
        ):
            self.at += 1
            node = ("div", node, self.power())
        return node

    def power_or_sign(self) -> Node:
        if self.is_sign("-"):
            self.at += 1
            return _negative(self.power())
        return self.power()


def _negative(node: Node) -> Node:
    if node[0] == "num":
        return ("num", -node[1])
    if node[0] == "dec":
        return ("dec", -node[1], node[2])
    return ("neg", node)


def _times(left: Node, right: Node) -> Node:
    parts = left[1] if left[0] == "mul" else (left,)
    return ("mul", (*parts, right))


def _with_text(left: Node, words: str) -> Node:
    """Words behind a value: a unit or a label."""
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


def _shown(node: Node) -> str:
    return str(node[1]) if node[0] == "num" else ""
