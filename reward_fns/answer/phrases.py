r"""What people write around an answer, as data: a named pattern, texts that it finds, texts that it must not find.

    REFUSAL = Phrase("refusal", rf"\bcannot be {_DECIDE}\b", hits=["it cannot be determined"], misses=["it can"])
    REFUSAL.search("This cannot be determined.")        -> a match

A phrase stands above the code that uses it and is composed of named parts. Every hit and every miss of every phrase
in the package is a test of its own (tests/reward_fns/answer/test_phrases.py). Here are the class and the words that
several rooms share. Not here: what denies a value (denial.py), where sentences end (sentences.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from reward_fns.answer.caseless import Caseless

At = Literal["search", "match", "fullmatch"]


class Phrase:
    """A compiled pattern with examples. ``search``, ``match``, ``fullmatch``, ``sub``, ``split`` and ``finditer`` are
    those of the pattern.

    Args:
        name: what the pattern stands for, for people who read a failed test.
        cased: capitals are told from small letters.
        hits, misses: texts in which the pattern is found, and not found.
        at: how the code applies it, and the test with it.
    """

    def __init__(
        self,
        name: str,
        pattern: str,
        *,
        hits: Sequence[str],
        misses: Sequence[str],
        at: At = "search",
        cased: bool = False,
    ) -> None:
        compiled = re.compile(pattern) if cased else Caseless(pattern)
        self.name = name
        self.hits = tuple(hits)
        self.misses = tuple(misses)
        self.at: At = at
        self.pattern = compiled.pattern
        self.search = compiled.search
        self.match = compiled.match
        self.fullmatch = compiled.fullmatch
        self.finditer = compiled.finditer
        self.split = compiled.split
        self.sub = compiled.sub

    def finds(self, text: str) -> bool:
        """Whether the pattern is found where the code looks for it."""
        apply = {"search": self.search, "match": self.match, "fullmatch": self.fullmatch}[self.at]
        return apply(text) is not None

    def __repr__(self) -> str:
        return f"Phrase({self.name!r})"


THEREFORE = r"(?:therefore|thus|hence|consequently|so)"
"""Words that open a conclusion; the patterns that need one are composed of this."""

SURELY = r"(?:probably|likely|maybe|perhaps|definitely|surely|clearly|certainly|obviously)"
"""Words that say how sure somebody is."""

_DECIDE = (
    r"(?:determined?|answer|provide|select|choose|see|view|access|identify|tell|help|assist|compute|calculate|say"
    r"|verify|solve|infer|conclude|analy[sz]e)"
)
_ENOUGH = r"(?:enough|sufficient|adequate)"
_ASKED_FOR = r"(?:provide|give me|share|send|tell me|specify|clarify|upload|attach|describe)"
_REQUEST = (
    rf"please (?:also )?{_ASKED_FOR}|(?:could|can|would) you (?:please )?{_ASKED_FOR}|i (?:would |will )?need the"
)
_NOTHING_FITS = r"none of (?:the|these)(?: (?:above|options|given|provided|choices|listed|answers))*"

REFUSAL = Phrase(
    "refusal",
    rf"\b(?:(?:cannot|can['’]t|can not) (?:\w+ly )?(?:be )?{_DECIDE}|unable to|not able to|(?:not |im)possible to"
    rf"|{_NOTHING_FITS}|no correct (?:answer|option)"
    r"|(?:no|without (?:an?|the)) (?:correct )?(?:image|answer|option) (?:is |was |has been )?"
    r"(?:provided|given|listed|matches)"
    rf"|(?:not(?: have)?|n['’]t have) {_ENOUGH}|insufficient|not (?:provided|given|clear|specified|visible)"
    rf"|need more (?:information|context)|{_REQUEST}"
    r"|i(?:'|’| a)m sorry|i apologi[sz]e|as an ai|i (?:don['’]t|do not) know)\b",
    hits=[
        "It cannot be determined.",
        "I can't tell from here",
        "I am unable to see the image",
        "not enough information",
        "We do not have enough information.",
        "None of the above",
        "no image was provided",
        "the scale is not given",
        "I'm sorry, but",
        "I don't know",
        "It is impossible to say.",
        "I can't assist with music notation",
        "Please provide the ages of the two people.",
        "Could you give me the numbers?",
    ],
    misses=["There is enough information.", "The can holds 3.", "It is possible to see 4.", "A plant cannot fly."],
)
"""The answer is withheld. One list for all verifiers."""
