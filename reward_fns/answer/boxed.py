r"""What stands in \boxed{}: nested, unclosed, several in a row, or spelled without braces.

    last_box(r"so \boxed{\frac{1}{2}}")       -> r"\frac{1}{2}"

Everything is string search from the end of the text, linear with a small constant.
"""

from __future__ import annotations

import re

from reward_fns.answer.wrappers import TEXT

MAX_BOXES = 64
"""Boxes looked at, from the end."""

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX = re.compile(r"(?:[\\\x08]?b?oxed|\\fbox)\s*(\{)?")


def last_box(text: str) -> str | None:
    r"""The content of the last non-empty \boxed{}, the outermost one of nested boxes, inner box commands removed.

    Boxes that are joined by nothing but ", ", "and" or "or" state one answer in parts and are joined: "\boxed{2} and
    \boxed{3}" -> "2, 3".
    """
    found = final_box(text)
    return None if found is None else found[1]


def names_a_box(text: str) -> bool:
    """Whether a box command may stand there: in most texts without one, single signs say so already."""
    backslash = "\\" in text
    return (backslash or "{" in text) and (text.rfind("oxed") >= 0 or (backslash and "\\fbox" in text))


def final_box(text: str) -> tuple[int, str] | None:
    """Where the last non-empty box ends, and its content."""
    quick = _last_box_quickly(text) if "{" in text else None
    if quick is not None:
        return quick
    if not names_a_box(text):
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


_JOINT = re.compile(
    rf"(?:[\s$,;]|\\[()\[\],;: ]|\\q?quad|{TEXT}\{{\s*(?:,|and|or|,\s*and)\s*\}}|\band\b|\bor\b)*", re.IGNORECASE
)
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
