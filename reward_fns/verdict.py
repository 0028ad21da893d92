"""What a verifier decides: the one small thing that travels between verifiers, pool, scoring and command line.

    verdict = Verdict("right", 1.0, "12", 0.00001)

Not here: how a verdict becomes a reward (combine.py).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["right", "wrong", "no_answer", "unparsable_gold", "timeout", "error"]

STATUSES: tuple[Status, ...] = ("right", "wrong", "no_answer", "unparsable_gold", "timeout", "error")


class Verdict(NamedTuple):
    """What a verifier decided about one response.

    A named tuple rather than a dataclass: tens of thousands are made per second, and they cross process borders.
    """

    status: Status
    """right, wrong, no_answer, unparsable_gold, timeout, or error: the verifier itself failed on this answer."""

    score: float
    """In [0, 1]: 1.0 for right, graded for boxes, text distances and partly right collections."""

    extracted: str | None = None
    """The answer as it was read, for people who debug."""

    seconds: float = 0.0
    """Wall time spent deciding."""


class GoldError(ValueError):
    """The ground truth cannot be read: a fault of the row, not of the response.

    Raised by verifiers, turned into the status ``unparsable_gold``. It must depend on the ground truth and the
    parameters alone, never on the response: all samples of a group then get the same reward, which trains nothing.
    """


class CallError(ValueError):
    """A parameter has a value that the verifier does not know: a fault of the call, which every answer would meet.

    It is raised through to the caller; any other exception of a verifier becomes the status ``error``.
    """


def right(extracted: str | None, score: float = 1.0) -> Verdict:
    return Verdict("right", score, extracted)


def wrong(extracted: str | None, score: float = 0.0) -> Verdict:
    return Verdict("wrong", score, extracted)


NO_ANSWER = Verdict("no_answer", 0.0, None)


def decided(is_right: bool, extracted: str | None) -> Verdict:
    """The verdict of a verifier that knows only right and wrong."""
    return Verdict("right", 1.0, extracted) if is_right else Verdict("wrong", 0.0, extracted)
