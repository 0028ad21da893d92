"""One finding of the doctor, and the verdict over all of them.

Check("memory", "ok", "21.3 of 23.4 GiB free")
verdict([...])  ->  "Ready: 14 checks passed, 1 note."
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    state: State
    """ok; note: works, but worth knowing; problem: training will not start, or not work."""

    found: str
    advice: str = ""
    """What helps; empty when all is well."""


def verdict(checks: Sequence[Check]) -> str:
    """One line. Names the problems, since they are what a reader scrolls back for."""
    problems = [check for check in checks if check.state == "problem"]
    notes = sum(check.state == "note" for check in checks)
    noted = f", {_counted(notes, 'note')}" if notes else ""
    if not problems:
        return f"Ready: {_counted(sum(check.state == 'ok' for check in checks), 'check')} passed{noted}."
    names = ", ".join(dict.fromkeys(check.name for check in problems))
    return f"Not ready: {_counted(len(problems), 'problem')} ({names}){noted}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def healthy(checks: Sequence[Check]) -> bool:
    """Whether training can start."""
    return all(check.state != "problem" for check in checks)
