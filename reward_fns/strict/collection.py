r"""One list or mapping in a committed region: JSON as a whole, or a plain list as a whole.

list_in("[2, 1]"), list_in("red, blue and green")     -> the items
list_in("[2,1] or [1,2]"), list_in("red or blue")     -> None
mapping_in('{"a": 1}')                                -> {"a": 1}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from reward_fns.strict.grammar import LEFT_OVER, core

MAX_JSON = 100_000
_FENCE = re.compile(r"(?s)\s*```(?:json)?\s*(.*?)\s*```\s*")


def json_in(text: str) -> object | None:
    """The JSON value that a region is as a whole; single quotes are forgiven."""
    fenced = _FENCE.fullmatch(text)
    bare = (fenced[1] if fenced else text).strip(" \n\t*`.")
    if len(bare) > MAX_JSON or bare[:1] not in ("[", "{"):
        return None
    for attempt in (bare, bare.replace("'", '"')):
        try:
            found: object = json.loads(attempt)
            return found
        except (ValueError, RecursionError):
            continue
    return None


def list_in(text: str, read_plain: Callable[[str], Sequence[object] | None]) -> Sequence[object] | None:
    """The items that a region lists.

    Args:
        read_plain: reads items joined by commas, "and", arrows or lines.
    """
    found = json_in(text)
    if found is not None:
        return found if isinstance(found, list) else None
    stated = core(text) if len(text) <= 300 else text
    if stated is None:
        return None
    announced = json_in(stated)
    if announced is not None:
        return announced if isinstance(announced, list) else None
    if LEFT_OVER.search(stated) or stated.count("[") > 1 or stated.count("(") > 1 or "\n\n" in stated:
        return None
    return read_plain(stated)


def mapping_in(text: str, read_plain: Callable[[str], Mapping[str, object] | None]) -> Mapping[str, object] | None:
    """The mapping that a region is: JSON, or lines of a key, a colon and a value."""
    found = json_in(text)
    if found is not None:
        return found if isinstance(found, Mapping) else None
    stated = text.strip()
    if "{" in stated or not all(":" in line for line in stated.splitlines() if line.strip()):
        announced = json_in(core(text) or "")
        return announced if isinstance(announced, Mapping) else None
    return read_plain(stated)
