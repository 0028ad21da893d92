"""Format rules: does a response have the asked form? Strict, because leniency about form belongs to the accuracy part.

    think_answer("<think> ... </think> <answer> ... </answer>")      -> True
    check(response, "think_answer_boxed")                            -> 1.0
    check(response, {"rule": "pattern", "pattern": r"A: \\d+"})      -> 0.0

A rule is a name, or a dict with ``rule`` and its parameters. Every rule is linear in the length of the response: tags
are found with string searches, and a user's own pattern runs in google-re2, which has no backtracking. Patterns come
from configuration, never from a response. Not here: what format is worth (combine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reward_fns.answer.boxed import boxes

if TYPE_CHECKING:
    import re2

FormatRule = str | Mapping[str, object]

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
_TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
"""In the order in which they must come."""


def think_answer(text: str) -> bool:
    """Exactly one think block directly followed by one answer block, both with content, and only white space around
    them."""
    return _answer_block(text) is not None


def think_answer_boxed(text: str) -> bool:
    r"""``think_answer``, and the answer block holds a \boxed{} with content."""
    answer = _answer_block(text)
    return answer is not None and any(content.strip() for content in boxes(answer))


def _answer_block(text: str) -> str | None:
    """The inside of the answer block of a well-formed response, else None.

    Looks at the "<" signs one by one, which is much quicker than four searches for tags: a single character is found
    by memchr.
    """
    body = text.strip()
    if not (body.startswith(THINK_OPEN) and body.endswith(ANSWER_CLOSE)):
        return None
    places: list[int] = []
    at = body.find("<")
    while at >= 0:
        if body.startswith(_TAGS, at):
            if len(places) == 4 or not body.startswith(_TAGS[len(places)], at):  # one too many, or out of order
                return None
            places.append(at)
        at = body.find("<", at + 1)
    if len(places) != 4:
        return None
    _, think_end, answer_start, answer_end = places
    thought = body[len(THINK_OPEN) : think_end]
    between = body[think_end + len(THINK_CLOSE) : answer_start]
    answer = body[answer_start + len(ANSWER_OPEN) : answer_end]
    if answer_end + len(ANSWER_CLOSE) != len(body) or (between and not between.isspace()):
        return None
    return answer if answer.strip() and thought.strip() else None


def boxed(text: str) -> bool:
    r"""At least one \boxed{} with content."""
    return any(content.strip() for content in boxes(text))


def tag_counts(text: str, tags: tuple[str, ...] = _TAGS) -> float:
    """The share of tags that occur exactly once: a graded rule for models that do not know the form yet."""
    return sum(text.count(tag) == 1 for tag in tags) / len(tags)


def pattern(text: str, pattern: str) -> bool:
    """A user's own pattern must match the whole response (``.`` matches line ends too). Linear time: google-re2."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=64)
def _compiled(source: str) -> re2.Pattern:
    try:
        import re2
    except ImportError as error:
        raise ImportError("A format pattern of your own needs google-re2: pip install google-re2") from error
    try:
        return re2.compile("(?s)" + source)
    except re2.error as error:
        raise ValueError(
            f"Format pattern {source!r} cannot be compiled: {error}. It runs in a linear-time engine "
            "(RE2): look-around and back-references do not exist there."
        ) from error


def always(text: str) -> bool:
    """No format is asked for."""
    return True


def never(text: str) -> bool:
    """For callers that know that the response is not in the form that its own prompt asked for."""
    return False


RULES: dict[str, Callable[..., bool | float]] = {
    "think_answer": think_answer,
    "think_answer_boxed": think_answer_boxed,
    "boxed": boxed,
    "tag_counts": tag_counts,
    "pattern": pattern,
    "none": always,
    "never": never,
}


def check(text: str, rule: FormatRule) -> float:
    """How far ``text`` obeys ``rule``, in [0, 1]."""
    if isinstance(rule, str):
        name, params = rule, dict[str, Any]()
    else:
        params = dict(rule)
        name = str(params.pop("rule", ""))
    function = RULES.get(name)
    if function is None:
        raise ValueError(f"No format rule is called {name!r}. Known: {', '.join(sorted(RULES))}.")
    return float(function(text, **params))
