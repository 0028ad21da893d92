r"""Short forms of an answer: a letter in any dress, set off from what follows, or listed with others.

    undressed(r"\text{(B)}\ 12")          -> "(B) 12"
    alone("**B**", options)               -> {"B"}
    leading("B) 12 cm", options)          -> {"B"}
    listed("A, C and D", options, True)   -> {"A", "C", "D"}

Not here: letters in running sentences (sentences.py).
"""

from __future__ import annotations

import re

from reward_fns.answer.squeeze import squeezed
from reward_fns.answer.wrappers import FONT_COMMANDS, FRAMES, GROUP, MATH_COMMANDS, TEXT_COMMANDS, any_of, unwrapped
from reward_fns.choices.options import Options

_LATEX_TEXT = re.compile(
    any_of(TEXT_COMMANDS, MATH_COMMANDS, FONT_COMMANDS, FRAMES, ("mathbb", "mathcal")) + r"\s*" + GROUP
)
_LATEX_NOISE = re.compile(r"\\[()\[\],;:! ]|\\(?:quad|qquad|displaystyle|left|right|bf|rm)\b|[$`]")
_HTML = re.compile(r"</?(?:b|i|u|p|em|br|strong|span|div|sub|sup)\s?/?>")
_MARKED = re.compile(
    r"(?:\*\*|__|(?<!\w)[\"“”'‘’])\s*[(\[]?([A-Z])[)\].:]?\s*(?:\*\*|__|[\"“”'‘’](?!\w))|\[([A-Z])\]|（([A-Z])）|【([A-Z])】|<([A-Z])>|\(\s*([A-Z])\s*\)"
)


_BOLD_END = re.compile(r"\*\*([^*\n]{1,40}[:\s])\(?([A-Z])\)?[.)]?\*\*")


def undressed(text: str) -> str:
    """LaTeX and markdown taken off; a letter in bold, quotes or brackets becomes "(B)"."""
    text = unwrapped(text, r" \1 ", _LATEX_TEXT)
    text = _LATEX_NOISE.sub(" ", _HTML.sub(" ", text) if "<" in text else text)
    text = _BOLD_END.sub(r"\1(\2). ", text)
    text = _MARKED.sub(lambda m: f"({next(g for g in m.groups() if g)})", text)
    return squeezed(text.replace("**", "").replace("__", "").replace("##", ""))


_WORD = r"(?:options?|choices?|answers?|letters?|选项|图)"
WHOLE = re.compile(
    rf"(?:(?:probably|likely|maybe|perhaps|definitely|surely|clearly|certainly|obviously|therefore|thus|hence|so|ans\.?)[,:]?\s+)?(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:{_WORD}\s?(?:is|are)?[\W_]{{0,6}}){{0,2}}([A-Za-z])(?:[\W_]{{0,4}}\sis\s+(?:the\s+)?(?:correct|right)|,\s+i\s+(?:believe|think|guess))?",
    re.IGNORECASE,
)
ONE = r"[(\[]?(?:[Oo]ption\s+|[Cc]hoice\s+)?[(\[]?([A-Z])[)\]]?(?![A-Za-z'’])"
_SEVERAL = re.compile(
    rf"(?:(?:[Bb]oth|[Oo]nly|[Oo]ptions?|[Cc]hoices?|[Aa]nswers?|[Aa]re)[:\s]{{1,3}}){{0,4}}({ONE}(?:\s*(?:,\s*and\b|,|;|、|&|/|\+|\band\b|，|和)\s*{ONE})+)(?P<rest>.*)",
    re.DOTALL,
)
_LEADING = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*)?[(\[]?(?:(?P<letter>[A-Z])"
    r"(?:\s*(?:[)\]:：、】），。．]|\.(?=\s|$|\)))|\s*,(?!\s*[A-Z]\b)|\s*[-–—=]+\s|\s+(?=because\b|since\b|as\b|it\s+is\b|is\s+(?:the\s+)?(?:correct|right|answer|best|my)\b|\()|\s*\n|\s*$|\s?(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]))|(?P<small>[b-hj-z]|a)\s*\))"
)
_HEDGED = re.compile(rf"{ONE}\s*(?:,?\s*or\s*){ONE}")
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
    match = _LEADING.match(core)
    if match is None or _HEDGED.match(core):
        return None
    letter = (match["letter"] or match["small"]).upper()
    return frozenset(letter) if letter in options.letters else None


def listed(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """Letters joined by commas or "and"; run together ("ACD") only when several answers are asked for."""
    core = bare.strip(EDGES)
    if core.upper() in ("N/A", "NA"):
        return None
    match = _SEVERAL.match(core)
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
