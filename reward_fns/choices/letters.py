r"""Short forms of an answer: a letter however it is written, set off from what follows, or listed with others.

    undressed(r"\text{(B)}\ 12")          -> "(B) 12"
    alone("**B**", options)               -> {"B"}
    leading("B) 12 cm", options)          -> {"B"}
    listed("A, C and D", options, True)   -> {"A", "C", "D"}

Not here: letters in running sentences (sentences.py).
"""

from __future__ import annotations

import re

from reward_fns.answer.phrases import SURELY, THEREFORE, Phrase
from reward_fns.answer.squeeze import squeezed
from reward_fns.answer.wrappers import FONT_COMMANDS, FRAMES, GROUP, MATH_COMMANDS, TEXT_COMMANDS, any_of, unwrapped
from reward_fns.choices.options import Options

_LATEX_TEXT = re.compile(
    any_of(TEXT_COMMANDS, MATH_COMMANDS, FONT_COMMANDS, FRAMES, ("mathbb", "mathcal")) + r"\s*" + GROUP
)
_LATEX_NOISE = re.compile(r"\\[()\[\],;:! ]|\\(?:quad|qquad|displaystyle|left|right|bf|rm)\b|[$`]")
_HTML = re.compile(r"</?(?:b|i|u|p|em|br|strong|span|div|sub|sup)\s?/?>")

_OPENS, _CLOSES = r"(?:\*\*|__|(?<!\w)[\"“”'‘’])", r"(?:\*\*|__|[\"“”'‘’](?!\w))"
MARKED = Phrase(
    "a letter in bold, quotes or brackets",
    rf"{_OPENS}\s*[(\[]?([A-Z])[)\].:]?\s*{_CLOSES}"
    r"|\[([A-Z])\]|（([A-Z])）|【([A-Z])】|<([A-Z])>|\(\s*([A-Z])\s*\)",
    hits=["**B**", "'B'", "[B]", "（B）", "( B )", "**(B).**"],
    misses=["Bob's", "**Bob**", "(b)"],
    cased=True,
)
_MARKS = re.compile(r"[*_\"“”'‘’\[(（【<]")
"""One of these opens every marked letter."""

BOLD_END = Phrase(
    "bold words that end with a letter",
    r"\*\*([^*\n]{1,40}[:\s])\(?([A-Z])\)?[.)]?\*\*",
    hits=["**Answer: B**", "**The answer is (C).**"],
    misses=["**B**", "**Answer: Bob**"],
    cased=True,
)


def undressed(text: str) -> str:
    """LaTeX and markdown taken off; a letter in bold, quotes or brackets becomes "(B)"."""
    text = unwrapped(text, r" \1 ", _LATEX_TEXT)
    text = _HTML.sub(" ", text) if "<" in text else text
    if "\\" in text or "$" in text or "`" in text:
        text = _LATEX_NOISE.sub(" ", text)
    if "**" in text:
        text = BOLD_END.sub(r"\1(\2). ", text)
    if _MARKS.search(text):
        text = MARKED.sub(lambda m: f"({next(g for g in m.groups() if g)})", text)
    return squeezed(text.replace("**", "").replace("__", "").replace("##", ""))


_WORD = r"(?:options?|choices?|answers?|letters?|选项|图)"
WHOLE = Phrase(
    "a letter and nothing else",
    rf"(?:(?:{SURELY}|{THEREFORE}|ans\.?)[,:]?\s+)?(?:the\s+)?(?:(?:correct|right|best|final)\s+)?"
    rf"(?:{_WORD}\s?(?:is|are)?[\W_]{{0,6}}){{0,2}}([A-Za-z])"
    r"(?:[\W_]{0,4}\sis\s+(?:the\s+)?(?:correct|right)|,\s+i\s+(?:believe|think|guess))?",
    hits=["B", "the correct answer is B", "Option C is correct", "thus, b", "probably B", "选项B"],
    misses=["B or C", "B because", "not B", "Bob"],
    at="fullmatch",
)
ONE = r"[(\[]?(?:[Oo]ption\s+|[Cc]hoice\s+)?[(\[]?([A-Z])[)\]]?(?![A-Za-z'’])"
"""One letter as it stands in lists."""

