r"""The smallest parts of an expression: numbers, words, brackets, matrices, LaTeX commands, functions.

    \frac{1}{2}   0.1\overline{6}   \sqrt[3]{2}   \{1, 2\}   |x|   \sin^2 x   \begin{pmatrix} ... \end{pmatrix}

Not here: what joins them (tree.py).
"""

from __future__ import annotations

import re
from fractions import Fraction

from reward_fns.symbolic.cursor import Cursor, Node, negative, shown, times
from reward_fns.symbolic.tokens import FUNCTIONS, TooHard

MAX_DIGITS = 200
_REPEATED = re.compile(r"(\d)\1\1+$|(\d{2,6})\2+$")

GREEK = frozenset(
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


class Atoms(Cursor):
    """Reads one atom."""

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
            row = _REPEATED.search(decimals)
            if row is not None:  # 0.333..., 0.1666..., 0.1212...
                before, period = decimals[: row.start()], row[1] or row[2]
                nines = (10 ** len(period) - 1) * 10 ** len(before)
                return ("num", Fraction(f"{whole or 0}.{before or 0}") + Fraction(int(period), nines))
        return ("dec", Fraction(f"{whole or 0}.{decimals}"), len(decimals))

    def words(self) -> Node:
        """Neighbouring words as one text; a word that is a plain product of letters was split by the tokenizer."""
        parts = []
        while (token := self.peek()) is not None and token[0] == "text" and not self.joiner():
            parts.append(token[1])
            self.at += 1
            if self.is_sign("^"):  # cm^2, cm^{2}
                self.at += 1
                parts[-1] += "^" + shown(self.script())
        return ("text", " ".join(part for part in parts if part))

    def group(self, opening: str) -> Node:
        self.at += 1
        closers = ("[",) if opening == "]" else (")", "]", "rangle")
        if opening == "]":
            closers = ("[", "]", ")")
        items = self.items((*closers, "rbrack"))
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
        if kind == "cases" and filled and all(len(row) == 1 and row[0][0] == "rel" for row in filled):
            return ("list", tuple(row[0] for row in filled))  # a system of equations, solved
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
        if name in GREEK:
            return ("sym", {"varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta"}.get(name, name))
        if name in ("{", "lbrace"):
            items = self.items(("}", "rbrace"))
            if not (self.is_cmd("}", "rbrace") or self.is_sign("}")):
                raise TooHard("set never closed")
            self.at += 1
            return ("set", tuple(items))
        if name == "langle":
            items = self.items(("rangle",))
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
            items = self.items((")",))
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
                or not self.starts_factor()
                or (token[0] == "cmd" and token[1] in FUNCTIONS)
                or token[0] in ("text", "(")
            ):
                break
            node = times(node, self.power())
        if (
            self.is_sign("/")
            and node[0] in ("num", "const", "mul")
            and (following := self.peek(1)) is not None
            and following[0] == "num"
        ):
            self.at += 1
            node = ("div", node, self.power())
        return node

    def power_or_sign(self) -> Node:
        if self.is_sign("-"):
            self.at += 1
            return negative(self.power())
        return self.power()

    def script_text(self) -> str:
        """A subscript as the text of its tokens."""
        if self.is_sign("{"):
            depth = 0
            parts: list[str] = []
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
