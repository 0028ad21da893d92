r"""Whether the words around a value commit to it: hedges, alternatives, bounds, doubts, conditions, other people.

    taken_back("I doubt that the answer is ", ".")                -> True
    taken_back("Bob says the answer is ", ", but he is wrong.")    -> True
    taken_back("The answer is ", ", not 11.")                      -> False
    hedged("", ", maybe 13")                                       -> True, another value is offered
    bounded("at least ", "")                                       -> True

Each takes what stands before and after the value in its sentence. The strict reading asks about the sentence around a
box, the lenient reading about the sentence that decides. Not here: denial in general (denial.py), refusals
(phrases.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from reward_fns.answer.denial import DENIED_BEFORE
from reward_fns.answer.phrases import Phrase

# ------------------------------------------------------------------------------------------------------------ before it

DOUBT = Phrase(
    "doubt",
    r"\b(?:doubt(?:s|ed|ful)?|den(?:y|ies|ied)|disagree|unlikely|hard to believe|refuse|reject|no way|pretend"
    r"|anything but|far from|anything other than|unsure|uncertain|not (?:sure|certain|convinced|clear|true|the case)"
    r"|never (?:say|claim|think|believe|answer|pick|choose)"
    r"|(?:don['’]t|do not|didn['’]t|cannot|can['’]t|wouldn['’]t) (?:think|believe|say|agree|know|claim)"
    r"|(?:wrong|incorrect|false|mistaken|mistake|untrue) (?:to|that|answer|value|result|if)|it is (?:wrong|false))\b"
    r"|n['’]t (?:sure|certain|convinced|clear|true|the case)\b",
    hits=[
        "I doubt that the answer is ",
        "anything but ",
        "I don't think it is ",
        "It is not true that it is ",
        "It isn't clear whether it's ",
        "I would never say ",
    ],
    misses=["no doubtless", "I think it is ", "There is not much left: "],
)
_PERSON = (
    r"(?:(?-i:(?!(?:It|This|That|There|What|Which|The|He|She|They|We|I|You|So|As|Sign|Answer|Text|Table|Figure|Chart|Graph|Image|Section|Step)\b)[A-Z][a-z]+)"
    r"|\b(?:he|she|they|someone|somebody|everyone|everybody|nobody|people|others|some|many|students?|friends?|teacher"
    r"|textbook|book|key|classmates?|neighbou?rs?|brother|sister|user|person|author|expert|critics?|professor|colleague|model))"
)
_SAYS = (
    r"(?:says?|said|claims?|claimed|thinks?|thought|believes?|believed|argues?|argued|suggests?|suggested|insists?"
    r"|guess(?:es|ed)|insisted|answers|answered|writes|wrote"
    r"|(?:would|might|may|could) (?:say|think|answer|guess|claim))"
)
_FEW_WORDS = r"(?!(?:\s+\w+){8})"
_OWNER = r"(?-i:[A-Z][a-z]+|\b(?:friend|teacher|student|neighbou?r|brother|sister|classmate))['’]s"
OTHERS = Phrase(
    "what other people say",
    rf"{_PERSON}\s+(?:\w+ly\s+)?{_SAYS}\b{_FEW_WORDS}(?!.*\b(?:but|however)\b)"
    r"|\b(?:was|were|been|am) told\b"
    rf"|\baccording to (?:{_PERSON}|my)\b(?!\s+\d)"
    rf"|{_OWNER} (?:answer|guess|result|claim|solution)\b",
    hits=[
        "Bob says ",
        "my friend thinks it is ",
        "Some people would say ",
        "according to Bob ",
        "Bob's answer is ",
        "I was told it is ",
    ],
    misses=["I think it is ", "The sign says ", "It says ", "we got ", "the answer's value is "],
)
_NO_BUT = r"(?:(?!\b(?:but|however|since|yet)\b)[^.\n])"
CONDITION = Phrase(
    "of another case",
    rf"^\W*were\s+(?:it|he|she|they|we|there|the|this|that|[a-z])\b[^.\n]*$"
    rf"|\b(?:if|had|suppose|supposing|assuming|imagine|unless)\b{_NO_BUT}{{1,160}}\b(?:would|were|could|might)\b{_NO_BUT}*$"
    rf"|\b(?:would|could|might)\b[^.\n]{{1,60}}\bif\b{_NO_BUT}*$|\bunless\b{_NO_BUT}*$",
    hits=[
        "if the radius were doubled, the area would be ",
        "it would be right if ",
        "unless x is even, it is ",
        "Were the side doubled, we would get ",
    ],
    misses=["if x = 2, then y is ", "it would be ", "it would be C if x were 2, but it is "],
)
OPEN_HEDGE = Phrase(
    "opens a hedge",
    r"(?:\d[\s\w$%°]{0,12}|\bno\b[\s\w]{0,12}|\b(?:none|nothing|nobody)|\b[A-Z]\)?|\b(?:yes|no|true|false)),?\s*(?:\bor\b|/)\s*(?:maybe\s+|perhaps\s+)?[$\\(*]*$"
    r"|\b(?:either|neither|maybe|perhaps|possibly|might be|may be|could be|somewhere|between|one of)\s*"
    r"(?:the\s+|answer\s+|option\s+|\W)*$",
    hits=["it might be ", "either ", "11 or ", "B or ", "yes/", "maybe the answer ", "neither ", "perhaps ("],
    misses=["maybe not, so it is ", "it is "],
)
_MORE = r"(?:more|less|fewer|greater|higher|lower|larger|smaller|bigger|older|younger|longer|shorter)"
BOUND_BEFORE = Phrase(
    "a bound before a value",
    rf"(?:\b(?:at (?:the )?(?:very )?(?:least|most|minimum|maximum)|at a (?:minimum|maximum)"
    rf"|(?:no |not )?{_MORE} than|exceed(?:s|ing)?"
    r"|(?<!add )(?<!adds )(?<!sum )(?<!sums )up to|upwards of|no less than)"
    r"|[<>≤≥⩽⩾≠]|\\(?:ge|le|geq|leq|geqslant|leqslant|gt|lt|ne|neq)\b)"
    r"\s*(?:\\?\$|about\s+|\*\*)?\s*$",
    hits=["at least ", "≥", "x > ", "no more than ", "\\geq "],
    misses=["the least is ", "more than that, it is "],
)

# ------------------------------------------------------------------------------------------------------------- after it

_UNIT = r"(?:\s*[a-z²³°/%]{1,12}(?![a-z]))?"
BOUND_AFTER = Phrase(
    "a bound after a value",
    rf"{_UNIT}[\s,($]{{0,3}}(?:or (?:{_MORE}|so|over|under|above|below|up|beyond)\b"
    r"|and (?:up|above|over|more|higher|beyond)\b|plus\b(?! \d)|\+(?!\s*[\\($]*\s*(?:\d|(?-i:[a-z])\b|\\))"
    r"|at (?:least|most)\b|tops\b|minimum\b)",
    hits=[" or more", " cm or less", "+", " and up", " at least", " plus", " at most"],
    misses=[" or 13", " + 4", " and 4 more", " apples"],
    at="match",
)
_JUDGED = (
    r"(?:not|wrong|incorrect|false|mistaken|impossible|untrue|out of the question|ruled out|excluded|invalid|inaccurate"
    r"|an? (?:mistake|lie|wrong|trap|bad|misprint|typo|error)|nonsense|unlikely|off"
    r"|(?:far |much |way )?too (?:much|many|large|big|small|few|little|high|low|long|short))\b"
)
_VERB = r"(?:is|was|are|were|seems?|looks|appears?|must be|has to be|would be|can be|cannot be|can['’]t be)"
_ADVERBS = r"(?:\s+(?:\w+ly|also|of course|just|to be|certain to be))*"
DENIED_AFTER = Phrase(
    "denied after a value",
    rf"{_UNIT}[\s,;:)*$–—-]{{0,4}}(?:(?:which|that|this|it|and|but|though|although|he|she|they|both)\s+){{0,3}}"
    rf"(?:{_VERB}{_ADVERBS}\s+{_JUDGED}|(?:cannot|can['’]t|can not) be\b|(?:isn|wasn|aren|weren)['’]t\b"
    r"|(?:does|do|did)(?:n['’]t| not)\s+(?:work|fit|hold|match|make|seem|look|satisfy)\b"
    r"|\(?(?:wrong|incorrect|false)\b"
    rf"|(?:that|it|this|which)['’]s\s+{_JUDGED}|(?:would|could|might)\s+(?:\w+\s+){{1,6}}if\b)",
    hits=[
        " is wrong",
        " is clearly not the answer",
        ", but he is wrong",
        " cm cannot be right",
        " isn't it",
        " (wrong)",
        ", which is a misprint",
        " would be too much",
    ],
    misses=[" is right", ", not 11", " is the answer", " cm"],
    at="match",
)
TAKEN_BACK = Phrase(
    "taken back by the next sentence",
    r"[\s.!)$*]*(?:(?:but|no|wait|actually|hmm|well|sorry|oops|just kidding|however|although)[,.:;!\s]+)*"
    rf"(?:(?:that|this|it|which|he|she|they|(?:the|this|that) (?:answer|value|result))\s+(?:\w+ly\s+)?"
    rf"(?:{_VERB}{_ADVERBS}\s+(?!not only|not just){_JUDGED}|(?:isn|wasn)['’]t (?:right|correct|true|the)\b)"
    rf"|(?:that|this|it)['’]s {_JUDGED}"
    r"|not\b[\s.!]*$|(?:just )?kidding\b|or (?:maybe|perhaps|is it|not)\b)",
    hits=[". That is wrong.", ". But this is not right.", ". No, it isn't right", ". He is mistaken", ". Not!"],
    misses=[". That is right.", ". It is large.", ". This is not only fast", ". Wait for it"],
    at="match",
)
OFFERS_ANOTHER = Phrase(
    "offers another value",
    rf"{_UNIT}[\s,;.…$*\\)\]}}]{{0,6}}[\[(]?(?:(?:or|and|but|otherwise)[,\s]+)?"
    r"(?:(?:maybe|perhaps|possibly|could be|might be|alternatively|or else|else|even|is it|it could|it might)\b"
    r"|to\s+(?=-?\d)|(?:either|or)\b[\s,]*(?:(?:the|is it|it is|option|answer|else)\s+){0,2}"
    r"[\\$(*\[]{0,3}(?:-?\d|[A-Z]\b|no\b)"
    r"|(?:though|although|while|whereas)\s+(?:option\s+)?[(]?(?:(?-i:[A-Z])|-?\d+)[)]?\s+(?:is|was|looks|seems)\s+(?:the\s+)?"
    r"(?:right|correct|better|best|true)\b)",
    hits=[
        ", though A is right",
        ", maybe 13",
        " (or 11)",
        " or 13",
        " or $11$",
        ", or perhaps not",
        " cm or 13",
        " or C",
        " or no solution",
    ],
    misses=[" or so they say", ", not 13", " and 13", " because"],
    at="match",
)


ASKED = Phrase("asked", r"[\s$*)\]]{0,3}\?", hits=["?", " ?", "**?"], misses=[".", " is it?"], at="match")


# Plain search for a sign of the pattern costs a fraction of the pattern; nearly all sentences have none of them.
_DENIES = (
    "not", "n't", "n’t", "neither", "nor", "never", "hardly", "barely", "scarcely", "incorrect", "wrong", "false",
    "untrue", "rather", "instead", "opposed", "unlike", "other than", "except", "anything but", "far from", "eliminat",
    "rul", "exclud", "discard", "reject", "不", "而非", "排除",
)  # fmt: skip
_DOUBTS = (
    "doubt", "den", "disagree", "unlikely", "hard to", "refuse", "reject", "no way", "pretend", "anything", "far from",
    "unsure", "uncertain", "not", "n't", "n’t", "never", "wrong", "incorrect", "false", "mista", "untrue",
)  # fmt: skip
_REPORTS = (
    "sa", "claim", "think", "thought", "believ", "argu", "suggest", "insist", "guess", "answers", "answered", "writes",
    "wrote", "accord", "told", "'s ", "’s ", "answer ",
)  # fmt: skip
_SUPPOSES = ("if", "had", "were", "suppos", "assum", "imagin", "unless")
_HEDGES = ("or", "/", "either", "maybe", "perhaps", "possibly", "be", "somewhere", "between", "one of")


def _signs(text: str, signs: tuple[str, ...]) -> bool:
    return any(map(text.__contains__, signs))


def hedged(before: str, after: str) -> bool:
    """Whether other values are offered beside this one."""
    opens = _signs(before.lower(), _HEDGES) and OPEN_HEDGE.search(before) is not None
    return opens or OFFERS_ANOTHER.match(after) is not None or ASKED.match(after) is not None


def bounded(before: str, after: str) -> bool:
    """Whether the value is only a bound."""
    return BOUND_BEFORE.search(before) is not None or BOUND_AFTER.match(after) is not None


def disowned(before: str, after: str) -> bool:
    """Whether the sentence denies or doubts the value, gives it for another case, or as what somebody else says."""
    lowered = before.lower()
    for signs, phrase in ((_DENIES, DENIED_BEFORE), (_DOUBTS, DOUBT), (_REPORTS, OTHERS), (_SUPPOSES, CONDITION)):
        if _signs(lowered, signs) and phrase.search(before) is not None:
            return True
    return DENIED_AFTER.match(after) is not None or TAKEN_BACK.match(after) is not None


_COMMAND_BEFORE = re.compile(r"\\[A-Za-z]+\s?\{$")
_CLOSES = (". ", "! ", "? ", "。")


def _sentence_before(text: str) -> str:
    """The end of a text from the last sentence on."""
    start = text.rfind("\n") + 1
    for sign in _CLOSES if start < len(text) else ():
        at = text.rfind(sign, start)
        if at >= 0:
            start = at + len(sign)
    return text[start:]


def taken_back(before: str, after: str) -> bool:
    """Whether the sentence around a value, or the start of the next one, does not commit to it.

    Args:
        before, after: text around the value; only what belongs to its sentence is looked at, and the sentence after it.
    """
    before = _sentence_before(before).rstrip()
    if before.endswith("{"):
        before = _COMMAND_BEFORE.sub("", before)
    return _taken_back(before.rstrip(" $*\\([{_`\"'"), after.lstrip("}"))


@lru_cache(maxsize=4096)
def _taken_back(before: str, after: str) -> bool:
    """Models say the same around their answers again and again."""
    if not before:
        return DENIED_AFTER.match(after) is not None or TAKEN_BACK.match(after) is not None or hedged("", after)
    return disowned(f"{before} ", after) or hedged(f"{before} ", after)


_TAGS = re.compile(r"</?[A-Za-z]\w{0,20}>|<\|\w{1,20}\|>|<<[^<>\n]{0,80}>>")
"""Signs of a tag are none of a bound."""

AROUND = 200
"""Characters before and after a value that can belong to its sentence."""


_GOES_ON = re.compile(r"(?:[,;:!]|\.(?!\s*[Tt]hat(?:['’]s| is) (?:wrong|false|incorrect)))\s+(?!which\b)")
"""After a no: "No, it is not.", but not "no is wrong"."""


def stands(text: str, places: Iterable[tuple[int, int]], bounds: bool = False, denials: bool = True) -> bool:
    """Whether a value is stated without being taken back at one of its places at least; without any place, nothing
    speaks against it.

    Args:
        places: start and end of the value wherever it stands in ``text``; the likeliest first.
        bounds: "at least" and "or more" around it take it back.
        denials: denials after it take it back; they only repeat a "no".
    """
    looked = False
    text = _TAGS.sub(lambda tag: " " * len(tag.group()), text) if "<" in text else text
    for start, end in places:
        looked = True
        before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
        if not denials and _GOES_ON.match(after):
            after = ""
        if not taken_back(before, after) and not (bounds and bounded(_sentence_before(before), after)):
            return True
    return not looked


_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
"""Kana, Chinese characters and Hangul: written without a blank before or after a letter ("答案是A")."""


def places_of(words: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a letter or words stand in a text, as words of their own, the last place first; only capitals count for a
    letter.

    Searched by hand: ``words`` differ from row to row, and a pattern for each would be compiled again and again: 11 ms
    where a capital is to be equal to a small letter beyond ASCII.
    """
    if len(words) > 1:
        words, text = _small(words), _small(text)
    first, *others = words.split() or [""]
    at = text.rfind(first) if first else -1
    while at >= 0:
        end = at + len(first) if at == 0 or not _in_word(text[at - 1]) else 0
        for word in others if end else ():
            start = end
            while text[start : start + 1].isspace():
                start += 1
            end = start + len(word) if start > end and text.startswith(word, start) else 0
            if not end:
                break
        if end and not _in_word(text[end : end + 1]):
            yield at, end
        at = text.rfind(first, 0, at + len(first) - 1)


def _small(text: str) -> str:
    """The text without capitals, character by character: places stay where they are."""
    if text.isascii():
        return text.lower()
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(folded if len(folded := sign.casefold()) == 1 else sign for sign in text)


def _in_word(sign: str) -> bool:
    return sign == "_" or (sign.isalnum() and (sign.isascii() or not _UNSPACED.match(sign)))
