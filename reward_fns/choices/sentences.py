r"""What one sentence chooses.

    settled("So it must be (C).", options, several=False)                -> {"C"}
    settled("Option B shows a wave.", options, several=False)            -> None, a mention
    mentions("Option B shows a wave.", options)                          -> {"B"}

A capital letter in prose is an option only in a dress that says so: brackets, bold, "option", or the end of a
concluding phrase. The article "A", the pronoun "I" and the points of a triangle are none. Negated letters ("not B",
"B is wrong") are never chosen. Not here: which sentence counts (reading.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from reward_fns.choices.letters import LETTERS, ONE
from reward_fns.choices.options import Options

_L = r"(?:\((?P<in{0}>[A-Za-z])\)|(?P<bare{0}>[A-Z])(?![A-Za-z'’\-_^=+*/(]|\s*[=+*/^]))"
# A bare "A" before a word is the article, unless the word cannot follow an article.
_GUARD = r"(?!(?<=\s[AI])\s+(?!because\b|since\b|as\b|and\b|but\b|due\b|given\b|which\b|for\b|with\b|is\b|would\b|seems\b|matches\b|has\b|here\b|in\b|on\b|from\b|then\b|\()[A-Za-z])"
_NOUN = r"(?:(?:the\s+|an?\s+)?(?:correct\s+|right\s+|best\s+|final\s+|most\s+\w+\s+)?(?:answer|option|choice|letter|statement|figure|image|picture|selection|graph|diagram)(?:\s+(?:choice|option|letter))?\s*(?:is\s+|:\s*)?)?"
_CHOOSES = re.compile(
    r"(?P<verb>(?:\b(?:is|are|be|choose|chose|select|selected|pick|picked|chosen|go(?:ing)?\s+with|went\s+with|opt\s+for|settle\s+on|guess|say|think|believe|vote\s+for"
    r"|match(?:es|ing)?|corresponds?\s+to|corresponding\s+to|lean(?:ing)?\s+towards?|points?\s+to|leads?\s+(?:us\s+)?to|namely|i\.e\.,?|therefore"
    r"|thus|hence|so|that's|it's|its|but|answer|option|choice|becomes|remains|leaves|(?:left|stick|stay|ends?|ending|agrees?|up|going|consistent|leaves\s+us)\s+with|mark|prefer|only)\b|[=→⇒➡:：∴]|选择?|是|为))"
    rf"\s{{0,2}}[,:：]?\s{{0,2}}(?:(?:most\s+)?(?:likely|probably|definitely|clearly|thus|therefore|indeed|simply|just|still|actually)\s+)?(?:only\s+|option\s+|to\s+|either\s+)?{_NOUN}[:\s]{{0,3}}"
    + _L.format("1")
    + _GUARD,
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(
    r"(?:"
    + _L.format("2")
    + r")(?:(?!\b[A-Z]\b)[^.\n]){0,60}?\b(?:is|are|seems?|appears?|would\s+be|must\s+be|looks|fits|matches|best)\s+(?:to\s+be\s+)?(?:indeed\s+|therefore\s+|thus\s+|clearly\s+|the\s+|a\s+|most\s+|only\s+|more\s+|one\s+|best\s+|our\s+)*"
    r"(?:correct|right|better|accurate|appropriate|best|answer|true|valid|suitable|likely|fitting|logical|reasonable|option|choice|plausible|describes|matches|represents|fits|description|one\s+that\s+\w+)\b",
)
_BEST = re.compile(
    r"(?:"
    + _L.format("2")
    + r")\s+(?:(?:best|correctly|most\s+\w+)\s+\w+|(?:match|fit|describ|represent|satisf|answer|explain|show|agree)\w*\b(?:(?!\b[A-Z]\b)[^.\n]){0,60}\b(?:best|most\s+\w+)\b)"
)
_CHINESE = re.compile(r"(?:选项\s?)?" + _L.format("2") + r"\s?(?:选项|项)?(?:是|为)?(?:正确|对)")
_NOT = re.compile(
    r"(?i)(?:\bnot\b|n't\b|\bneither\b|\bnor\b|\bnever\b|\brather than\b|\binstead of\b|\bunlike\b|\bother than\b|\bexcept\b|\beliminat\w+|\brul\w+ out|\bexclud\w+|\bdiscard\w*"
    r"|\breject\w*|\bincorrect\b|\bwrong\b|不是|而非|不选|排除)(?:\s+(?:be|the|option|choice|answer|is|by|for|correct|necessarily|options|choices|just|either))*\s*[:(]?\s*$"
)
_WRONG_AFTER = re.compile(
    r"(?i)[).,:\s]{0,4}(?:[^.\n;]{0,60}?\b)?(?:(?:is|are|was|can\s+be|cannot|can't|isn't|aren't|does\s+not|doesn't|would\s+not|wouldn't|seems?)\s*(?:also\s+|clearly\s+|therefore\s+|thus\s+|be\s+|the\s+)*"
    r"(?:not\b|n't\b|incorrect|wrong|false|eliminated|ruled\s+out|excluded|out\b|too\b|unlikely|invalid|impossible|inaccurate|discarded|rejected|irrelevant|be\b|match\b|fit\b)|"
    r"(?:would|could|might)\s+(?:be|have been)\s+(?:the\s+)?(?:correct|right)[^.\n]{0,20}\bif\b)"
)
_BECAUSE = re.compile(r"(?i)[).,:\s]{0,4}(?:because|since|as)\b")
ANY_NOT = re.compile(r"(?i)\b(?:not|neither|nor|incorrect|wrong|isn't|aren't|never)\b|n't\b")
_DOUBTED = re.compile(
    r"(?i)\b(?:at first(?: glance| sight)?|initially|although|though|while|might|may|could|tempting|whether|if)\b[^.,;:]*$"
)
_NONE_OF = re.compile(r"(?i)\b(?:none|neither)\s+of\b[^.]*$")
_BUT = re.compile(r"(?i)\w*[^.\n,;]{0,40},?\s+(?:but|however|yet)\b(?!\s+(?:not|[A-Z]\b))")
_WORDED = re.compile(
    r"\b(?:[Oo]ption|OPTION|[Cc]hoice|[Aa]nswer|[Ll]etter|[Ff]igure|[Dd]iagram|[Ii]mage|[Gg]raph|[Pp]icture|[Ss]hape|[Pp]anel|[Pp]attern|[Ss]tatement)s?\s*:?\s*"
    + r"\(?([A-Z])\)?(?![A-Za-z'’])"
)
_BRACKETED = re.compile(r"\(([A-Z])\)")
_OTHER_THINGS = re.compile(
    r"(?i)\b(?:points?|angles?|vertex|vertices|triangles?|sides?|lines?|segments?|vectors?|vitamin|type|group|class|event|set|matrix|node|grade|section|station|city|town|person"
    r"|company|team|country|plan|circle|player|box|bag|container|object|sample|solution|beaker|region|area|curve|block|gene|allele|species|bond|project|compound|item|variable|factor|state|process|firm|machine|department)\s*\(?$"
    r"|(?:∠|△|[=+*/^<>-])\s*$"
)


def settled(sentence: str, options: Options, several: bool) -> frozenset[str] | None:
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
        "its",
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
        if _negated(sentence, match.start(), start, match.end()) or _in_passing(sentence, match, start):
            continue
        weak = match["verb"].lower() in _WEAK_VERBS
        if weak and not dressed and _OTHER_THINGS.search(sentence[max(0, start - 24) : start]):
            continue
        yield start, letter


_SMALL_WORDED = re.compile(r"(?i)(?:option|choice|answer)\s+$")
_STOP = re.compile(r"\s*(?:[.,;:!)]|$)")


_MENTIONED_BEFORE = re.compile(
    r"(?i)\b(?:in|for|of|by|from|under|than|if|while|whereas|both|unlike|like|consider|considering|says|said)\s+(?:the\s+)?(?:answer\s+)?$"
)
_GOES_ON = re.compile(r"\)?\s+(?!because|since|as|which|due|given|with|and|or|based|here|is\s+(?:the|my)\b)[a-z]+")
_OR_ANOTHER = re.compile(r"\)?\s*,?\s*(?:or|/|to|through)\s+(?:option\s+)?[(\[]?[A-Z](?![A-Za-z'’])")
_ENUMERATED = re.compile(rf"{ONE}\s*,\s*{ONE}\s*,?\s*(?:,|or|and|&)\s*(?:or\s+|and\s+)?{ONE}")


def _in_passing(sentence: str, match: re.Match[str], start: int) -> bool:
    """Whether the letter at ``start`` is mentioned, not chosen: "option B shows ...", "in choice B", "B or C", "among
    A, B, C and D"."""
    if _OR_ANOTHER.match(sentence, match.end()):
        return True
    if match["verb"].lower() in ("option", "choice", "answer"):
        before = sentence[max(0, match.start() - 30) : match.start()]
        if _MENTIONED_BEFORE.search(before):
            return True
        if (not before.strip(" -*•>#,;:") or before.rstrip()[-1:] in ",;:") and _GOES_ON.match(sentence, match.end()):
            return True
    return _enumerated(sentence, start)


