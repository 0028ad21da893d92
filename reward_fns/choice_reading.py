r"""Letters of options in a piece of text and in running prose.

    read_piece(r"\text{(B)}\ 12", options, several=False)                                -> {"B"}
    read_prose("Option A is too small. So it must be C.", options, several=False)         -> {"C"}
    read_prose("A cat is shown.", options, several=False)                                -> None

A capital letter in prose is an option only in a dress that says so: brackets, bold, "option", or the end of a
concluding phrase. The article "A", the pronoun "I" and the points of a triangle are none. Negated letters ("not B",
"B is wrong") are never chosen. Not here: options by their text (options.py); the order in which places are tried
(verifiers/choice.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from reward_fns.extract import squeezed
from reward_fns.final_value import concluding_number
from reward_fns.options import Options
from reward_fns.symbolic.reading import segments
from reward_fns.verifiers.text import normalised

MAX_PROSE = 6_000
WINDOW = 500
"""Characters at the end that are looked at first."""

NEAR = 12
"""Sentences at the end in which a settling statement beats an answer at the very beginning."""

# ----------------------------------------------------------------------------------------------------------- dressing

_LATEX_TEXT = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|mathit|bf|rm|mbox|boldsymbol|mathsf|textsf|bold|operatorname|boxed|fbox|mathbb|underline|textrm)\s*\{([^{}]*)\}"
)
_LATEX_NOISE = re.compile(r"\\[()\[\],;:! ]|\\(?:quad|qquad|displaystyle|left|right|bf|rm)\b|[$`]")
_HTML = re.compile(r"</?(?:b|i|u|p|em|br|strong|span|div|sub|sup)\s?/?>")
_MARKED = re.compile(
    r"(?:\*\*|__|(?<!\w)[\"“”'‘’])\s*[(\[]?([A-Z])[)\].:]?\s*(?:\*\*|__|[\"“”'‘’](?!\w))|\[([A-Z])\]|（([A-Z])）|【([A-Z])】|<([A-Z])>|\(\s*([A-Z])\s*\)"
)


def undressed(text: str) -> str:
    """LaTeX and markdown taken off; a letter in bold, quotes or brackets becomes "(B)"."""
    if "\\" in text:
        for _ in range(3):
            text, changed = _LATEX_TEXT.subn(r" \1 ", text)
            if not changed:
                break
    text = _LATEX_NOISE.sub(" ", _HTML.sub(" ", text) if "<" in text else text)
    text = _MARKED.sub(lambda m: f"({next(g for g in m.groups() if g)})", text)
    return squeezed(text.replace("**", "").replace("__", "").replace("##", ""))


# ------------------------------------------------------------------------------------------------------------- pieces

_WORD = r"(?:options?|choices?|answers?|letters?|选项|图)"
_WHOLE = re.compile(
    rf"(?:(?:probably|likely|maybe|perhaps|definitely|ans\.?)\s+)?(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:{_WORD}\s?(?:is|are)?[\W_]{{0,6}}){{0,2}}([A-Za-z])(?:[\W_]{{0,4}}\sis\s+(?:the\s+)?(?:correct|right))?",
    re.IGNORECASE,
)
_ONE = r"[(\[]?(?:[Oo]ption\s+|[Cc]hoice\s+)?[(\[]?([A-Z])[)\]]?(?![A-Za-z'’])"
_SEVERAL = re.compile(
    rf"(?:(?:[Bb]oth|[Oo]nly|[Oo]ptions?|[Cc]hoices?|[Aa]nswers?|[Aa]re)[:\s]{{1,3}}){{0,4}}({_ONE}(?:\s*(?:,\s*and\b|,|;|、|&|/|\+|\band\b|，|和)\s*{_ONE})+)(?P<rest>.*)",
    re.DOTALL,
)
_LEADING = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*)?[(\[]?(?:(?P<letter>[A-Z])"
    r"(?:\s*(?:[)\]:：、】）]|\.(?=\s|$|\)))|\s*,(?!\s*[A-Z]\b)|\s*[-–—=]+\s|\s+(?=because\b|since\b|as\b|is\s+(?:the\s+)?(?:correct|right|answer|best|my)\b|\()|\s*\n|\s*$)|(?P<small>[b-hj-z]|a)\s*\))"
)
_HEDGED = re.compile(rf"{_ONE}\s*(?:,?\s*or\s*){_ONE}")
_LETTERS = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z])")
_TOGETHER = re.compile(r"([A-Z]{2,8})")
_EDGES = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum()) + " \t\r\n“”‘’–—•，。：；、（）【】"
"""Signs around a short answer that say nothing."""


def read_piece(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that a short committed piece states, None when it states none."""
    bare = undressed(text).strip()
    if not bare:
        return None
    whole = _WHOLE.fullmatch(bare.strip(_EDGES)) if len(bare) <= 200 else None
    if whole is not None:
        letter = whole.group(1).upper()
        return frozenset(letter) if letter in options.letters else None
    exact = options.letter_of(text)
    if exact is not None:
        return frozenset(exact)
    listed = _listed(bare, options, several)
    if listed is not None:
        return listed
    leading = _leading(bare, options)
    if leading is not None:
        return leading
    if options.texts:
        first, rest = bare.lstrip("(*_ ")[:1], bare.lstrip("(*_ ")[1:]
        if first in options.letters and rest[:1].isspace() and normalised(rest) == options.normal.get(first):
            return frozenset(first)
        misspelt = options.similar_to(text)
        if misspelt is not None:
            return frozenset(misspelt)
    return read_prose(text, options, several, committed=True)


