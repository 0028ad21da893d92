r"""LaTeX commands that say how something looks, not what it is: the one list that every reader composes from.

    unwrapped(r"\textup{12}")              -> "12"
    unwrapped(r"\text{(\textbf{B})}")      -> "(B)"
    re.compile(rf"{TEXT}\{{and\}}")        finds \text{and}, \mbox{and}, ...

Not here: layout (\left, \quad) and mathematics (\frac), which symbolic/tokens.py knows.
"""

from __future__ import annotations

import re

TEXT_COMMANDS = (
    "text", "textrm", "textbf", "textit", "textsf", "texttt", "textup", "textsc", "textmd", "textsl", "textnormal",
    "emph", "mbox", "hbox",
)  # fmt: skip
"""Their argument is words."""

MATH_COMMANDS = (
    "mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathnormal", "boldsymbol", "bm", "pmb", "bold", "underline",
    "operatorname*", "operatorname",
)  # fmt: skip
"""Their argument is mathematics in another font."""

FONT_COMMANDS = ("bf", "rm", "it", "sf", "tt")
r"""Without an argument, {\bf 12}; many models write \bf{12}."""

FRAMES = ("boxed", "fbox", "framebox")


def any_of(*groups: tuple[str, ...]) -> str:
    r"""A pattern of the commands with their backslash, which stops at the end of the name: \text is not \textbf."""
    names = sorted({name for group in groups for name in group}, key=lambda name: (-len(name), name))
    return rf"\\(?:{'|'.join(map(re.escape, names))})(?![A-Za-z])"


TEXT = rf"{any_of(TEXT_COMMANDS)}\s*"
r"""The command of \text{...}, up to its brace."""

FONT = rf"{any_of(TEXT_COMMANDS, MATH_COMMANDS, FONT_COMMANDS)}\s*"
"""Any command of this list, up to its brace."""

GROUP = r"\{([^{}]*)\}"
"""An argument without braces inside; nested ones are unwrapped from the inside."""

WRAPPED = re.compile(FONT + GROUP)
MAX_NESTING = 3


def unwrapped(text: str, put: str = r"\1", pattern: re.Pattern[str] = WRAPPED) -> str:
    r"""``text`` with its wrappers replaced by ``put``, where \1 is the argument, up to three levels deep."""
    if "\\" not in text:
        return text
    for _ in range(MAX_NESTING):
        text, changed = pattern.subn(put, text)
        if not changed:
            break
    return text
