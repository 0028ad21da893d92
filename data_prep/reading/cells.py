"""Values out of a row that somebody else wrote, or `Unfit` with the reason.

text(row, "question");  optional_text(row, "category");  rate(row, "PassRate_7BBase");  listed(row, "images")
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Row = Mapping[str, object]

MOST_CHARACTERS = 200_000
"""Of one field. The longest questions and worked answers of the published sets are far below 50,000."""

MOST_IMAGES = 64
"""Of one row."""


class Unfit(ValueError):
    """A row that cannot be used. `kind` is counted; the message says what is wrong with this row."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def value(row: Row, key: str) -> object:
    """The value under a key, or under a dotted path of keys; None when there is none."""
    found: object = row
    for part in key.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def text(row: Row, key: str) -> str:
    """A text that is not empty."""
    found = optional_text(row, key)
    if not found:
        raise Unfit(f"no {key}", f"`{key}` is empty")
    return found


def optional_text(row: Row, key: str) -> str:
    """A text without the white space around it; numbers become text; empty when there is none."""
    found = value(row, key)
    if found is None:
        return ""
    if isinstance(found, int | float) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str):
        raise Unfit(f"wrong type of {key}", f"`{key}` must be text, got {type(found).__name__}")
    if len(found) > MOST_CHARACTERS:
        raise Unfit(f"{key} too long", f"`{key}` has {len(found)} characters, {MOST_CHARACTERS} are allowed")
    if "\0" in found:
        raise Unfit(f"unreadable {key}", f"`{key}` holds a zero character")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unfit(f"unreadable {key}", f"`{key}` is no Unicode text ({error.reason})") from error
    return found.strip()


def rate(row: Row, key: str) -> float | None:
    """A share in [0, 1]; None when there is none. Some sets mark a missing rate with a negative number."""
    found = value(row, key)
    if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
        return None
    return float(found) if 0.0 <= found <= 1.0 else None


def listed(row: Row, *keys: str) -> list[object]:
    """The images of a row under the first of several keys that holds any: one or a list; empty for text-only rows."""
    for key in keys:
        found = value(row, key)
        if found is None or found == "" or found == []:
            continue
        cells = list(found) if isinstance(found, list | tuple) else [found]
        if len(cells) > MOST_IMAGES:
            raise Unfit("too many images", f"`{key}` holds {len(cells)} images, {MOST_IMAGES} are allowed")
        return cells
    return []
