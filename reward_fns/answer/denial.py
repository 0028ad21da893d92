r"""Whether a text denies something: the one negation test of all readers.

    denies("It is not the largest.")             -> True
    denied_before("so the answer is not ")       -> True, what follows is denied
    denied_after(" is wrong, because")           -> True, what stands before is denied

Texts before and after a value are cut by the caller to the few words that may speak about it. Not here: refusals
(phrases.py).
"""

from __future__ import annotations

from reward_fns.answer.phrases import Phrase

_NOT = r"(?:\b(?:not|neither|nor|never|cannot|hardly|barely|scarcely|ain['’]t)\b|n['’]t\b|不是|而非|不选)"
_WRONG = r"\b(?:incorrect|wrong|false|untrue)\b"
_INSTEAD = r"\b(?:rather than|instead of|as opposed to|unlike|other than|except|anything but|far from)\b"
_REJECTED = r"(?:\b(?:eliminat\w+|rul\w+ out|exclud\w+|discard\w*|reject\w*)|排除)"

DENIAL = Phrase(
    "denial",
    rf"{_NOT}|\b(?:incorrect|wrong)\b",
    hits=["It is not B", "It isn't B.", "neither A nor B", "B is wrong", "it can’t be B"],
    misses=["It is B", "a knot", "nothing else", "Norway"],
)

_BETWEEN = (
    r"(?:be|the|an?|is|are|was|of|by|for|options?|choices?|answers?|values?|number|correct|right|true|necessarily|quite|entirely"
    r"|just|either|only|exactly|equal to|\w+ly|\\?\$)"
)
DENIED_BEFORE = Phrase(
    "denied before",
    rf"(?:{_NOT}|{_WRONG}|{_INSTEAD}|{_REJECTED})(?:\s+{_BETWEEN})*\s*[:(]?\s*$",
    hits=[
        "so it is not ",
        "this isn't (",
        "rather than option ",
        "we eliminated ",
        "neither ",
        "it cannot be ",
        "不是",
    ],
    misses=["it is ", "not A but ", "not so fast: it is ", "wrong, so it must be "],
)
"""Right before a value, with nothing between them but small words."""

DENIED_IN_CLAUSE = Phrase(
    "denied in the clause",
    rf"(?:{_NOT}|{_WRONG})(?:(?!\bbut\b)[^,.;])*$",
    hits=["it is not clear that it is ", "it does not look like "],
    misses=["it does not look like A, so it is ", "not A but "],
)
NOT_THESE = Phrase(
    "what a clause denies",
    rf"(?:\b(?:and |but )?not\b|{_INSTEAD}|\b(?:is|are|was|does|do|it)n['’]t\b)(?!\s+only)[^,.;]*(?:[,.;]|$)",
    hits=["not red, ", "rather than blue", "it isn't green."],
    misses=["not only red", "red, blue"],
)
"""Taken out of a sentence before the options that it names are looked for."""
