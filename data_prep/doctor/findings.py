"""One thing that the doctor has to say about a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What is wrong, and whether a row with it can be trained on."""

    kind: str
    """The same for all rows with this fault; the table counts it."""

    message: str
    """With the numbers of this row."""

    broken: bool = True
    """False for a note: suspicious, but no reason to drop the row."""


def note(kind: str, message: str = "") -> Finding:
    return Finding(kind, message or kind, broken=False)
