"""``yes_no``: the yes or no (true or false) that a response commits to.

verify("No, the bar on the left is taller.", "no", "yes_no")             -> right
verify("It is not true.", "no", "yes_no")                                -> right
verify("Some say no, but the answer is **yes**.", "Yes", "yes_no")       -> right
"""

from __future__ import annotations

import re

from reward_fns.answer.announced import MAX_TAIL
from reward_fns.answer.commitment import stands
from reward_fns.answer.denial import DENIAL, DENIED_BEFORE
from reward_fns.answer.phrases import REFUSAL, Phrase
from reward_fns.answer.places import stated_pieces
from reward_fns.answer.sentences import last_sentences, split_sentences
from reward_fns.answer.wrappers import unwrapped
from reward_fns.registry import register
from reward_fns.strict.region import region_to_read, whole_answer
from reward_fns.strict.selection import says_both, yes_no_in
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict, decided

_YES = frozenset({"yes", "true", "correct", "right", "y", "t", "1", "yeah", "yep", "是", "对", "正确"})
_NO = frozenset({"no", "false", "incorrect", "wrong", "n", "f", "0", "nope", "否", "不", "不是", "错误", "错"})
_GOES_ON = r"(?:\.\s*\d|one\b|longer\b|matter\b|doubt\b|more\b|other\b)"
_ENGLISH = ("yes", "no", "true", "false", "yeah", "yep", "nope")
WORD = Phrase(
    "yes or no",
    # `re` leaps to the first letters of an alternation, but not over a \b that stands before it.
    "|".join(
        [rf"{word}(?<=\b{word})\b(?!\s*{_GOES_ON})" for word in _ENGLISH] + ["不是", "是的", "正确", "错误", "是", "否"]
    ),
    hits=["Yes, it is", "that is false", "不是"],
    misses=["no longer", "No. 5", "no doubt", "know", "yesterday"],
)
NO_THING = Phrase(
    "no, of a thing",
    r"no\s+(?!because|since|as\b|it\b|the\b|there\b)[a-z]",
    hits=["no comparison", "no clear trend"],
    misses=["no because", "no, it is", "no the"],
    at="match",
)
CLAIM = Phrase(
    "a claim",
    r"\b(?:is|are|was|were|has|have|does|do|can|will|there's)\b|n't\b",
    hits=["The donut is eaten", "it doesn't fit"],
    misses=["A donut", "this"],
)
NO = Phrase("no", r"\b(?:no|none)\b", hits=["there is no cat"], misses=["it is known"])
_PICTURE = r"(?:image|picture|photo|figure|chart|graph|diagram|map)"
_SHOWS = r"(?:shows?|depicts?|displays?|features?|contains?|is\s+(?:of|an?)\b)"
_UNSURE = r"(?:cannot|can't|clear|unclear|impossible|enough|uncertain|depends?|provided?|whether)"
NO_CLAIM = Phrase(
    "asks, describes the picture or begins to think",
    rf"\?|\b{_PICTURE}\s+{_SHOWS}\b|\b{_UNSURE}\b|\banswer\b|oxed|^(?:let|to|first|we|i|step|given)\b",
    hits=["Is it?", "The image shows a cat.", "it depends on x", "Let us see"],
    misses=["The donut is more than half eaten."],
)


@register("yes_no")
def yes_no(response: str, ground_truth: str, *, reading: str = "auto", answer_after_think: bool = False) -> Verdict:
    """Compare the committed yes or no.

    Args:
        reading: strict, lenient or auto (strict where there is an answer block or a box), see reward_fns.strict.
    """
    gold = _whole(str(ground_truth))
    if gold is None:
        raise GoldError(f"neither yes nor no: {str(ground_truth)[:80]!r}")
    region = region_to_read(response, reading, answer_after_think)
    found = committed(response, answer_after_think) if region is None else region.read(yes_no_in)
    if found is None:
        return NO_ANSWER
    return decided(found == gold, "yes" if found else "no")


def committed(response: str, answer_after_think: bool = False) -> bool | None:
    """True, False, or None when the response commits to neither."""
    whole = whole_answer(response)
    if whole and (value := yes_no_in(whole)) is not None:
        return value
    if whole and says_both(whole):
        return None
    value = _read(response, answer_after_think)
    return value if value is None or _commits(response[-MAX_TAIL:], value) else None


NEAR_END = 300


def _commits(text: str, value: bool) -> bool:
    """Whether a yes (or a no) stands anywhere without being taken back; what is said without either word stands."""
    near = text.rfind(" ", 0, -NEAR_END) + 1 if len(text) > NEAR_END else 0
    if near and (last := _places(text, value, near)) and stands(text, last, denials=value):
        return True  # mostly so: the whole text need not be searched
    return stands(text, _places(text, value, 0), denials=value)


def _places(text: str, value: bool, start: int) -> list[tuple[int, int]]:
    """Where a yes (or a no) stands in a text from ``start`` on, the last place first."""
    part = text[start:]
    words = [word for word in WORD.finditer(part) if _value(word, part) == value and _plain(word)]
    return [(start + word.start(), start + word.end()) for word in reversed(words)]


def _plain(word: re.Match[str]) -> bool:
    """True and false may be denied in the reading itself: "not true" is a no."""
    return word.group().casefold() not in ("true", "false")


def _read(response: str, answer_after_think: bool) -> bool | None:
    for piece in stated_pieces(response, answer_after_think):
        found = _whole(piece.text)
        if found is None:
            found = _in_rest(piece.text) if piece.place == "rest" else _first(piece.text)
        if found is not None:
            return found
        if piece.place == "rest":
            return _claimed(piece.text)
    return None


MAX_CLAIM = 300


def _claimed(text: str) -> bool | None:
    """What a short reply claims instead of saying yes or no: "The donut is more than half eaten.", "It is not the
    largest."."""
    claim = next(iter(split_sentences(text)), "")
    if len(text) > MAX_CLAIM or NO_CLAIM.search(text) or REFUSAL.search(text) or not CLAIM.search(claim):
        return None
    return not (DENIAL.search(claim) or NO.search(claim))


_SIGNS = re.compile(r"[^\w]+")


def _whole(text: str) -> bool | None:
    bare = _SIGNS.sub("", unwrapped(text).casefold()) if len(text) < 60 else ""
    return True if bare in _YES else False if bare in _NO else None


def _first(text: str) -> bool | None:
    match = WORD.search(text)
    if match is None:
        return None
    return _value(match, text)


def _value(match: re.Match[str], text: str) -> bool:
    word = match.group().casefold()
    value = word in _YES or word in ("是的",)
    return value != bool(
        word in ("true", "false") and DENIED_BEFORE.search(text[max(0, match.start() - 24) : match.start()])
    )


MAX_SENTENCES = 30


def _in_rest(text: str) -> bool | None:
    """A first word that answers, else the last sentence that says yes or no."""
    match = WORD.match(text.lstrip(" \n*_#\"'"))
    if match is not None:
        return _value(match, match.string)
    for sentence in last_sentences(text, MAX_SENTENCES):
        words = [
            word for word in WORD.finditer(sentence) if not word.start() or not NO_THING.match(sentence, word.start())
        ]
        if words:
            return _value(words[-1], sentence)
    return None
