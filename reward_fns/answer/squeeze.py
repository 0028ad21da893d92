"""White space and rows of signs brought to bounded length."""

from __future__ import annotations

import re

_RUN = re.compile(r"([^\w\s])\1{6,}")


def squeezed(text: str) -> str:
    """White space of a line as single blanks, at most one empty line, no sign more than six times in a row.

    Patterns with several optional blanks take time that grows with the square or cube of the longest run; after this,
    runs are short.
    """
    lines = [" ".join(line.split()) for line in text.split("\n")]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return _RUN.sub(r"\1\1\1\1\1\1", "\n".join(kept))
