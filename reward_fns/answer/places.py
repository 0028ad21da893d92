r"""Where in a response does the answer stand? From the most to the least committed place, each as plain text.

    for piece in stated_pieces(response):   # 1 <answer> block, 2 \boxed{}, 3 "the answer is ...", 4 the rest
        ...                                 # the verifier reads its kind of value from the first piece that holds one

Verifiers take the *first* piece that they can read and judge that one: accepting any piece would reward hedging.
Reasoning inside a think block counts less than what follows it; an uncommitted value inside a think block never
counts. Everything works by string search or by patterns on slices of bounded length, so the cost is linear in the
response with a small constant. Not here: boxes (boxed.py), announcements (announced.py), reading values (numbers/,
symbolic/, verifiers/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from reward_fns.answer.announced import MAX_PIECE, MAX_TAIL, phrase
from reward_fns.answer.boxed import final_box, last_box
from reward_fns.answer.phrases import Phrase
from reward_fns.answer.programs import without_programs
from reward_fns.answer.squeeze import squeezed

Place = Literal["answer", "boxed", "phrase", "rest", "thought"]
"""thought: reasoning inside a think block, without a committed piece; only verifiers that can tell a decision from a
mention use it."""

MAX_VALUE = 6
"""Characters of an answer block that cannot hold more than the bare value."""


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
    after, inside, closed = split_think(without_programs(visible(response)))
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
_SPEAKER = r"(?:Question|Q|Problem|Human|User|Instruction|### (?:Question|Instruction|Problem|Input))"
NEXT_QUESTION = Phrase(
    "a question that the model asks itself",
    rf"\n[ \t]{{0,8}}(?:\*\*)?{_SPEAKER}(?:\s{{0,4}}\d+)?\s{{0,4}}[:.](?:\*\*)?",
    hits=["\nQuestion: How", "\n**Q2.** How", "\n### Problem: x"],
    misses=["Question: How", "\nQuestions remain", "\nAnswer: 3"],
    cased=True,
)


def own_turn(text: str) -> str:
    """What the model wrote before it went on with a question of its own, as base models do; the whole text when it had
    not answered by then."""
    tagged = "<" in text and ("<|" in text or "</s>" in text or "<end_of" in text)
    if tagged or ("[" in text and "INST]" in text):  # single characters are found quickest
        written = len(text) - len(text.lstrip())
        token = next((match for match in _TOKEN.finditer(text) if match.start() > written), None)
        if token is not None:
            text = text[: token.start()]
    seen = 0  # no answer before here: every stretch of the text is looked at once
    for match in _next_questions(text):
        stretch = text[seen : match.start()]
        if not stretch.isspace() and (last_box(stretch) is not None or phrase(stretch) is not None):
            return text[: match.start()]
        seen = match.start()
    return text


_FIRST_SIGNS = " \t*QPHUI#"
"""One of them follows the line break of a NEXT_QUESTION."""


def _next_questions(text: str) -> Iterator[re.Match[str]]:
    """Matches of NEXT_QUESTION; line breaks are found much quicker than by the pattern."""
    at = text.find("\n")
    while at >= 0:
        if text[at + 1 : at + 2] in _FIRST_SIGNS:
            match = NEXT_QUESTION.match(text, at)
            if match is not None:
                yield match
        at = text.find("\n", at + 1)


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
_ONE_FIELD = re.compile(r'\{\s{0,4}"\w{1,40}"\s{0,4}:\s{0,4}"(?P<value>[^"\\]{1,150})"\s{0,4}\}')
"""A JSON object with a single text in it."""


def _in_region(region: str, committed_only: bool) -> Iterator[Piece]:
    block = answer_block(region)
    if block is not None:
        if len(block) > MAX_VALUE or not block.isascii():
            yield from _committed(block)
        yield Piece(block[:MAX_PIECE], "answer")
    else:
        closing = _CLOSING_BLOCK.search(region[-MAX_CLOSING:].rstrip()) if "<" in region else None
        # A box elsewhere says that the block at the end holds something else, such as the reasoning.
        if closing is not None and (last_box(closing["value"]) is not None or last_box(region) is None):
            yield from _committed(closing["value"])
            held = _ONE_FIELD.fullmatch(closing["value"].strip())
            yield Piece(held["value"] if held is not None else closing["value"], "answer")
    yield from _committed(region)
    tail = region[-MAX_TAIL:]
    rest = _TAGS.sub(" ", tail) if "<" in tail else tail
    yield Piece(squeezed(rest).strip(), "thought" if committed_only else "rest")


def _committed(text: str) -> Iterator[Piece]:
    """The last box and the last announcement, the later one first: models correct themselves, and sum up after
    intermediate boxes."""
    box = final_box(text)
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


_TAGS = re.compile(r"</?(?:think|answer)>")


def has_answer_block(text: str) -> bool:
    """Whether there is an answer block, be it empty."""
    return "<" in text and ("<answer>" in text or "</answer>" in text)


_ATTRIBUTE = r"[\w:-]{1,40}\s{0,4}=\s{0,4}(?:\"[^\"<>]{0,400}\"|'[^'<>]{0,400}')"
_ATTRIBUTES = re.compile(rf"<(?!points?\b|b?box)([A-Za-z][\w-]{{0,40}})(?:\s{{1,4}}{_ATTRIBUTE}){{1,20}}\s{{0,4}}/?>")


def without_attributes(text: str) -> str:
    """Tags without their attributes, in which no answer stands: <answer value="12"> is <answer>."""
    possible = "<" in text and "=" in text and ('"' in text or "'" in text)
    return _ATTRIBUTES.sub(r"<\1>", text) if possible and ('="' in text or "='" in text or "= " in text) else text


FEW_SIGNS = 24

_HIDDEN = re.compile(
    r"<!--.{0,2000}?-->|~~[^~\n]{1,200}~~|<(s|del|strike)>.{0,400}?</\1>|\\(?:[bx]?cancel|sout|st|xout)\s*\{(?:[^{}]|\{[^{}]{0,80}\}){0,200}\}"
    r"|(?:.[\u0335-\u0338])+",
    re.DOTALL,
)
_HIDING_TAGS = ("!--", "s>", "del>", "strike>")
_HIDING_COMMANDS = ("cancel", "bcancel", "xcancel", "sout", "st{", "xout")


def visible(text: str) -> str:
    """A response without attributes of tags, comments and what is struck out: no answer stands there."""
    text = without_attributes(text)
    struck = not text.isascii() and any(mark in text for mark in "\u0335\u0336\u0337\u0338")
    hides = (
        struck
        or ("<" in text and begins_after("<", _HIDING_TAGS, text))
        or ("\\" in text and begins_after("\\", _HIDING_COMMANDS, text))
        or ("~" in text and "~~" in text)
    )
    return _HIDDEN.sub(" ", text) if hides else text


def begins_after(sign: str, words: tuple[str, ...], text: str) -> bool:
    """Whether one of ``words`` follows ``sign`` somewhere: a single character is found many times quicker than a word.
    Many of them fall back to the plain search."""
    at = text.find(sign)
    for _ in range(FEW_SIGNS):
        if at < 0:
            return False
        at += 1
        if text.startswith(words, at):
            return True
        at = text.find(sign, at)
    return any(sign + word in text for word in words)


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
