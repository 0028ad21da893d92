r"""Where in a response does the answer stand? From the most to the least committed place, each as plain text.

    for piece in stated_pieces(response):   # 1 <answer> block, 2 \boxed{}, 3 "the answer is ...", 4 the rest
        ...                                 # the verifier reads its kind of value from the first piece that holds one

Verifiers take the *first* piece that they can read and judge that one: accepting any piece would reward hedging.
Reasoning inside a think block counts less than what follows it; an uncommitted value inside a think block never
counts. Everything works by string search or by patterns on slices of bounded length, so the cost is linear in the
response with a small constant. Not here: reading values (numerals.py, symbolic/, verifiers/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Place = Literal["answer", "boxed", "phrase", "rest", "thought"]
"""thought: reasoning inside a think block, without a committed piece; only verifiers that can tell a decision from a
mention use it."""

MAX_PIECE = 2_000
"""Characters of a committed piece that verifiers read; longer answers are cut (their end is kept for the rest)."""

MAX_TAIL = 6_000
"""Characters at the end of a response in which phrases and last values are searched."""

MAX_VALUE = 6
"""Characters of an answer block that cannot hold more than the bare value."""

MAX_BOXES = 64
"""Boxes looked at, from the end."""


class Piece(NamedTuple):
    """Some text of the response that may hold the answer, and how it was found."""

    text: str
    place: Place


def pieces(response: str, answer_after_think: bool = False) -> Iterator[Piece]:
    """Places where the answer may stand, most committed first.

    Args:
        response: the whole response.
        answer_after_think: only what follows a closed think block counts (or the whole response when it has no think
            tags).
    """
    after, inside, closed = split_think(response)
    if after:
        yield from _in_region(own_turn(after), committed_only=False)
    if inside and not answer_after_think:
        yield from _in_region(inside, committed_only=closed or "<think>" in response)


def stated_pieces(response: str, answer_after_think: bool = False) -> Iterator[Piece]:
    """``pieces`` without uncommitted thoughts: what most verifiers read."""
    return (piece for piece in pieces(response, answer_after_think) if piece.place != "thought")


_TOKEN = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|end|user|start_header_id|assistant)\|>|</s>|<end_of_turn>|\[/?INST\]"
)
_NEXT_QUESTION = re.compile(
    r"\n[ \t]{0,8}(?:\*\*)?(?:Question|Q|Problem|Human|User|Instruction|### (?:Question|Instruction|Problem|Input))(?:\s{0,4}\d+)?\s{0,4}[:.](?:\*\*)?"
)


def own_turn(text: str) -> str:
    """What the model wrote before it went on with a question of its own, as base models do; the whole text when it had
    not answered by then."""
    if "<|" in text or "</s>" in text or "INST]" in text or "<end_of" in text:
        token = next((match for match in _TOKEN.finditer(text) if text[: match.start()].strip()), None)
        if token is not None:
            text = text[: token.start()]
    for match in _NEXT_QUESTION.finditer(text):
        before = text[: match.start()]
        if last_box(before) is not None or phrase(before) is not None:
            return before
    return text


def split_think(response: str) -> tuple[str, str, bool]:
    """Text after the last think block, text up to its end, and whether the block was closed.

    Without think tags everything is "after". An unclosed block has nothing after it.
    """
    end = _last_tag(response, "</think>")
    if end >= 0:
        after = response[end + 8 :]
        return (after if not after.isspace() else ""), response[:end], True
    start = response.find("<think>") if "<" in response else -1
    if start < 0:
        return response, "", False
    answer = _last_tag(response, "<answer>")
    if answer > start:  # the closing tag was forgotten, the answer block was not
        return response[answer:], response[:answer], True
    return "", response[start + 7 :], False


MAX_CLOSING = 300
"""Characters at the very end in which a block with another tag than <answer> is an answer: <result> 18 </result>."""

_CLOSING_BLOCK = re.compile(r"<(?P<tag>(?!think|answer)[A-Za-z_]{2,20})>(?P<value>[^<>]{1,200})</(?P=tag)>\Z")


def _in_region(region: str, committed_only: bool) -> Iterator[Piece]:
    block = answer_block(region)
    if block is not None:
        if len(block) > MAX_VALUE or not block.isascii():
            yield from _committed(block)
        yield Piece(block[:MAX_PIECE], "answer")
    else:
        closing = _CLOSING_BLOCK.search(region[-MAX_CLOSING:].rstrip())
        if closing is not None:
            yield Piece(closing["value"], "answer")
    yield from _committed(region)
    yield Piece(squeezed(_TAGS.sub(" ", region[-MAX_TAIL:])).strip(), "thought" if committed_only else "rest")


def _committed(text: str) -> Iterator[Piece]:
    """The last box and the last announcement, the later one first: models correct themselves, and sum up after
    intermediate boxes."""
    box = _last_box(text)
    if box is None:
        found = phrase(text)
        if found is not None:
            yield Piece(found, "phrase")
        return
    end, content = box
    later = phrase(text[end:]) if len(text) - end > 12 else None
    if later is not None:
        yield Piece(later, "phrase")
    yield Piece(content[:MAX_PIECE], "boxed")
    if later is None:
        found = phrase(text[:end])
        if found is not None:
            yield Piece(found, "phrase")


def _last_tag(text: str, tag: str, end: int | None = None) -> int:
    """``text.rfind(tag)``, by its "<": a single character is found many times quicker. Many "<" fall back to the plain
    search."""
    at = len(text) if end is None else end
    for _ in range(16):
        at = text.rfind("<", 0, at)
        if at < 0 or text.startswith(tag, at):
            return at
    return text.rfind(tag, 0, at)


def squeezed(text: str) -> str:
    """White space of a line as single blanks, at most one empty line, no sign more than six times in a row.

    Patterns with several optional blanks take time that grows with the square or cube of the longest run; after this,
    runs are short.
    """
    lines = [" ".join(line.split()) for line in text.split("\n")]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return _RUN.sub(r"\1\1\1\1\1\1", "\n".join(kept))


_TAGS = re.compile(r"</?(?:think|answer)>")
_RUN = re.compile(r"([^\w\s])\1{6,}")

# --------------------------------------------------------------------------------------------------------------- tags


def answer_block(text: str) -> str | None:
    """The inside of the last non-empty answer block; a missing opening or closing tag is forgiven."""
    end = len(text)
    if "<" not in text:
        return None
    for _ in range(8):
        start = _last_tag(text, "<answer>", end)
        if start < 0:
            break
        close = text.find("</answer>", start)
        inside = text[start + 8 : close if close >= 0 else len(text)].strip()
        if inside:
            return inside
        end = start
    close = _last_tag(text, "</answer>")
    if close > 0 and _last_tag(text, "<answer>", close) < 0:
        inside = text[max(0, close - MAX_PIECE) : close].strip()
        inside = inside[inside.rfind("\n\n") + 1 :].strip()
        return inside or None
    return None


# -------------------------------------------------------------------------------------------------------------- boxes

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX = re.compile(r"(?:[\\\x08]?b?oxed|\\fbox)\s*(\{)?")


def last_box(text: str) -> str | None:
    r"""The content of the last non-empty \boxed{}, the outermost one of nested boxes, inner box commands removed.

    Boxes that are joined by nothing but ", ", "and" or "or" state one answer in parts and are joined: "\boxed{2} and
    \boxed{3}" -> "2, 3".
    """
    found = _last_box(text)
    return None if found is None else found[1]


def _last_box(text: str) -> tuple[int, str] | None:
    """Where the last non-empty box ends, and its content."""
    quick = _last_box_quickly(text)
    if quick is not None:
        return quick
    if text.rfind("oxed") < 0 and text.rfind("\\fbox") < 0:
        return None
    found = [(start, end, content) for start, end, content in _spans(text) if content.strip()]
    if not found:
        return None
    start, end, content = found[-1]
    percent = _PERCENT_AFTER.match(text, end)
    if percent is not None and "%" not in content:
        content += "\\%"
    parts = [content]
    for before, before_end, before_content in reversed(found[:-1]):
        joint = text[before_end:start] if start - before_end <= 48 else "-"
        if not _JOINT.fullmatch(joint) or ("\n" in joint and not joint.strip()):
            break
        parts.append(before_content)
        start = before
    if len(parts) > 1 and len({part.strip() for part in parts}) > 1:
        return end, ", ".join(reversed(parts))
    return end, content


_BOX_WINDOW = 240


def _last_box_quickly(text: str) -> tuple[int, str] | None:
    """The commonest case: one plain box near the end, none right before it, no braces inside."""
    start = text.rfind("\\boxed{", -_BOX_WINDOW)
    if start < 0:
        return None
    close = text.find("}", start)
    content = text[start + 7 : close]
    if close < 0 or not content or "{" in content or content.isspace() or "oxed" in text[max(0, start - 64) : start]:
        return None
    if (
        "oxed" in text[close:] or "%" in text[close : close + 8] or "p" in text[close : close + 8]
    ):  # "\\boxed{28}$ percent"
        return None
    return close + 1, content


_JOINT = re.compile(r"(?i)(?:[\s$,;]|\\[()\[\],;: ]|\\q?quad|\\text\{\s*(?:,|and|or|,\s*and)\s*\}|\band\b|\bor\b)*")
_PERCENT_AFTER = re.compile(r"[\s$)\\]{0,4}(?:%|percent\b|pct\b|per\s?cent\b)")


def boxes(text: str) -> list[str]:
    r"""The contents of all outermost \boxed{} (the last 64 of them)."""
    return [content for _, _, content in _spans(text)]


def _spans(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of the outermost boxes among the last MAX_BOXES box commands."""
    starts: list[int] = []
    end = len(text)
    while len(starts) < MAX_BOXES:
        at = max(text.rfind("oxed", 0, end), text.rfind("\\fbox", 0, end))
        if at < 0:
            break
        if text[at] == "o":  # step back over the "b" and the backslash, or over \b read as a control character
            at -= 1 if at and text[at - 1] in "b\x08" else 0
            at -= 1 if at and text[at - 1] == "\\" and text[at] == "b" else 0
        starts.append(at)
        end = at
    spans: list[tuple[int, int, str]] = []
    done = 0
    for start in reversed(starts):
        if start < done:
            continue
        match = _BOX.match(text, start)
        if match is None:
            continue
        if match.group(1):
            stop = _closing(text, match.end())
            content = text[match.end() : stop]
            done = stop + 1
        else:  # \boxed 5, \boxed5: up to white space, dollar or line end
            bare = re.compile(r"[^\s$]{1,40}").match(text, match.end())
            if bare is None or match.end() == match.start() or text[start : start + 1] != "\\":
                continue
            content, done = bare.group(), bare.end()
        spans.append((start, done, _unwrap(content)))
    return spans


