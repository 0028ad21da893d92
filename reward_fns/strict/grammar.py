r"""What may stand around a value in a committed region. Everything that is not named here is left over.

    core(r"The final answer is $\boxed{12\text{ cm}}$.")   -> r"12\text{ cm}"
    core("not 11 but 12")                                   -> "12"
    core("12, maybe 13")                                    -> None
    is_unit("cm^2"), is_unit("red apples")                  -> True
    is_unit("or more"), is_unit("dozen")                    -> False

Allowed: markdown and LaTeX markup, the words of an announcement ("so the total is"), a denied alternative ("not 11
but"), a final stop. Not here: the values themselves (quantity.py, selection.py, collection.py).
"""

from __future__ import annotations

import re
from functools import lru_cache

from reward_fns.answer.phrases import THEREFORE, Phrase
from reward_fns.answer.wrappers import FRAMES, GROUP, any_of, unwrapped
from reward_fns.numbers import units

MAX_CORE = 600
"""Characters of a region that announces one value."""

_NEGATION = (
    r"not|no|non|never|neither|nor|none|nobody|nothing|cannot|can['’]?t|\w+n['’]t|without|wrong|incorrect|false|untrue"
    r"|mistak\w+|error|invalid|fake|lies?|lying|opposite|except|but|unlike|instead|rather|however|although|though|yet"
    r"|unless|nope|nah|kidding|jk|lol|idk|hmm+|wait|actually|oops|sorry|contrary|den(?:y|ies|ied)|reject\w*|refus\w+"
    r"|disagree\w*|nonsense|bogus|far\s+from|ruled|excluded|eliminated"
)
_HEDGE = (
    r"maybe|perhaps|possibl[ye]|might|may|could|either|or|alternatively|otherwise|both|sometimes|unsure|uncertain"
    r"|unknown|doubt\w*|hardly|barely|scarcely|supposedly|allegedly|apparently|seemingly|somewhere|somehow|between"
    r"|guess\w*|wonder\w*|unlikely|impossible|pretend\w*|hypothetical\w*|depend\w*|random\w*|else|ish|versus|vs"
)
_CASES = r"if|suppos\w+|assum\w+|would|should|were|whether|imagine|until|when|unclear"
_OTHERS = (
    r"says?|said|thinks?|thought|claim\w*|believ\w+|suggest\w*|argu\w+|insist\w*|wrote|told|according|someone|somebody"
    r"|others?|people|everyone|they"
)
_BOUND = (
    r"(?:at|the|very)\s+least|at\s+most|greater|larger|bigger|smaller|higher|lower|than|over|under"
    r"|above|below|exceed\w*|up\s+to|upto|within|plus|minus|beyond|tops|upwards|minimum|maximum|and\s+up"
)
_TIMES = (
    r"dozens?|gross|hundreds?|thousands?|millions?|billions?|squared|cubed|factorial|half"
    r"|halves|thirds?|fourths?|quarters?|fifths?|sixths?|tenths?|double[ds]?|triple[ds]?|twice|divided|multiplied|power"
    r"|point|percent\w*|mod|modulo|base"
)
LEFT_OVER = Phrase(
    "words that no single answer has around it",
    rf"\b(?:{_NEGATION}|{_HEDGE}|{_CASES}|{_OTHERS}|{_BOUND})\b|\?",
    hits=["it is not", "B, maybe", "either", "if so", "Bob says", "it isn't", "12?", "or", "at least"],
    misses=["the area of the triangle", "my final answer", "red apples", "the notebook"],
)
_SUBJECT_BOUND = re.compile(r"(?i)\b(?:minimum|maximum|smaller|larger|greater|lower|higher|over|under|above|below)\b")
"""Words of a bound that are harmless in a subject: "the smaller angle is", "the area under the curve is"."""

MULTIPLIER = Phrase(
    "a word that changes the value before it",
    rf"\b(?:{_TIMES})\b",
    hits=["dozen", "halves", "squared"],
    misses=["apples", "cm"],
)

_STRUCK = re.compile(
    r"[\u0335-\u0338\u20d2\u20d3\u20e0\u20e5]|\\[bx]?cancel\b|\\(?:sout|st|not|phantom|xout|hcancel)(?![a-z])"
    r"|~~|</?(?:s|del|strike)>|<!--|[\u202a-\u202e\u2066-\u2069]"
)
"""Struck out, hidden, or turned around."""