def _enumerated(sentence: str, start: int) -> bool:
    """Whether the letter at ``start`` stands in a list of three or more, as the names of all options do."""
    return any(first <= start < end for first, end in _enumerations(sentence))


@lru_cache(maxsize=64)
def _enumerations(sentence: str) -> tuple[tuple[int, int], ...]:
    """Where such lists stand; asked for once per letter, so it is looked for once per sentence."""
    return tuple(found.span() for found in _ENUMERATED.finditer(sentence))


_ABOUT_DENIAL = re.compile(
    r"(?i)\b(?:that|which|who)\b[^,.;]*(?:\bnot\b|n't)[^,.;]*$|\bnot\s+(?:true|correct|supported|valid|consistent|shown|a|an)\b[^,.;]*$|\b(?:incorrect|wrong|false)\s+(?:statement|option|answer|one|choice)\s*$"
)
"""What was asked for is itself a denial: "the statement that is not true is C"."""


def _negated(sentence: str, verb: int, start: int, end: int) -> bool:
    """Whether the choice between ``verb`` and ``start`` is denied before or after."""
    before = sentence[max(0, verb - 24) : start]
    if sentence[verb : verb + 3].strip() in ("is", "are") and _ABOUT_DENIAL.search(sentence[:verb]):
        return bool(_WRONG_AFTER.match(sentence, end)) and not _BECAUSE.match(sentence, end)
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
        if not letter.isupper() or ANY_NOT.search(sentence[start : match.end()]) or _NOT.search(before):
            continue
        if (
            _NONE_OF.search(sentence[max(0, start - 80) : start])
            or _DOUBTED.search(before)
            or _BUT.match(sentence, match.end())
        ):
            continue
        if not dressed:
            worded = re.search(r"(?i)(?:option|choice|answer|letter)\s*$", before)
            article = letter in "AI" and re.match(
                r"[AI]\s+(?!is\b|seems|appears|would|must|looks|fits|matches|best)[a-z]", sentence[start:]
            )
            if _OTHER_THINGS.search(before) or (article and not worded):
                continue
        yield start, letter


