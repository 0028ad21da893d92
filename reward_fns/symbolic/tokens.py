r"""Text of an answer to tokens: one spelling for LaTeX, Unicode and plain notation.

    tokenize(r"2\dfrac{1}{2}\,\text{cm}")  -> [("num", "2"), ("cmd", "frac"), ("{", "{"), ..., ("text", "cm")]

Layout commands vanish, Unicode signs become commands, thousands separators leave numbers, words are told from
products of letters. Not here: grammar (tree.py).
"""

from __future__ import annotations

import re

from reward_fns.answer.wrappers import FONT_COMMANDS, FRAMES, GROUP, MATH_COMMANDS, TEXT, any_of
from reward_fns.numbers.signs import SEPARATOR, VULGAR

MAX_CHARS = 1_500
MAX_TOKENS = 500

Token = tuple[str, str]


class TooHard(ValueError):
    """This reader gives up: too long, too deep, or notation that it does not know. The next tier decides."""


_UNICODE = {
    **{sign: rf"\frac{{{top}}}{{{bottom}}}" for sign, (top, bottom) in VULGAR.items()},
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "∙": r"\cdot ", "∗": "*",
    "÷": r"\div ", "√": r"\sqrt ", "∛": r"\cbrt ", "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R} ", "∞": r"\infty ",
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ",
    "μ": r"\mu ", "σ": r"\sigma ", "φ": r"\phi ", "ω": r"\omega ", "Δ": r"\Delta ",
    "（": "(", "）": ")", "，": ",", "：": ":", "；": ";", "％": "%", "＝": "=", "…": r"\ldots ", "′": "'", "’": "'",
    "\u00a0": " ", "\u202f": "", "\u2009": "", "\u200b": "", "\u2061": "", "⟨": r"\langle ", "⟩": r"\rangle ",
    "∧": r"\wedge ", "∨": r"\vee ", "→": r"\to ", "⇒": r"\implies ",
    "¢": r"\text{cents}", "€": "", "£": "", "¥": "", "₹": "",
}  # fmt: skip
_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_UNICODE_ANY = re.compile("[" + "".join(map(re.escape, _UNICODE)) + "]")
_SUPER_RUN = re.compile("[" + "".join(_SUPER) + "]+")
_SUB_RUN = re.compile("[" + "".join(_SUB) + "]+")

# Commands that say how something looks, not what it is.
_LAYOUT = re.compile(
    r"\\(?:left|right|middle|bigg?[lrm]?|Bigg?[lrm]?|displaystyle|textstyle|scriptstyle|limits"
    r"|nolimits|quad|qquad|thinspace|negthinspace"
    r"|hspace\{[^{}]*\}|vspace\{[^{}]*\}|phantom\{[^{}]*\}|hfill|noindent|mathstrut|strut|hline|cr"
    r"|centering|par|newline)(?![A-Za-z])\.?"
    r"|(?<!\\)\\[,;:!> /\n]|~"
)
_MARKS = ("mathcal", "mathscr", "vec", "overrightarrow", "hat", "bar", "mathop", "displaylines")
_STYLE = re.compile(
    rf"{any_of(MATH_COMMANDS, FONT_COMMANDS, FRAMES, _MARKS)}|\\mbox\s*\{{\s*\}}|\\(?:text)?color\{{[^{{}}]*\}}"
)
_FRACTIONS = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_BINOMIALS = re.compile(r"\\[dt]binom(?![A-Za-z])")
_THOUSANDS = re.compile(rf"(?<![\d.])(\d{{1,3}})((?:{SEPARATOR}\d{{3}})+)(?![\d])")
_GROUP_SPACES = re.compile(r"(?<![\d.])(\d{1,3})((?:\s\d{3})+)(?!\d)")
_TEXT = re.compile(TEXT + GROUP)
_BUILDER = re.compile(
    r"\\\{\s*[a-z]\s*(?:\\in\s*(?:\\mathbb\s*\{?\s*)?R\s*\}?\s*)?(?:\\mid|\||:|\\vert|\\colon)\s*([^{}|]*?)\\\}"
)
r"""\{x \mid x < 3\} is x < 3."""
_RATIO = re.compile(rf"(\d)\s*{TEXT}\{{\s*to\s*\}}\s*(\d)")
_SET_AFTER = re.compile(r"\s*(?:[(\[{]|\\)")  # "x in [0, 1)", but "180 km in 3 hours"
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{\s*([a-zA-Z]+)\*?\s*\}(?:\s*\{[lcr|\s]*\})?")
_TOKEN = re.compile(
    r"(?P<num>\d+\.\d+|\d+\.(?!\d)|\.\d+|\d+)|\\(?P<cmd>[A-Za-z]+|\\|[{}|%$&#_])|(?P<word>[A-Za-z]+)"
    r"|(?P<text>\x01[^\x02]*\x02)|(?P<env>\x03[^\x04]*\x04)|(?P<sym>\S)"
)