def _leading(bare: str, options: Options) -> frozenset[str] | None:
    """A letter at the start that is set off from what follows: "B) 12 cm", "B. because", "b) 12"."""
    core = bare.lstrip(_EDGES)
    match = _LEADING.match(core)
    if match is None or _HEDGED.match(core):
        return None
    letter = (match["letter"] or match["small"]).upper()
    return frozenset(letter) if letter in options.letters else None


def _listed(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """Letters joined by commas or "and"; run together ("ACD") only when several answers are asked for."""
    core = bare.strip(_EDGES)
    if core.upper() in ("N/A", "NA"):
        return None
    match = _SEVERAL.match(core)
    if match is not None:
        letters = frozenset(_LETTERS.findall(match.group(1)))
        if len(letters) > 1 and letters <= options.letters and (several or not match["rest"].strip()[:1].isalnum()):
            return letters
    together = _TOGETHER.fullmatch(core.replace(" ", "")) if several and len(core) <= 16 else None
    if together is not None:
        letters = frozenset(together.group(1))
        if len(letters) == len(together.group(1)) and letters <= options.letters:
            return letters
    return None


# -------------------------------------------------------------------------------------------------------------- prose

_SENTENCES = re.compile(
    r"\n+|(?<=[^\s][.!?])(?<!^[A-Z]\.)(?<!\n[A-Z]\.)(?<![-*•] [A-Z]\.)\s+(?=[A-Z(\[*\"“])|(?<=[。！？])"
)
_L = r"(?:\((?P<in{0}>[A-Za-z])\)|(?P<bare{0}>[A-Z])(?![A-Za-z'’\-_^=+*/(]|\s*[=+*/^]))"
# A bare "A" before a word is the article, unless the word cannot follow an article.
_GUARD = r"(?!(?<=\s[AI])\s+(?!because\b|since\b|as\b|and\b|but\b|due\b|given\b|which\b|for\b|with\b|is\b|would\b|seems\b|matches\b|has\b|here\b|in\b|on\b|from\b|\()[A-Za-z])"
_NOUN = r"(?:(?:the\s+|an?\s+)?(?:correct\s+|right\s+|best\s+|final\s+|most\s+\w+\s+)?(?:answer|option|choice|letter|statement|figure|image|picture|selection|graph|diagram)(?:\s+(?:choice|option|letter))?\s*(?:is\s+|:\s*)?)?"
_CHOOSES = re.compile(
    r"(?P<verb>(?:\b(?:is|are|be|choose|chose|select|selected|pick|picked|chosen|go(?:ing)?\s+with|went\s+with|opt\s+for|settle\s+on|guess|say|think|believe|vote\s+for"
    r"|match(?:es|ing)?|corresponds?\s+to|corresponding\s+to|lean(?:ing)?\s+towards?|points?\s+to|leads?\s+(?:us\s+)?to|namely|i\.e\.,?|therefore"
    r"|thus|hence|so|that's|it's|but|answer|option|choice|becomes|remains|leaves|with|mark|prefer|only)\b|[=→⇒➡:：∴]|选择?|是|为))"
    rf"\s{{0,2}}[,:：]?\s{{0,2}}(?:(?:most\s+)?(?:likely|probably|definitely|clearly|thus|therefore|indeed|simply|just|still|actually)\s+)?(?:only\s+|option\s+|to\s+|either\s+)?{_NOUN}[:\s]{{0,3}}"
    + _L.format("1")
    + _GUARD,
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    r"(?:"
    + _L.format("2")
    + r")(?:(?!\b[A-Z]\b)[^.\n]){0,60}?\b(?:is|are|seems?|appears?|would\s+be|must\s+be|looks|fits|matches|best)\s+(?:to\s+be\s+)?(?:indeed\s+|therefore\s+|thus\s+|clearly\s+|the\s+|a\s+|most\s+|only\s+|more\s+|one\s+|best\s+|our\s+)*"
    r"(?:correct|right|better|accurate|appropriate|best|answer|true|valid|suitable|likely|fitting|logical|reasonable|option|choice|plausible|describes|matches|represents|fits|description)\b",
)
_BEST = re.compile(
    r"(?:"
    + _L.format("2")
    + r")\s+(?:(?:best|correctly|most\s+\w+)\s+\w+|(?:match|fit|describ|represent|satisf|answer|explain|show|agree)\w*\b(?:(?!\b[A-Z]\b)[^.\n]){0,60}\b(?:best|most\s+\w+)\b)"
)
_CHINESE = re.compile(r"(?:选项\s?)?" + _L.format("2") + r"\s?(?:选项)?(?:是|为)?(?:正确|对)")
_NOT = re.compile(
    r"(?i)(?:\bnot\b|n't\b|\bneither\b|\bnor\b|\bnever\b|\brather than\b|\binstead of\b|\bunlike\b|\bother than\b|\bexcept\b|\beliminat\w+|\brul\w+ out|\bexclud\w+|\bdiscard\w*"
    r"|\breject\w*|\bincorrect\b|\bwrong\b)(?:\s+(?:be|the|option|choice|answer|is|by|for|correct|necessarily|options|choices|just|either))*\s*[:(]?\s*$"
)
_WRONG_AFTER = re.compile(
    r"(?i)[).,:\s]{0,4}(?:[^.\n;]{0,60}?\b)?(?:(?:is|are|was|can\s+be|cannot|can't|isn't|aren't|does\s+not|doesn't|would\s+not|wouldn't|seems?)\s*(?:also\s+|clearly\s+|therefore\s+|thus\s+|be\s+|the\s+)*"
    r"(?:not\b|n't\b|incorrect|wrong|false|eliminated|ruled\s+out|excluded|out\b|too\b|unlikely|invalid|impossible|inaccurate|discarded|rejected|irrelevant|be\b|match\b|fit\b)|"
    r"(?:would|could|might)\s+(?:be|have been)\s+(?:the\s+)?(?:correct|right)[^.\n]{0,20}\bif\b)"
)
_BECAUSE = re.compile(r"(?i)[).,:\s]{0,4}(?:because|since|as)\b")
_ANY_NOT = re.compile(r"(?i)\b(?:not|neither|nor|incorrect|wrong|isn't|aren't|never)\b|n't\b")
_WORDED = re.compile(r"\b(?:[Oo]ption|OPTION|[Cc]hoice|[Aa]nswer|[Ll]etter)s?\s*:?\s*" + r"\(?([A-Z])\)?(?![A-Za-z'’])")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_OTHER_THINGS = re.compile(
    r"(?i)\b(?:points?|angles?|vertex|vertices|triangles?|sides?|lines?|segments?|vectors?|vitamin|type|group|class|event|set|matrix|node|grade|section|station|city|town|person"
    r"|company|team|country|plan|circle|player|box|bag|container|object|sample|solution|beaker|region|area|curve|block|gene|allele|species|bond|project|compound|item|variable|factor|state|process|firm|machine|department)\s*\(?$"
    r"|(?:∠|△|[=+*/^<>-])\s*$"
)
_REFUSAL = re.compile(
    r"(?i)\b(?:none of (?:the|these)(?: (?:above|options|given|provided|choices|listed|answers))*|cannot (?:be )?(?:determined?|answer|provide|select|choose|see|view|access|identify|tell)"
    r"|can't (?:determine|answer|provide|select|see|view|tell|help)|unable to|not able to|(?:no|without (?:an?|the)) (?:correct )?(?:image|answer|option) (?:is |was |has been )?(?:provided|given|listed|matches)"
    r"|not enough information|insufficient information|need more (?:information|context)|i'm sorry|i apologi[sz]e|as an ai|no correct (?:answer|option)|i don't know)\b"
)
_OTHERS = re.compile(
    r"(?i)(?:^|\n)[^\n.]{0,60}\b(?:other|remaining|incorrect|wrong)\s+(?:possible\s+|answer\s+)?(?:answers?|options?|choices?|letters?)\b(?:[^\n.]{0,80}(?:incorrect|wrong|not|:)|\s*\n)"
)


_OTHERS_SIGNS = ("ther ", "emaining", "ncorrect ", "rong ")


def read_prose(text: str, options: Options, several: bool, committed: bool = False) -> frozenset[str] | None:
    """The letters that running text settles on. ``committed``: the text is short and announced as the answer."""
    text = squeezed(text[-MAX_PROSE:])
    others = _OTHERS.search(text) if any(word in text for word in _OTHERS_SIGNS) else None
    if others is not None and others.start() > 0:  # "Why the other options are wrong: ..." explains, it does not choose
        found = _read(text[: others.start()], options, several, committed)
        if found is not None:
            return found
    return _read(text, options, several, committed)


def read_thought(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that an unfinished thought settles on in so many words; mentions do not count there."""
    sentences = [s.strip() for s in _SENTENCES.split(undressed(text[-MAX_PROSE:])) if s and s.strip()]
    for sentence in reversed(sentences[-4:]):
        found = _settled(sentence, options, several)
        if found is not None:
            return found
    return None


def _read(text: str, options: Options, several: bool, committed: bool) -> frozenset[str] | None:
    if len(text) > 3 * WINDOW:  # mostly the end settles it
        sentences = [s.strip() for s in _SENTENCES.split(undressed(text[-WINDOW:]))[1:] if s and s.strip()]
        for sentence in reversed(sentences[-3:]):
            found = _alone(sentence, options) or _settled(sentence, options, several)
            if found is not None:
                return found
    bare = undressed(text)
    sentences = [s.strip() for s in _SENTENCES.split(bare) if s and s.strip()]
    if not sentences:
        return None
    found = _tabulated(bare[-2 * WINDOW :], options)
    if found is not None:
        return found
    if len(sentences) == 1 and len(sentences[0]) <= 4:
        sentences[0] = sentences[0].upper()
    for sentence in reversed(sentences[-NEAR:]):
        found = _alone(sentence, options) if not committed else None
        found = found or _settled(sentence, options, several)
        if found is not None:
            return found
    if not committed:
        found = _head(bare, options, several)
        if found is not None:
            return found
    for sentence in reversed(sentences[:-NEAR]):
        found = _settled(sentence, options, several)
        if found is not None:
            return found
    return _weakly(text, sentences, options)


_TABLE = re.compile(
    r"(?<![A-Za-z])\(?([A-Z])[).:]{0,2}\s?[-–—:]?\s?(?:is\s)?(?:(correct|right|true|yes|✓|✔|✅)|incorrect|wrong|false|no|❌|✗|✘)(?![a-z])",
    re.IGNORECASE,
)


def _tabulated(bare: str, options: Options) -> frozenset[str] | None:
    """Every option with its verdict, exactly one of them good: "A: false, B: true, C: false"."""
    rows = {match.group(1): bool(match.group(2)) for match in _TABLE.finditer(bare) if match.group(1).isupper()}
    if len(rows) < 3 or sum(rows.values()) != 1 or options.yes_no is not None or not rows.keys() <= options.letters:
        return None
    return frozenset(letter for letter, good in rows.items() if good)


def _alone(sentence: str, options: Options) -> frozenset[str] | None:
    """A sentence or line that is nothing but one letter."""
    whole = _WHOLE.fullmatch(sentence.strip(_EDGES)) if len(sentence) <= 200 else None
    letter = whole.group(1) if whole is not None else ""
    return frozenset(letter) if letter.isupper() and letter in options.letters else None


def _settled(sentence: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letter that one sentence chooses in so many words; the last one when there are more."""
    best: tuple[int, frozenset[str]] | None = None
    for start, letter in [*_chosen(sentence), *_called_right(sentence)]:
        if letter in options.letters and (best is None or start >= best[0]):
            best = (start, _with_neighbours(sentence, start, letter, options, several))
    return best[1] if best else None


_WEAK_VERBS = frozenset(
    {
        "is",
        "are",
        "be",
        "so",
        "but",
        "=",
        ":",
        "：",
        "say",
        "thus",
        "hence",
        "therefore",
        "it's",
        "with",
        "only",
        "是",
        "为",
    }
)


def _chosen(sentence: str) -> Iterator[tuple[int, str]]:
    """Letters behind a verb of choosing: "the answer is B", "so (B)", "not A but B"."""
    for match in _CHOOSES.finditer(sentence):
        dressed = match["in1"]
        letter = dressed or match["bare1"]
        start = match.start("in1" if dressed else "bare1")
        if not letter.isupper():  # "(b)", and "option b" before a stop
            worded = _SMALL_WORDED.search(sentence[max(0, start - 10) : start]) and _STOP.match(sentence, match.end())
            if letter == "i" or not (dressed or worded):
                continue
            letter = letter.upper()
        if _negated(sentence, match.start(), start, match.end()):
            continue
        weak = match["verb"].lower() in _WEAK_VERBS
        if weak and not dressed and _OTHER_THINGS.search(sentence[max(0, start - 24) : start]):
            continue
        yield start, letter


_SMALL_WORDED = re.compile(r"(?i)(?:option|choice|answer)\s+$")
_STOP = re.compile(r"\s*(?:[.,;:!)]|$)")


def _negated(sentence: str, verb: int, start: int, end: int) -> bool:
    """Whether the choice between ``verb`` and ``start`` is denied before or after."""
    before = sentence[max(0, verb - 24) : start]
    denied = re.search(r"(?i)(?:\bnot|n't|\bneither|\bnever|\bincorrect|\bwrong)\b[^,.;]*$", before)
    if denied and not re.search(r"(?i)\bbut\b[^,.;]*$", before[denied.start() :]):
        return True
    return bool(_WRONG_AFTER.match(sentence, end)) and not _BECAUSE.match(sentence, end)


def _called_right(sentence: str) -> Iterator[tuple[int, str]]:
    """Letters that are called right: "(B) is correct", "Option B seems to be the best answer"."""
    for match in (*_IS_RIGHT.finditer(sentence), *_BEST.finditer(sentence), *_CHINESE.finditer(sentence)):
        dressed = match["in2"]
        letter = dressed or match["bare2"]
        start = match.start("in2" if dressed else "bare2")
        before = sentence[max(0, start - 40) : start]
        if not letter.isupper() or _ANY_NOT.search(sentence[start : match.end()]) or _NOT.search(before):
            continue
        if not dressed:
            worded = re.search(r"(?i)(?:option|choice|answer|letter)\s*$", before)
            article = letter in "AI" and re.match(
                r"[AI]\s+(?!is\b|seems|appears|would|must|looks|fits|matches|best)[a-z]", sentence[start:]
            )
            if _OTHER_THINGS.search(before) or (article and not worded):
                continue
        yield start, letter


_LIST_ANY = re.compile(rf"{_ONE}(?:\s*(?:,\s*and\b|,|;|、|&|/|\+|\band\b|，|和)\s*{_ONE})+")
_JOINED = re.compile(r"&|\band\b|和")


def _with_neighbours(sentence: str, start: int, letter: str, options: Options, several: bool) -> frozenset[str]:
    """Letters that are listed together with the chosen one: "(A) and (C)"; commas alone join only when several answers
    are asked for."""
    for listed in _LIST_ANY.finditer(sentence):
        if listed.start() <= start < listed.end():
            found = _LETTERS.findall(listed.group())
            letters = frozenset(found)
            if len(letters) < len(found):  # "between B and D, D is ..."
                continue
            joined = _JOINED.search(listed.group()) and not _WRONG_AFTER.match(sentence, listed.end())
            if letters <= options.letters and (several or joined):
                return letters | {letter}
    return frozenset(letter)


def _head(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """An answer given first and explained later: "B. because ...", "B" on a line of its own, "(B) 12 cm", "Yes, the
    ..."."""
    lines = [line.strip() for line in islice((line for line in bare[:1_500].splitlines() if line.strip()), 4)]
    if not lines:
        return None
    first = lines[0]
    found = _alone(first, options) or _listed(first, options, several)
    if found is not None:
        return found
    # An enumeration of all options at the start ("A. ... \n B. ... \n C. ...", "A) x (B) y (C) z") restates the
    # question.
    restated = (
        sum(bool(re.match(r"[-*• ]*\(?[A-Z][).:]\s", line)) for line in lines) > 1
        or len(re.findall(r"\(?\b[A-Z]\)\s", first)) > 1
    )
    if not restated:
        found = _leading(first, options)
        if found is not None:
            return found
    return _text_first(first, options)


def _text_first(first: str, options: Options) -> frozenset[str] | None:
    """A first line that is the text of an option, or starts with it: "No, the bar ..."."""
    letter = options.letter_of(first.rstrip(".!"))
    if letter is not None:
        return frozenset(letter)
    opening = re.split(r"[,.:;!\n]", first, maxsplit=1)[0]
    if opening != first and len(opening) <= 40 and not options.numeric:
        letter = options.letter_of(opening)
        if letter is not None:
            return frozenset(letter)
    return None


def _weakly(text: str, sentences: list[str], options: Options) -> frozenset[str] | None:
    """Without a settling sentence: the only letter of the last one, the option that the conclusion names, the only
    letter at all."""
    letters = _mentions(sentences[-1], options)
    if len(letters) == 1:
        return letters
    named = _named_at_end(text, sentences, options)
    if named is not None:
        return frozenset(named)
    if _REFUSAL.search(" ".join(sentences[-3:])):
        return None
    letters = frozenset().union(*(_mentions(sentence, options) for sentence in sentences[-8:]))
    if len(letters) == 1:
        return letters
    named = options.named_in(" ".join(sentences))
    return frozenset(named) if len(named) == 1 else None


def _named_at_end(text: str, sentences: list[str], options: Options) -> str | None:
    """The option whose value or text the last sentences state."""
    if not options.texts:
        return None
    if options.numeric:
        value = concluding_number(text)
        if value is not None:
            alike = [
                letter
                for letter, number in options.numbers.items()
                if number.value == value.value and (number.percent == value.percent or not value.percent)
            ]
            if len(alike) == 1:
                return alike[0]
        return None
    for line in reversed(text.splitlines()[-6:]):
        for segment in reversed(segments(line)):
            letter = options.letter_of(segment.rpartition("=")[2])
            if letter is not None:
                return letter
    for sentence in reversed(sentences[-3:]):
        named = options.named_in(sentence)
        if len(named) == 1 and not _ANY_NOT.search(sentence):
            return named[0]
        if len(named) > 1:
            return None
    return None


def _mentions(sentence: str, options: Options) -> frozenset[str]:
    """Dressed letters of a sentence that are not negated."""
    found = set()
    for pattern in (_WORDED, _BRACKETED):
        for match in pattern.finditer(sentence):
            letter = match.group(1)
            if letter not in options.letters:
                continue
            if _NOT.search(sentence[max(0, match.start() - 40) : match.start(1)]) or _WRONG_AFTER.match(
                sentence, match.end()
            ):
                continue
            found.add(letter)
    return frozenset(found)


def refuses(text: str) -> bool:
    """Whether a short announced text declines to choose: "None of the above", "cannot be determined"."""
    return _REFUSAL.search(text) is not None
