r"""Letters of options in a piece of text and in running prose.

    read_piece(r"\text{(B)}\ 12", options, several=False)                                -> {"B"}
    read_prose("Option A is too small. So it must be C.", options, several=False)         -> {"C"}
    read_prose("A cat is shown.", options, several=False)                                -> None

A capital letter in prose is an option only in a dress that says so: brackets, bold, "option", or the end of a concluding phrase. The
article "A", the pronoun "I" and the points of a triangle are none. Negated letters ("not B", "B is wrong") are never chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reward_fns import numerals
from reward_fns.verifiers.text import normalised

MAX_PROSE = 6_000


class Options:
    """The options of one question: letters, and texts in the form in which they are compared."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self.letters = frozenset(texts) or frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        self.normal = {letter: normalised(text) for letter, text in self.texts.items()}
        self.numbers = {letter: numerals.parse(text) for letter, text in self.texts.items()}

    def letter_of(self, text: str) -> str | None:
        """The letter of the option that has this text, or this value."""
        if not self.texts:
            return None
        wanted = normalised(text)
        for letter, normal in self.normal.items():
            if normal and normal == wanted:
                return letter
        value = numerals.parse(text)
        if value is None:
            return None
        same = [
            letter
            for letter, number in self.numbers.items()
            if number is not None and (number.value, number.percent) == (value.value, value.percent)
        ]
        return same[0] if len(same) == 1 else None

    def same_text(self, one: str, two: str) -> bool:
        """Whether two letters name options of the same text, as happens in generated data."""
        text = self.normal.get(one)
        return bool(text) and text == self.normal.get(two)

    def named_in(self, text: str) -> list[str]:
        """Letters of the options whose text stands in ``text`` as whole words; an option inside a longer one that also matches is left out."""
        padded = f" {normalised(text)} "
        hits = [letter for letter, normal in self.normal.items() if normal and f" {normal} " in padded]
        longest = [a for a in hits if not any(a != b and f" {self.normal[a]} " in f" {self.normal[b]} " for b in hits)]
        return sorted(longest, key=lambda letter: padded.rfind(f" {self.normal[letter]} "))


# ------------------------------------------------------------------------------------------------------------------- dressing

_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mathit|bf|rm|mbox|boldsymbol|mathsf|textsf|bold|operatorname|boxed|mathbb|underline)\s*\{([^{}]*)\}")
_LATEX_NOISE = re.compile(r"\\[()\[\],;:! ]|\\(?:quad|qquad|displaystyle|left|right|bf|rm)\b|[$`]")
_MARKED = re.compile(r"(?:\*\*|__|[\"“”'‘’])\s*[(\[]?([A-Z])[)\].:]?\s*(?:\*\*|__|[\"“”'‘’])|\[([A-Z])\]|（([A-Z])）|【([A-Z])】|<([A-Z])>")


def undressed(text: str) -> str:
    """LaTeX and markdown taken off; a letter in bold, quotes or brackets becomes "(B)"."""
    for _ in range(3):
        text, changed = _LATEX_TEXT.subn(r" \1 ", text)
        if not changed:
            break
    text = _LATEX_NOISE.sub(" ", text)
    text = _MARKED.sub(lambda m: f"({next(g for g in m.groups() if g)})", text)
    return text.replace("**", "").replace("__", "")


# --------------------------------------------------------------------------------------------------------------------- pieces

_WORD = r"(?:options?|choices?|answers?|letters?|选项)"
_WHOLE = re.compile(rf"[\W_]*(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:{_WORD}\s*(?:is|are)?[\W_]*)?([A-Za-z])[\W_]*", re.IGNORECASE)
_SEPARATOR = r"\s*(?:,\s*and|,|;|、|&|/|\+|\band\b|，|和)\s*"
_ONE = r"[(\[]?(?:option\s+|choice\s+)?[(\[]?([A-Z])[)\]]?(?![A-Za-z'’])"
_SEVERAL = re.compile(rf"[\W_]*(?:(?:both|only|options?|choices?|answers?)\s*)*[:\s]*({_ONE}(?:{_SEPARATOR}{_ONE})+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_LEADING = re.compile(
    r"[\s(\[{*_:\-–>#\"'“]*(?:(?:option|choice|answer)\s*:?\s*)?[(\[]?(?P<letter>[A-Z])"
    r"(?:\s*[)\].:：、】）]|\s*,(?!\s*[A-Z]\b)|\s*[-–—=]+\s|\s+(?=because\b|since\b|as\b|is\b|\()|\s*\n|\s*$)",
)
_HEDGED = re.compile(rf"[\W_]*{_ONE}\s*(?:,?\s*or\s*){_ONE}", re.IGNORECASE)
_LETTERS = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z])")
_TOGETHER = re.compile(r"[\W_]*([A-Z]{2,8})[\W_]*")