_TAG = re.compile(r"</?(?:b|i|u|p|em|br|strong|span|div|answer|font|center|sub)\s?/?>")
_BOXED = re.compile(any_of(FRAMES) + r"\s*" + GROUP)
_LAYOUT = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|!)(?![A-Za-z])|\\[,;:! ]")
_LAYOUT_EDGE = re.compile(r"^(?:\\[,;:! ]|\\q?quad\b|~|\s)+|(?:\\[,;:! ]|\\q?quad\b|~|\s)+$")
_EDGE = " \t\r\n*_`\"'“”‘’。！✅✓✔\u200b\ufeff"

_SIDE = r"(?:[^,;.!?]{1,40}|[^,;!?]{1,40}\d)"
_NOT_BUT = re.compile(rf"(?is)(?P<lead>.*?)\bnot\s+(?P<denied>{_SIDE}?),?\s+but\s+(?:rather\s+)?(?P<value>.+)")
_RATHER_THAN = re.compile(
    rf"(?is)(?P<value>.+?)(?:,?\s+(?:rather than|instead of|as opposed to)|,\s*(?:and\s+)?not)\s+(?P<denied>{_SIDE})"
)

_ADVERB = (
    r"(?:(?:approximately|about|around|roughly|exactly|now|also|simply|just|then|thus|therefore|indeed|clearly)\s+)?"
)
_VERB = (
    r"(?:is|are|was|equals?|has|have|had|contains?|shows?|costs?|needs?|takes?|took|weighs?|measures?|totals|gives?"
    r"|gets?|makes?|earns?|becomes|remains|leaves|reads|comes\s+to|amounts\s+to)"
)
COPULA = Phrase(
    "between subject and value",
    rf"(?<!\\)\b{_VERB}\b(?:\s+(?:equal\s+to|given\s+by|indeed|thus|therefore|then|now|exactly))?\s*[:：]?\s*|\s*[:：]\s+|\s*[:：]$"
    r"|[:：](?=\S)",
    hits=["area is 12", "Answer: B", "There are 3", "it equals 4"],
    misses=["12 cm", r"\is", "this"],
)
_WORD = re.compile(
    r"[A-Za-z]\(\w{1,3}\)|[^\W\d_][\w'’-]*|\$[^$\d]{1,12}\$|\\[a-z]+(?:\{\w{1,6}\})?|[A-Za-z]_\w|\([^()\d]{1,16}\)|,"
)
_LEAD_IN = re.compile(
    rf"(?i)(?:(?:{THEREFORE}|finally|in\s+conclusion|in\s+summary|in\s+total|overall|ok(?:ay)?|and"
    r"|i\s+(?:would\s+)?(?:think|believe|say|conclude|get|choose|pick|select|go\s+with)(?:\s+that)?"
    r"|we\s+(?:get|have|find|obtain|conclude)(?:\s+that)?|probably|likely|definitely|clearly|certainly|surely)"
    r"\b[,:]?\s+|(?:∴|⇒|→|\\therefore|\\Rightarrow|\#{1,4})\s*)+"
)
_SAID = re.compile(r"(?<!\\)[A-Za-z]{2}")
"""With words, "!" is an exclamation; "12!" alone is a factorial."""

MAX_SUBJECT = 16
"""Words of a subject."""


@lru_cache(maxsize=8192)
def core(text: str) -> str | None:
    """The value of a region without markup, announcement and denied alternative; None when it is struck out, asked,
    or more than one answer long. What is left is not yet known to be a value."""
    if text.isalnum() and text.isascii():  # by far the commonest case
        return text
    if len(text) > 4 * MAX_CORE:
        return None
    if not (text.isascii() and "\\" not in text and "~" not in text and "<" not in text) and _STRUCK.search(text):
        return None
    bare = undressed(text)
    if not bare or len(bare) > MAX_CORE:
        return None
    bare = _without_alternative(bare)
    for _ in range(3):
        before = bare
        opening = _LEAD_IN.match(bare)
        if opening is not None or "\\" in bare:  # a box that a dollar hid
            bare = undressed(bare[opening.end() :] if opening is not None else bare)
        stated = _without_subject(bare)
        if stated is not bare:
            bare = undressed(stated)
        if bare == before:
            break
    return bare or None


