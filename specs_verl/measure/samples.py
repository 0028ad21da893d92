"""A few prompts with the answers of every model, for people to read: choosing them, and making page-sized pictures.

    chosen = choose(graded_by_model, count=6)          # row numbers: the same rows for everyone, see `choose`
    picture(png_bytes, alt="...")                      # Picture(data_uri, width, height, alt)

What models write is hostile text: `clean_text` takes out control and direction characters, the page escapes the rest.
Not here: the page (report.py) and where graded rollouts come from (evaluate.py).
"""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from data_prep.pages import small_copy

LONGEST_SIDE = 480  # pixels of a picture on the page
LONGEST_TEXT = 6000  # characters of one response on the page
KEPT = "\n\t\u200c\u200d"  # the joiners of emoji and of several scripts do no harm


@dataclass(frozen=True)
class Picture:
    """An image that needs no file: a data URI, its size on the page, and words for those who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str
    pixelated: bool = False


@dataclass(frozen=True)
class Answer:
    """What one model wrote to a prompt, and what the graders say."""

    model: str
    text: str
    right: bool
    well_formed: bool
    status: str
    extracted: str
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Sample:
    """One prompt with its pictures and the first answer of every model."""

    row_id: str
    question: str
    truth: str
    task: str
    asked_format: str
    why: str
    pictures: tuple[Picture, ...]
    answers: tuple[Answer, ...]


WHY = {
    "fixed": "wrong before, right after",
    "formed": "right before and after, badly formed before",
    "lost": "right before, wrong after",
    "hard": "wrong before and after",
    "kept": "right and well formed before and after",
    "other": "other",
}


def choose(first: pd.DataFrame, last: pd.DataFrame, count: int) -> list[tuple[int, str]]:
    """Rows to show with the reason, from sample 0 of the first and of the last model.

    Not a best-of: the categories of WHY take turns, failures among them, and inside a category tasks take turns in the
    order of the data set. The same rollouts always give the same choice.

    Args:
        first, last: graded rollouts with columns row, sample, right, format, task; only rows in both are candidates.
        count: at most so many rows.
    """
    before, after = _first_samples(first), _first_samples(last)
    queues: dict[str, list[int]] = {name: [] for name in WHY}
    seen_of_task: dict[tuple[str, str], int] = {}
    turn: dict[int, tuple[int, int]] = {}
    for row in sorted(before.keys() & after.keys()):
        kind = _kind(before[row], after[row])
        key = (kind, str(before[row]["task"]))
        seen_of_task[key] = seen_of_task.get(key, 0) + 1
        turn[row] = (seen_of_task[key], row)
        queues[kind].append(row)
    for rows in queues.values():
        rows.sort(key=turn.__getitem__)
    chosen: list[tuple[int, str]] = []
    while len(chosen) < count and any(queues.values()):
        for kind, rows in queues.items():
            if rows and len(chosen) < count:
                chosen.append((rows.pop(0), WHY[kind]))
    return chosen


def _first_samples(frame: pd.DataFrame) -> dict[int, Mapping[str, object]]:
    """Sample 0 of every row."""
    firsts = frame.loc[frame["sample"] == 0, ["row", "right", "format", "task"]]
    return {line["row"]: line for line in firsts.to_dict("records")}


def _kind(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    if not before["right"]:
        return "fixed" if after["right"] else "hard"
    if not after["right"]:
        return "lost"
    if before["format"]:
        return "kept" if after["format"] else "other"
    return "formed" if after["format"] else "other"


def picture(content: bytes, alt: str) -> Picture | None:
    """A page-sized copy of an image file, or None where the bytes are no image that can be opened safely."""
    copy = small_copy(content, LONGEST_SIDE)
    if copy is None:
        return None
    tiny = max(copy.size) <= LONGEST_SIDE // 2
    buffer = io.BytesIO()
    if tiny:
        copy.save(buffer, "PNG", optimize=True)
        scale = max(1, 200 // max(copy.size))
        width, height, kind = copy.width * scale, copy.height * scale, "png"
    else:
        copy.save(buffer, "JPEG", quality=80, optimize=True)
        width, height, kind = copy.width, copy.height, "jpeg"
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{encoded}", width, height, alt, pixelated=tiny)


def clean_text(text: str, limit: int = LONGEST_TEXT) -> str:
    """Text without control and direction-override characters, cut in the middle when very long."""
    text = "".join(
        character
        if character in KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        else "\N{REPLACEMENT CHARACTER}"
        for character in text.replace("\r\n", "\n")
    )
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