FUNCTIONS = frozenset([
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh",
    "cosh", "tanh", "coth", "asin", "acos", "atan", "ln", "log", "lg", "exp", "sqrt", "cbrt", "abs", "max",
    "min", "gcd", "lcm", "det", "floor", "ceil", "sgn",
])  # fmt: skip
_KNOWN_WORDS = FUNCTIONS | {
    "pi", "infty", "infinity", "inf", "oo", "and", "or", "theta", "alpha", "beta", "gamma", "lambda", "mu",
    "sigma", "phi", "omega", "in",
}  # fmt: skip


def tokenize(text: str, thousands: bool = True) -> list[Token]:
    r"""Tokens of ``text``.

    Args:
        thousands: read "1,234" as one number; False reads it as two (a point or a list).
    """
    if len(text) > MAX_CHARS:
        raise TooHard(f"{len(text)} characters")
    text = _cleaned(text, thousands)
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        value = match.group(kind)
        if kind == "word":
            tokens.extend(_word(value) if value != "in" or _SET_AFTER.match(text, match.end()) else [("text", value)])
        elif kind == "text":
            tokens.append(("text", value[1:-1].strip()))
        elif kind == "env":
            tokens.append(("env", value[1:-1]))
        elif kind == "sym":
            if value not in "$":
                tokens.append((value, value))
        else:
            tokens.append((kind, value))
        if len(tokens) > MAX_TOKENS:
            raise TooHard("too many tokens")
    return tokens


def _cleaned(text: str, thousands: bool) -> str:
    """One spelling, as far as string replacement goes."""
    if not text.isascii():
        text = _SUPER_RUN.sub(lambda m: "^{" + "".join(_SUPER[c] for c in m.group()) + "}", text)
        text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUB[c] for c in m.group()) + "}", text)
        text = _UNICODE_ANY.sub(lambda m: _UNICODE[m.group()], text)
    if thousands:
        text = _THOUSANDS.sub(lambda m: m.group(1) + re.sub(r"\D", "", m.group(2)), text)
        text = _GROUP_SPACES.sub(lambda m: m.group(1) + re.sub(r"\s", "", m.group(2)), text)
    else:
        text = text.replace("{,}", ",")
    text = text.replace("...", r"\ldots ")
    if "\\" in text:
        text = _BUILDER.sub(r"\1", _RATIO.sub(r"\1:\2", text))
        text = text.replace(r"\$", "").replace(r"\(", " ").replace(r"\)", " ").replace(r"\[", " ").replace(r"\]", " ")
        text = _TEXT.sub(lambda m: " \x01" + m.group(1).replace("\\", "") + "\x02 ", text)
        text = _ENVIRONMENT.sub(lambda m: f"\x03{m.group(1)} {m.group(2)}\x04", text)
        text = _LAYOUT.sub(" ", text)
        text = _STYLE.sub("", text)
        text = _BINOMIALS.sub(r"\\binom", _FRACTIONS.sub(r"\\frac", text))
    return text.replace("**", "^")


def _word(word: str) -> list[Token]:
    """A run of letters: a function, a constant, a variable, a product of variables, or an English word."""
    if len(word) == 1:
        return [("sym", word)]
    lowered = word.lower()
    if lowered in _KNOWN_WORDS:
        return [("cmd", lowered)]
    if len(word) <= 3 and not _looks_like_word(lowered):
        return [("sym", letter) for letter in word]
    for name in ("arcsin", "arccos", "arctan", "sqrt", "sin", "cos", "tan", "log", "ln", "pi"):
        if lowered.startswith(name) and len(word) == len(name) + 1:  # sinx, pir
            return [("cmd", name), ("sym", word[-1])]
        if lowered.endswith(name) and len(word) == len(name) + 1:  # xsin, rpi
            return [("sym", word[0]), ("cmd", name)]
    return [("text", word)]


_SHORT_WORDS = frozenset([
    "a", "an", "the", "is", "are", "was", "of", "to", "by", "at", "on", "no", "yes", "not", "all", "any", "one",
    "two", "six", "ten", "cm", "mm", "km", "dm", "kg", "mg", "lb", "lbs", "oz", "ft", "in", "yd", "mi", "hr",
    "hrs", "min", "sec", "ml", "mph", "kph", "kmh", "deg", "rad", "day", "men", "boy", "hz", "pa", "mol", "dm",
    "cal", "kj", "mw", "kw", "kv", "ms", "ns", "am", "pm", "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    "new", "old", "red", "odd", "nor", "has", "had", "its", "it", "be", "we", "so", "if", "as", "than", "via",
    "per", "who", "gcd", "lcm", "cos", "sin", "tan", "log", "usd", "eur", "sq", "m2", "cm2", "n/a", "nan", "dne",
    "rs", "set",
])  # fmt: skip


def _looks_like_word(lowered: str) -> bool:
    return lowered in _SHORT_WORDS
