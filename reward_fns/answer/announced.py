"""What a response announces: "the answer is ...", "**Answer:** ...", "#### ...", "答案是 ...", the last one of its end.

phrase("2 + 2 is 4. The answer is 4. I hope it helps.")     -> "4."
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reward_fns.answer.phrases import SURELY, THEREFORE, Phrase
from reward_fns.answer.sentences import SENTENCE_END
from reward_fns.answer.squeeze import squeezed

MAX_PIECE = 2_000
"""Characters of a committed piece that verifiers read; longer answers are cut (their end is kept for the rest)."""

MAX_TAIL = 6_000
"""Characters at the end of a response in which phrases and last values are searched."""

# After one of these words the pattern below is tried, from the end of the text backwards: no pattern ever scans a
# whole response.
_KEYWORDS = ("answer", "ans.", "ans:", "option", "choice", "solution", "result", "####")
_FOREIGN_KEYWORDS = ("答案", "选", "正解", "答え", "정답", "réponse", "ответ", "opção")
_LATIN_KEYWORDS = ("antwort", "respuesta", "resposta", "risposta")

_ABOUT = r"(?:[ ](?:to|for|of|from|in|here|choice|option|letter|value)\b[^.:=\n]{0,100}?)?"
_ARE = (
    rf"(?:is|are|was|will[ ]be|would[ ]be|should[ ]be|must[ ]be|can[ ]be|becomes|is[ ]{THEREFORE}|is[ ]then"
    r"|would[ ]then[ ]be)\b[ ]?[:：]?"
)
_COLON = r"[:：=→]+(?:[ ]*(?:the[ ])?(?:final[ ])?answer[ ]is\b)?"
_ENGLISH = (
    rf"(?:answers?|choice|option|solutions?|results?|(?:options|choices)(?=\s+are))\b{_ABOUT}"
    rf"[*_`\"'”)\]}}]{{0,4}}[ ]?(?:{_COLON}|{_ARE})"
)
_EUROPEAN = (
    r"(?:antwort|respuesta|resposta|risposta|réponse|ответ|opção)(?:[ ]\w{2,12}){0,2}?[ ]?[*_]{0,2}"
    r"(?:[:：]|[ ](?:ist|lautet|es|est|é|è|donc|это)\b[:]?)[ ]?(?:(?:la|a|die|l')[ ]?)?"
    r"(?:opci[oó]n|opção|option|letra|lettre)?"
)
_ASIAN = (
    r"(?:正解|答え|정답)\s*(?:は|은|는|:|：)\s*|答案\s*(?:应该|应|就)?(?:是|为|选)?\s*[:：]?"
    r"|选(?:择|项)?\s*(?:是|为)?[:：]?\s*(?=[(（]?[A-Z])"
)
ANNOUNCES = Phrase(
    "announces an answer",
    rf"\#{{4}}\s*(?=\S)|{_ENGLISH}|ans(?:\.\s?:?|:)|{_EUROPEAN}|{_ASIAN}",
    hits=[
        "#### 12",
        "answer is 12",
        "answer to the question is 12",
        "Answer:** 12",
        "options are A and B",
        "result would be 3",
        "ans. 12",
        "Antwort lautet 12",
        "respuesta es 12",
        "答案是 12",
        "正解は 12",
    ],
    misses=["answering", "answer the question", "option B", "####"],
    at="match",
)
_SURE_NOT = rf"(?:{SURELY}\s+)?not\b|n't\b"
_JUDGED = r"(?:in)?correct\s*(?:[.,!;)]|$|because|and\b)|right\b|verified\b|in(?:correct|valid)\b|wrong\b"
_TOLD_HOW = (
    r"in the (?:form|format|box|range)|below\b|as follows\b|unknown\b|obtained\b"
    r"|(?:found|given|determined|based)\b|one of\b|among\b"
)
_CHINESE_WRONG = r"[A-Z](?:\s?[和、,，]\s?[A-Z])*\s?[项是都均为]{0,3}(?:错误|不正确|不对|不符)"
NO_ANSWER_FOLLOWS = Phrase(
    "follows an announcement and is no answer",
    rf"\s*(?:{_SURE_NOT}|{_JUDGED}|{_TOLD_HOW}|{_CHINESE_WRONG})",
    hits=[" not 12", " clearly not B", " correct.", " incorrect", " in the box", " found by adding", " A和B项错误"],
    misses=[" 12", " B", " nothing"],
    at="match",
)
OPENS_STEPS = Phrase(
    'begins the steps after "Solution:"',
    r"(?:To|We|First|Let|Given|In|Since|If|Using|By|Step|For|Here|Now|Start)\b",
    hits=["To find x", "First, add"],
    misses=["12", "Total: 3"],
    at="match",
    cased=True,
)
SUPPOSES = Phrase(
    "announced of another case",
    r"\bif\b[^.\n]{1,160}\bwould[^.\n]{1,12}$",
    hits=["if the radius were doubled, the answer would be "],
    misses=["if so, the answer is ", "the answer would be "],
)
_EMPTY = re.compile(r"(?:[\s*_`#:>]|-\s){0,40}")


def phrase(text: str) -> str | None:
    """What the last "the answer is ..." (or "Answer:", "#### ...", ...) of the text announces, up to the end of its
    sentence."""
    found = _phrase_in(text[-PHRASE_WINDOW:]) if len(text) > 2 * PHRASE_WINDOW else None
    return found if found is not None else _phrase_in(text[-MAX_TAIL:])


PHRASE_WINDOW = 300
"""Characters at the end that are searched first: the last announcement wins, so one found there needs no further
search."""


def _phrase_in(tail: str) -> str | None:
    if "  " in tail or "\n\n\n" in tail or "\t" in tail:
        tail = squeezed(tail)
    for match in _announcements(tail):
        if match[0][:8].lower() == "solution" and tail[match.end() :].lstrip(" *:")[:1] == "\n":
            continue  # a heading: steps follow
        if not NO_ANSWER_FOLLOWS.match(tail, match.end()) and not _supposed(tail, match.end()):
            found = announced(tail, match.end())
            if found is not None and not (match[0][:8].lower() == "solution" and OPENS_STEPS.match(found)):
                return found
    return None


def _supposed(text: str, end: int) -> bool:
    """Whether the announcement that ends at ``end`` is about another case: "if ..., the answer would be"."""
    return "would" in text[max(0, end - 24) : end] and SUPPOSES.search(text, 0, end) is not None


def _announcements(text: str) -> Iterator[re.Match[str]]:
    """Matches of the announcing pattern, last first."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters change length in lower case; positions must stay comparable
        lowered = text
    keywords = _KEYWORDS + _LATIN_KEYWORDS if lowered.isascii() else _KEYWORDS + _LATIN_KEYWORDS + _FOREIGN_KEYWORDS
    places = [lowered.rfind(keyword) for keyword in keywords]
    for _ in range(32):
        at = max(places)
        if at < 0:
            return
        which = places.index(at)
        keyword = keywords[which]
        match = ANNOUNCES.match(text, at)
        if match is None and keyword == "answer":
            match = _heading(text, at)
        if match is not None:
            yield match
        places[which] = lowered.rfind(keyword, 0, at)


_TITLE = re.compile(r"(?i)answers?[ ]?[*_:#]{0,4}[ ]*(?=\n)")


def _heading(text: str, at: int) -> re.Match[str] | None:
    """ "### Final Answer" and "**Answer**" on a line of their own."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    words = line.strip(" #*_").lower()
    return _TITLE.match(text, at) if words in ("", "final", "the final", "my", "correct") else None


def announced(text: str, start: int) -> str | None:
    """The sentence that starts at ``start``; the next line that has content when nothing follows on the same one."""
    empty = _EMPTY.match(text, start, start + 200)
    start = empty.end() if empty else start
    end = SENTENCE_END.search(text, start)
    found = text[start : end.start() if end else len(text)].strip()
    if found.count("}") > found.count("{") or found[:1] == '"' or text[start - 1 : start] == '"':  # inside JSON
        value = _JSON_VALUE.match(found)
        found = value[1].strip() if value else found
    return found[:MAX_PIECE] or None


_JSON_VALUE = re.compile(r"\"?((?:\\.|[^\"\\{}])*|[^\n]*)", re.DOTALL)