def read_piece(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that a short committed piece states, None when it states none."""
    bare = undressed(text).strip()
    if not bare:
        return None
    whole = _WHOLE.fullmatch(bare)
    if whole is not None:
        letter = whole.group(1).upper()
        if letter in options.letters:
            return frozenset(letter)
        return None
    exact = options.letter_of(text)
    if exact is not None:
        return frozenset(exact)
    listed = _listed(bare, options, several)
    if listed is not None:
        return listed
    leading = _LEADING.match(bare)
    if leading is not None and leading["letter"] in options.letters and not _HEDGED.match(bare):
        return frozenset(leading["letter"])
    first = bare.lstrip("(*_ ")[:1]
    if first in options.letters and bare.lstrip("(*_ ")[1:2].isspace():
        rest = normalised(bare.lstrip("(*_ ")[1:])
        if rest and rest == options.normal.get(first):
            return frozenset(first)
    return read_prose(text, options, several, committed=True)


def _listed(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """Letters joined by commas or "and"; run together ("ACD") only when several answers are asked for."""
    match = _SEVERAL.match(bare)
    if match is not None:
        letters = frozenset(letter.upper() for letter in _LETTERS.findall(match.group(1).upper()))
        if len(letters) > 1 and letters <= options.letters and match.group(1).upper() == match.group(1).replace("and", "AND").replace("option", "OPTION").replace("choice", "CHOICE").upper():
            rest = match["rest"].strip()
            if several or not rest[:1].isalnum():
                return letters
    together = _TOGETHER.fullmatch(bare) if several else None
    if together is not None:
        letters = frozenset(together.group(1))
        if len(letters) == len(together.group(1)) and letters <= options.letters:
            return letters
    return None


# ---------------------------------------------------------------------------------------------------------------------- prose

_SENTENCES = re.compile(r"\n+|(?<=[^\s][.!?])\s+(?=[A-Z(\[*\"“])|(?<=[。！？])")
# A letter that may be an option: bracketed, or bare and not glued to anything.
_L = r"(?:\((?P<in{0}>[A-Z])\)|(?P<bare{0}>[A-Z])(?![A-Za-z'’\-_^=+*/]|\s*[=+*/^]))"
_GUARD = r"(?!\s+(?!because\b|since\b|as\b|and\b|but\b|due\b|given\b|which\b|for\b|with\b|is\b|would\b|\()[A-Za-z])"
_NOUN = r"(?:(?:the\s+)?(?:correct\s+|right\s+|best\s+|final\s+)?(?:answer|option|choice|letter|statement|figure|image|picture|selection)\s*(?:is\s+|:\s*)?)?"
_CHOOSES = re.compile(
    r"(?P<verb>\b(?:is|are|be|choose|chose|select|selected|pick|picked|chosen|go(?:ing)?\s+with|went\s+with|opt\s+for|settle\s+on|guess|say"
    r"|match(?:es|ing)?|corresponds?\s+to|corresponding\s+to|lean(?:ing)?\s+towards?|points?\s+to|leads?\s+(?:us\s+)?to|namely|i\.e\.,?|therefore"
    r"|thus|hence|so|that's|it's|but|answer|option|choice|becomes|remains|leaves|=|→|⇒|➡|:|选择?|是|为)"
    rf")\s*[,:：]?\s*(?:only\s+|option\s+|to\s+)?{_NOUN}[:\s]*" + _L.format("1") + _GUARD,
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    r"(?:" + _L.format("2") + r")[^.\n]{0,60}?\b(?:is|are|seems?|appears?|would\s+be|must\s+be|looks)\s+(?:to\s+be\s+)?(?:indeed\s+|therefore\s+|thus\s+|clearly\s+|the\s+|a\s+|most\s+|only\s+|more\s+|one\s+|best\s+)*"
    r"(?:correct|right|accurate|appropriate|best|answer|true|valid|suitable|likely|fitting|logical|reasonable|option|choice|plausible)\b",
)
_NOT = re.compile(r"(?i)(?:\bnot\b|n't\b|\bneither\b|\bnor\b|\bnever\b|\brather than\b|\binstead of\b|\bunlike\b|\bother than\b|\bexcept\b|\beliminat\w+|\brul\w+ out|\bexclud\w+|\bdiscard\w*|\breject\w*|\bincorrect\b|\bwrong\b)(?:\s+(?:be|the|option|choice|answer|is|by|for|correct|necessarily))*\s*[:(]?\s*$")
_WRONG_AFTER = re.compile(
    r"(?i)[).,:\s]*(?:[^.\n]{0,80}?\b)?(?:is|are|was|can\s+be|cannot|can't|isn't|aren't|does\s+not|doesn't|would\s+not|seems?)\s*(?:also\s+|clearly\s+|therefore\s+|thus\s+|be\s+|the\s+)*(?:not\b|n't\b|incorrect|wrong|false|eliminated|ruled\s+out|excluded|out\b|too\b|unlikely|invalid|impossible|inaccurate|discarded|rejected|irrelevant|be\b|match\b|fit\b|the\s+wrong)"
)
_WORDED = re.compile(r"(?i)\b(?:option|choice|answer|letter)s?\s*:?\s*" + r"\(?([A-Z])\)?(?![A-Za-z'’])")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_OTHER_THINGS = re.compile(
    r"(?i)\b(?:points?|angles?|vertex|vertices|triangles?|sides?|lines?|segments?|vectors?|vitamin|type|group|class|event|set|matrix|node|grade|section|station|city|town|person|company|team|country|plan|circle|player|box|bag|container|object|sample|solution|beaker|region|area|area of|length of|coordinates of|figure|graph|curve|block|gene|allele|species)\s*\(?$|∠\s*$|△\s*$|[=+*/^<>-]\s*$"
)
_REFUSAL = re.compile(
    r"(?i)\b(?:none of the (?:above|options|given|provided|choices|listed)|cannot (?:be )?(?:determine|answer|provide|select|choose|see|view|access|identify|tell)|can't (?:determine|answer|provide|select|see|view|tell|help)|unable to|not able to|(?:no|without (?:an?|the)) (?:correct )?(?:image|answer|option) (?:is |was |has been )?(?:provided|given|listed|matches)|not enough information|insufficient information|need more (?:information|context)|i'm sorry|i apologi[sz]e|as an ai)\b"
)


def read_prose(text: str, options: Options, several: bool, committed: bool = False) -> frozenset[str] | None:
    """The letters that running text settles on. ``committed``: the text is short and announced as the answer."""
    bare = undressed(text[-MAX_PROSE:])
    sentences = [s.strip() for s in _SENTENCES.split(bare) if s and s.strip()]
    if not sentences:
        return None
    if not committed:
        last = sentences[-1]
        whole = _WHOLE.fullmatch(last)
        if whole is not None and whole.group(1).isupper() and whole.group(1) in options.letters:
            return frozenset(whole.group(1))
    for sentence in reversed(sentences[-12:]):
        found = _settled(sentence, options, several)
        if found is not None:
            return found
    head = _head(text, sentences, options, several)
    if head is not None:
        return head
    for sentence in reversed(sentences[:-12]):
        found = _settled(sentence, options, several)
        if found is not None:
            return found
    return _weakly(sentences, options)


def _settled(sentence: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letter that one sentence chooses in so many words."""
    best: tuple[int, frozenset[str]] | None = None
    for pattern, number in ((_CHOOSES, "1"), (_IS_RIGHT, "2")):
        for match in pattern.finditer(sentence):
            dressed = match["in" + number]
            letter = dressed or match["bare" + number]
            start = match.start("in" + number) if dressed else match.start("bare" + number)
            if not letter.isupper() or letter not in options.letters:
                continue
            if pattern is _CHOOSES:
                if _negated(sentence, match.start(), start, match.end()):
                    continue
                if match["verb"].lower() in ("is", "are", "be", "so", "but", "=", ":", "say", "thus", "hence", "therefore", "it's") and not dressed:
                    if _is_thing(sentence, match, start):
                        continue
            else:
                if not dressed and _OTHER_THINGS.search(sentence[max(0, start - 24) : start]):
                    continue
                if letter in "AI" and not dressed and not re.search(r"(?i)(?:option|choice|answer|letter)\s*$", sentence[max(0, start - 10) : start]):
                    if re.match(r"[AI]\s+[a-z]", sentence[start:]) and not re.match(r"[AI]\s+(?:is|seems|appears|would|must|looks)\b", sentence[start:]):
                        continue
                if re.search(r"(?i)\b(?:not|n't|neither|nor|incorrect)\b", sentence[start : match.end()]) or _NOT.search(sentence[max(0, start - 40) : start]):
                    continue
            if best is None or start >= best[0]:
                best = (start, _with_neighbours(sentence, start, letter, options, several))
    return best[1] if best else None


def _is_thing(sentence: str, match: re.Match[str], start: int) -> bool:
    """Whether a bare letter behind a weak verb is something else than an option: "the midpoint is M of ..."."""
    after = sentence[start + 1 :]
    return bool(_OTHER_THINGS.search(sentence[max(0, start - 24) : start])) or bool(re.match(r"\s*(?:and|,)\s+[A-Z]\b", after) and False)


def _negated(sentence: str, verb: int, start: int, end: int) -> bool:
    before = sentence[max(0, verb - 24) : start]
    if re.search(r"(?i)(?:\bnot|n't|\bneither|\bnever|\bincorrect|\bwrong)\b[^,.;]*$", before) and not re.search(r"(?i)\bbut\b[^,.;]*$", before):
        return True
    return bool(_WRONG_AFTER.match(sentence, end)) and not re.match(r"(?i)[).,:\s]*(?:because|since|as)\b", sentence[end:])


def _with_neighbours(sentence: str, start: int, letter: str, options: Options, several: bool) -> frozenset[str]:
    """Letters that are listed together with the chosen one: "(A) and (C)"."""
    tail = sentence[max(0, start - 1) : start + 60] if sentence[max(0, start - 1) : start] == "(" else sentence[start : start + 60]
    listed = _SEVERAL.match(tail)
    if listed is not None and several:
        letters = frozenset(_LETTERS.findall(listed.group(1)))
        if letters <= options.letters:
            return letters | {letter}
    return frozenset(letter)


def _head(text: str, sentences: list[str], options: Options, several: bool) -> frozenset[str] | None:
    """An answer given first and explained later: "B. because ...", "B" on a line of its own, "(B) 12 cm"."""
    start = undressed(text[:300]).strip() if len(text) <= MAX_PROSE else sentences[0]
    first = start.splitlines()[0].strip() if start else ""
    whole = _WHOLE.fullmatch(first)
    if whole is not None and whole.group(1).isupper() and whole.group(1) in options.letters:
        return frozenset(whole.group(1))
    listed = _listed(first, options, several)
    if listed is not None:
        return listed
    leading = _LEADING.match(first)
    if leading is None or leading["letter"] not in options.letters:
        return None
    # An enumeration of all options at the start ("A. ... \n B. ... \n C. ...") restates the question.
    if sum(bool(re.match(r"\(?[A-Z][).:]\s", s)) for s in start.splitlines()[:4]) > 1:
        return None
    return frozenset(leading["letter"])


def _weakly(sentences: list[str], options: Options) -> frozenset[str] | None:
    """Without a settling sentence: the only letter of the last sentence, the option whose text ends the response, the only letter at all."""
    last = sentences[-1]
    letters = _mentions(last, options)
    if len(letters) == 1:
        return letters
    for sentence in reversed(sentences[-3:]):
        named = options.named_in(sentence)
        if len(named) == 1:
            return frozenset(named)
    if _REFUSAL.search(" ".join(sentences[-3:])):
        return None
    letters = frozenset().union(*(_mentions(sentence, options) for sentence in sentences[-8:]))
    if len(letters) == 1:
        return letters
    named = options.named_in(" ".join(sentences))
    return frozenset(named) if len(named) == 1 else None


def _mentions(sentence: str, options: Options) -> frozenset[str]:
    """Dressed letters of a sentence that are not negated."""
    found = set()
    for pattern in (_WORDED, _BRACKETED):
        for match in pattern.finditer(sentence):
            letter = match.group(1)
            if not letter.isupper() or letter not in options.letters:
                continue
            if _NOT.search(sentence[max(0, match.start() - 40) : match.start(1)]) or _WRONG_AFTER.match(sentence, match.end()):
                continue
            found.add(letter)
    return frozenset(found)