_LIST_ANY = re.compile(rf"{ONE}(?:\s*(?:,\s*and\b|,|;|、|&|/|\+|\band\b|，|和)\s*{ONE})+")
_JOINED = re.compile(r"&|\band\b|和")


@lru_cache(maxsize=64)
def _lists(sentence: str) -> tuple[re.Match[str], ...]:
    return tuple(_LIST_ANY.finditer(sentence))


def _with_neighbours(sentence: str, start: int, letter: str, options: Options, several: bool) -> frozenset[str]:
    """Letters that are listed together with the chosen one: "(A) and (C)"; commas alone join only when several answers
    are asked for."""
    for listed in _lists(sentence):
        if listed.start() <= start < listed.end():
            found = LETTERS.findall(listed.group())
            letters = frozenset(found)
            if len(letters) < len(found):  # "between B and D, D is ..."
                continue
            joined = _JOINED.search(listed.group()) and not _WRONG_AFTER.match(sentence, listed.end())
            if letters <= options.letters and (several or joined):
                return letters | {letter}
    return frozenset(letter)


def mentions(sentence: str, options: Options) -> frozenset[str]:
    """Dressed letters of a sentence that are not negated."""
    found = set()
    for pattern in (_WORDED, _BRACKETED):
        for match in pattern.finditer(sentence):
            letter = match.group(1)
            if (
                letter not in options.letters
                or _enumerated(sentence, match.start(1))
                or _OR_ANOTHER.match(sentence, match.end())
            ):
                continue
            if _NOT.search(sentence[max(0, match.start() - 40) : match.start(1)]) or _WRONG_AFTER.match(
                sentence, match.end()
            ):
                continue
            found.add(letter)
    return frozenset(found)


def mentions_things(before: str) -> bool:
    """Whether the letter behind ``before`` names something else: "triangle ", "point "."""
    return _OTHER_THINGS.search(before) is not None