def _closing(text: str, start: int) -> int:
    """Index of the brace that closes the group opened just before ``start``; the end of the line or text when none
    does."""
    depth = 1
    for match in _BRACE.finditer(text, start):
        brace = match.group()
        if brace == "{":
            depth += 1
        elif brace == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    line_end = text.find("\n", start)
    return line_end if line_end >= 0 else len(text)


def _unwrap(content: str) -> str:
    """Inner box commands of a nested box removed, their content kept."""
    for _ in range(8):
        at = content.find("\\boxed{")
        if at < 0:
            return content
        stop = _closing(content, at + 7)
        content = content[:at] + content[at + 7 : stop] + content[stop + 1 :]
    return content


# ------------------------------------------------------------------------------------------------------------ phrases

# After one of these words the pattern below is tried, from the end of the text backwards: no pattern ever scans a
# whole response.
_KEYWORDS = ("answer", "ans.", "ans:", "option", "choice", "solution", "result", "####")
_FOREIGN_KEYWORDS = ("答案", "选", "正解", "答え", "정답", "réponse", "ответ", "opção")
_LATIN_KEYWORDS = ("antwort", "respuesta", "resposta", "risposta")

_ANNOUNCES = re.compile(
    r"""
    \#{4}\s*(?=\S)
  | (?:answers?|choice|option|solutions?|results?|(?:options|choices)(?=\s+are))\b
    (?:[ ](?:to|for|of|from|in|here|choice|option|letter|value)\b[^.:=\n]{0,100}?)? [*_`"'”)\]}]{0,4}[ ]? (?:
    [:：=→]+(?:[ ]*(?:the[ ])?(?:final[ ])?answer[ ]is\b)?
      | (?:is|are|was|will[ ]be|would[ ]be|should[ ]be|must[ ]be|can[ ]be|becomes|is[ ]therefore|is[ ]thus|is[ ]then|would[ ]then[ ]be)\b[ ]?[:：]? )
  | ans(?:\.\s?:?|:)
  | (?:antwort|respuesta|resposta|risposta|réponse|ответ|opção)(?:[ ]\w{2,12}){0,2}?[ ]?[*_]{0,2}(?:[:：]|[ ](?:ist|lautet|es|est|é|è|donc|это)\b[:]?)[ ]?(?:(?:la|a|die|l')[ ]?)?(?:opci[oó]n|opção|option|letra|lettre)?
  | (?:正解|答え|정답)\s*(?:は|은|는|:|：)\s*
  | 答案\s*(?:应该|应|就)?(?:是|为|选)?\s*[:：]? | 选(?:择|项)?\s*(?:是|为)?[:：]?\s*(?=[(（]?[A-Z])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOT_AN_ANSWER = re.compile(
    r"\s*(?:not\b|n't\b|(?:in)?correct\s*(?:[.,!;)]|$|because|and\b)|right\b|verified\b|in(?:correct|valid)\b|wrong\b|in the (?:form|format|box|range)|below\b|as follows\b|unknown\b|obtained\b"
    r"|(?:found|given|determined|based)\b|one of\b|among\b|[A-Z](?:\s?[和、,，]\s?[A-Z])*\s?[项是都均为]{0,3}(?:错误|不正确|不对|不符))",
    re.IGNORECASE,
)
_IF_ONLY = re.compile(r"(?i)\bif\b[^.\n]{1,160}\bwould[^.\n]{1,12}$")
"""Of another question: "if the radius were doubled, the answer would be ..."."""
_SENTENCE_END = re.compile(r"\n|(?<=[^\s.\d][.!?])\s+(?=[A-Z*])|(?<=\d[.!?])\s+(?=[A-Z*])")
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
        if not _NOT_AN_ANSWER.match(tail, match.end()) and not _supposed(tail, match.end()):
            found = announced(tail, match.end())
            if found is not None:
                return found
    return None


def _supposed(text: str, end: int) -> bool:
    """Whether the announcement that ends at ``end`` is about another case: "if ..., the answer would be"."""
    return "would" in text[max(0, end - 24) : end] and _IF_ONLY.search(text, 0, end) is not None


def _announcements(text: str) -> Iterator[re.Match[str]]:
    """Matches of the announcing pattern, last first."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters change length in lower case; positions must stay comparable
        lowered = text
    keywords = _KEYWORDS + _LATIN_KEYWORDS if lowered.isascii() else _KEYWORDS + _LATIN_KEYWORDS + _FOREIGN_KEYWORDS
    position = {keyword: lowered.rfind(keyword) for keyword in keywords}
    for _ in range(32):
        keyword = max(position, key=position.get)
        at = position[keyword]
        if at < 0:
            return
        match = _ANNOUNCES.match(text, at)
        if match is None and keyword == "answer":
            match = _heading(text, at)
        if match is not None:
            yield match
        position[keyword] = lowered.rfind(keyword, 0, at)


_TITLE = re.compile(r"(?i)answers?[ ]?[*_:#]{0,4}[ ]*(?=\n)")


def _heading(text: str, at: int) -> re.Match[str] | None:
    """ "### Final Answer" and "**Answer**" on a line of their own."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    words = line.strip(" #*_").lower()
    return _TITLE.match(text, at) if words in ("", "final", "the final", "my", "correct") else None


def announced(text: str, start: int) -> str | None:
    """The sentence that starts at ``start``; the next line that has content when nothing follows on the same one."""
    start = _EMPTY.match(text, start, start + 200).end()
    end = _SENTENCE_END.search(text, start)
    found = text[start : end.start() if end else len(text)].strip()
    if found.count("}") > found.count("{") or found[:1] == '"' or text[start - 1 : start] == '"':  # inside JSON
        found = _JSON_VALUE.match(found)[1].strip()
    return found[:MAX_PIECE] or None


_JSON_VALUE = re.compile(r"\"?((?:\\.|[^\"\\{}])*|[^\n]*)", re.DOTALL)