def undressed(text: str) -> str:
    """Markdown, tags, frames, dollars and final stops taken off; the words of LaTeX text stay with their command."""
    text = _TAG.sub(" ", text) if "<" in text else text
    commands = "\\" in text
    if commands:
        text = unwrapped(text, r"\1", _BOXED)
    if commands and r"\boxed" in text:  # with braces inside
        start = text.index(r"\boxed")
        if text.endswith("}") and text[start : start + 7] == r"\boxed{":
            text = text[:start] + text[start + 7 : -1]
    text = text.strip(_EDGE)
    for _ in range(4):
        before = text
        if text.startswith(("$", "\\")):  # stars and backticks are gone already
            for opens, closes in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
                inside = text[len(opens) : -len(closes)]
                if (
                    len(text) > len(opens + closes)
                    and text.startswith(opens)
                    and text.endswith(closes)
                    and opens not in inside
                ):
                    text = inside.strip(_EDGE)
        if text.endswith("!") and _SAID.search(text):
            text = text[:-1]
        if commands or "~" in text or text[:1].isspace() or text[-1:].isspace():
            text = _LAYOUT_EDGE.sub("", text)
        text = text.removesuffix(".").removesuffix(",").strip(_EDGE) if not text.endswith("..") else text
        if text == before:
            break
    return text


_ALTERNATIVES = ("not", "rather than", "instead of", "as opposed to")


def _without_alternative(text: str) -> str:
    """ "not 11 but 12" and "12 rather than 11" are 12; a value that is denied and stated at once stays as it is."""
    lowered = text.lower()
    if not any(map(lowered.__contains__, _ALTERNATIVES)):
        return text
    for pattern in (_NOT_BUT, _RATHER_THAN):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        denied, value = match["denied"].strip(_EDGE + ".$()"), match["value"].strip(_EDGE + ".$()")
        lead = match["lead"] if pattern is _NOT_BUT else ""
        if (
            LEFT_OVER.search(denied)
            or denied.casefold() == value.casefold()
            or denied.casefold() in value.casefold().split()
        ):
            return text
        return f"{lead}{match['value']}"
    return text


def _without_subject(text: str) -> str:
    """What follows "The area of the triangle is", "Answer:", "There are"."""
    match = COPULA.search(text)
    if match is None or match.end() >= len(text):
        return text
    subject = text[: match.start()].strip()
    if not subject or (match.group().strip() in (":", "：") and len(subject.strip("()[]$")) == 1):
        return text
    words = _WORD.findall(subject)
    if len(words) > MAX_SUBJECT or _WORD.sub("", subject).strip(" *_") or not allowed_subject(subject):
        return text
    return text[match.end() :]


def allowed_subject(subject: str) -> bool:
    """Whether a subject says nothing that takes the value back."""
    return LEFT_OVER.search(_SUBJECT_BOUND.sub(" ", subject)) is None


_SAYS_MORE = frozenset([
    "and", "is", "are", "was", "be", "been", "can", "will", "must", "has", "have", "does", "do", "it", "this", "that",
    "which", "because", "since", "so", "as",
])  # fmt: skip
"""Words of a sentence, which no unit has."""

MAX_UNIT_WORDS = 6
_UNIT_WORD = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:['’-][^\W\d_]+)*\.?")


@lru_cache(maxsize=4096)
def is_unit(text: str) -> bool:
    """Whether what follows a number is a unit or names the things counted, and changes nothing about the value."""
    bare = _LAYOUT.sub(" ", unwrapped(text, r" \1 ")).strip(" .$~")
    if not bare or units.read(bare) is not None:
        return True
    if bare[:1] == "(" and bare[-1:] == ")":
        bare = bare[1:-1].strip()
    words = bare.replace(",", " ").split()
    if (
        len(words) > MAX_UNIT_WORDS
        or _SAYS_MORE.intersection(words)
        or LEFT_OVER.search(bare)
        or MULTIPLIER.search(bare)
    ):
        return units.is_label(bare) and bare in ("percent", "times")
    return all(_UNIT_WORD.fullmatch(word) or units.read(word) is not None for word in words)
