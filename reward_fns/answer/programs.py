r"""Programs in a response: what would be printed if they were run is no answer.

    without_programs("total = 0\nprint(total)\nSo it is 3.")     -> "So it is 3."
    without_programs("print the total: 12")                       -> unchanged

Fenced or not, a program is a stretch of lines that look like code, one of which prints or returns something. Fenced
JSON and fenced values are none.
"""

from __future__ import annotations

import re

_SIGNS = ("print(", "print (", "return ", "console.log(")
_GIVES = re.compile(r"\s*(?:print ?\(|console\.log\()")
_RETURNS = re.compile(r"\s+return\b")
_CODE = re.compile(
    r"\s*(?:def\s+\w+\s*\(|class\s+\w+.*:\s*$|import\s+[\w.]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+)*\s*$|from\s+[\w.]+\s+import\s"
    r"|(?:for|while|if|elif|with)\b.*:\s*$|(?:else|try|finally)\s*:\s*$|except\b.*:\s*$|function\s+\w+\s*\(|#include\b)"
)
_ASSIGNS = re.compile(
    r"\s*(?:(?:let|const|var|int|float|double)\s+)?[A-Za-z_]\w{0,40}(?:\[[^\]\n]{0,40}\]|\.\w{1,40}){0,4}(?:\s*,\s*\w{1,40}){0,4}"
    r"\s*(?:[-+*/%]|//|\*\*)?=(?!=)\s*\S"
)
_GOES_ON = re.compile(r"\s*$|\s{2,}\S|\s*#(?!#)|\s*\}\s*;?\s*$|\s*```\w*\s*$")
"""Inside of a program: empty, indented, a comment, a brace, a fence."""


def without_programs(text: str) -> str:
    """``text`` without the lines of programs."""
    if not any(map(text.__contains__, _SIGNS)):
        return text
    lines = text.split("\n")
    kept: list[str] = []
    block: list[str] = []
    for line in lines:
        if _is_code(line) or (block and _GOES_ON.match(line)):
            block.append(line)
            continue
        kept += _unless_program(block)
        block = []
        kept.append(line)
    kept += _unless_program(block)
    return "\n".join(kept)


def _is_code(line: str) -> bool:
    return any(pattern.match(line) is not None for pattern in (_GIVES, _CODE, _ASSIGNS))


def _unless_program(block: list[str]) -> list[str]:
    """The lines of a stretch that gives nothing out, nothing of one that does."""
    defines = any(_CODE.match(line) for line in block)
    gives = any(_GIVES.match(line) or (defines and _RETURNS.match(line)) for line in block)
    return [] if gives else block
