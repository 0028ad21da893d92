"""Names of tags that prompts ask for, and which of them a base model meets where.

    draw("drilled", random.Random(0))       # ("musing", "verdict"): a name for the reasoning, another for the answer

    familiar    asked for in questions of the corpus; PAIR_NAMES are free for training, TEST_NAMES for the test rows
    drilled     only in the copying drills of the corpus (corpus.py), asked for in test rows
    unseen      two words joined by "_", in a pair that no text of the corpus holds (every fourth pair of the words)
    filler, joined    more names and pairs for the corpus, so that it teaches to copy a name and not to know a list

Reasoning and answer take their names from the same lists: which is which stands only in the prompt.
"""

import random
import zlib
from typing import Literal

Source = Literal["think_answer", "familiar", "pair", "test", "drilled", "filler", "joined", "unseen"]

PAIR_NAMES = ("plan", "work", "draft", "final", "result", "reply")
TEST_NAMES = ("notes", "steps", "scratch", "output", "end", "solution")
FAMILIAR = PAIR_NAMES + TEST_NAMES
DRILLED = (
    "logic", "path", "musing", "verdict", "value", "done", "inner", "trace", "derive", "outcome", "conclude", "report",
    "method", "ponder", "sketch", "finding", "return", "close",
)  # fmt: skip
FILLER = (
    "alpha", "beta", "title", "body", "list", "item", "name", "date", "city", "code", "text", "head", "page", "link",
    "main", "side", "left", "right", "user", "tool", "call", "data", "field", "group",
)  # fmt: skip
_LISTS = {"familiar": FAMILIAR, "pair": PAIR_NAMES, "test": TEST_NAMES, "drilled": DRILLED, "filler": FILLER}


def unseen(name: str) -> bool:
    """Whether a joined name is kept out of the corpus: a fixed quarter, by checksum."""
    return zlib.crc32(name.encode()) % 4 == 0


def _joined(rng: random.Random, wanted: bool) -> str:
    while True:
        name = "_".join(rng.sample(FILLER, 2))
        if unseen(name) == wanted:
            return name


def draw(source: Source, rng: random.Random) -> tuple[str, str]:
    """Two different names: of the tag around the reasoning and of the tag around the answer."""
    if source == "think_answer":
        return "think", "answer"
    if source in ("joined", "unseen"):
        first = second = _joined(rng, source == "unseen")
        while second == first:
            second = _joined(rng, source == "unseen")
        return first, second
    first, second = rng.sample(_LISTS[source], 2)
    return first, second