LIST = rf"{ONE}(?:\s*(?:,\s*and\b|,|;|、|&|/|\+|\band\b|，|和)\s*{ONE})+"
_LIST_OPENS = r"(?:(?:[Bb]oth|[Oo]nly|[Oo]ptions?|[Cc]hoices?|[Aa]nswers?|[Aa]re)[:\s]{1,3}){0,4}"
SEVERAL = Phrase(
    "begins with a list of letters",
    rf"(?s){_LIST_OPENS}({LIST})(?P<rest>.*)",
    hits=["A and C", "Both A and C are right", "Options: A, B"],
    misses=["A or C", "A"],
    at="match",
    cased=True,
)
_CALLED = r"(?:because\b|since\b|as\b|it\s+is\b|is\s+(?:the\s+)?(?:correct|right|answer|best|my)\b|\()"
_SET_OFF = (
    r"\s*(?:[)\]:：、】），。．]|\.(?=\s|$|\)))|\s*,(?!\s*[A-Z]\b)|\s*[-–—=]+\s"
    rf"|\s+(?={_CALLED})|\s*\n|\s*$|\s?(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
)
LEADING = Phrase(
    "begins with a letter that is set off",
    rf"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*)?[(\[]?"
    rf"(?:(?P<letter>[A-Z])(?:{_SET_OFF})|(?P<small>[b-hj-z]|a)\s*\))",
    hits=["B) 12 cm", "Option B: 12", "B because", "b) 12", "B\n12", "B, since"],
    misses=["B or C", "Bob", "A cat", "B, C"],
    at="match",
    cased=True,
)
EITHER = Phrase(
    "begins with one letter or another",
    rf"{ONE}\s*(?:,?\s*or\s*){ONE}",
    hits=["B or C", "(A), or (B)"],
    misses=["B and C"],
    at="match",
    cased=True,
)
LETTERS = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z])")
_TOGETHER = re.compile(r"([A-Z]{2,8})")
EDGES = (
    "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
    + " \t\r\n“”‘’–—•，。：；、（）【】→⇒➡✓✔✅☑\ufe0f"
)
"""Signs around a short answer that say nothing."""


def leading(bare: str, options: Options) -> frozenset[str] | None:
    """A letter at the start that is set off from what follows: "B) 12 cm", "B. because", "b) 12"."""
    core = bare.lstrip(EDGES)
    match = LEADING.match(core)
    if match is None or EITHER.match(core):
        return None
    letter = (match["letter"] or match["small"]).upper()
    return frozenset(letter) if letter in options.letters else None


def listed(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """Letters joined by commas or "and"; run together ("ACD") only when several answers are asked for."""
    core = bare.strip(EDGES)
    if core.upper() in ("N/A", "NA"):
        return None
    match = SEVERAL.match(core)
    if match is not None:
        letters = frozenset(LETTERS.findall(match.group(1)))
        if len(letters) > 1 and letters <= options.letters and (several or not match["rest"].strip()[:1].isalnum()):
            return letters
    together = _TOGETHER.fullmatch(core.replace(" ", "")) if several and len(core) <= 16 else None
    if together is not None:
        letters = frozenset(together.group(1))
        if len(letters) == len(together.group(1)) and letters <= options.letters:
            return letters
    return None


def alone(sentence: str, options: Options) -> frozenset[str] | None:
    """A sentence or line that is nothing but one letter."""
    whole = WHOLE.fullmatch(sentence.strip(EDGES)) if len(sentence) <= 200 else None
    letter = whole.group(1) if whole is not None else ""
    return frozenset(letter) if letter.isupper() and letter in options.letters else None
