r"""The committed region of a response: the inside of the last <answer> block, or else the last box.

    committed_region("<think>11?</think><answer>12</answer>")        -> Region("12", "answer", ...)
    committed_region(r"so it is \boxed{12}.")                        -> Region("12", "boxed", ...)
    committed_region(r"I doubt that it is \boxed{12}.")              -> Region("", "boxed", ...), taken back
    committed_region("It is 12.")                                    -> None, there is none

Not here: what a region says (grammar.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

from reward_fns.answer.announced import phrase
from reward_fns.answer.boxed import boxes, final_box, names_a_box
from reward_fns.answer.commitment import taken_back
from reward_fns.answer.places import answer_block, begins_after, has_answer_block, own_turn, split_think, visible
from reward_fns.verdict import CallError

Reading = Literal["auto", "strict", "lenient"]
READINGS: tuple[Reading, ...] = ("auto", "strict", "lenient")

AROUND = 240
"""Characters before and after a box that can belong to its sentence."""


SHORTEST_ANNOUNCEMENT = 12

Value = TypeVar("Value")


class Region(NamedTuple):
    """What a response commits to."""

    text: str
    """Empty when the region is empty, or taken back by its own sentence: no answer."""

    place: Literal["answer", "boxed"]
    around: str = ""
    """The text in which the region is a box, with all its boxes."""

    later: str = ""
    """What is announced after the box ("The final answer is ..."): models correct themselves, and sum up after
    intermediate boxes."""

    def boxes(self) -> list[str]:
        """The contents of all boxes when the region is a box, for golds of several values."""
        return boxes(self.around)

    def read(self, reader: Callable[[str], Value | None]) -> Value | None:
        """What the region is: its later announcement where that is one answer, else its text."""
        found = reader(self.later) if self.later else None
        return reader(self.text) if found is None and self.text else found


NOTHING = Region("", "answer")


def region_to_read(response: str, reading: str, answer_after_think: bool = False) -> Region | None:
    """The region that is read strictly, None when the response is to be read leniently.

    Args:
        reading: strict (a response without a region holds no answer), lenient (there is no region to read), or auto
            (strict where there is a region).
    """
    if reading not in READINGS:
        raise CallError(f"reading must be one of {', '.join(READINGS)}, got {reading!r}")
    if reading == "lenient":
        return None
    found = committed_region(response, answer_after_think)
    return NOTHING if found is None and reading == "strict" else found


MAX_WHOLE = 120
"""Characters of a response without a region that may be one answer as a whole."""


def whole_answer(response: str) -> str:
    """A response that may be one answer as a whole, else nothing: a short line."""
    text = response.strip()
    return text if len(text) <= MAX_WHOLE and "\n" not in text else ""


_ANSWER_TAGS = ("answer>", "/answer>")


def committed_region(response: str, answer_after_think: bool = False) -> Region | None:
    """The last answer block or else the last box of what follows the thoughts; of the thoughts themselves only when
    nothing follows them."""
    tags = "<" in response
    if not ((tags and begins_after("<", _ANSWER_TAGS, response)) or names_a_box(response)):
        return None  # nearly all raw responses: nothing else is looked at
    text = visible(response)
    after, inside, _ = split_think(text) if tags else (text, "", False)
    if after:
        return _region_of(own_turn(after))
    return None if answer_after_think or not inside else _region_of(inside)


def _region_of(text: str) -> Region | None:
    if "<" in text:
        block = answer_block(text)
        if block is not None:
            return Region(block, "answer")
        if has_answer_block(text):
            return NOTHING
    box = final_box(text)
    if box is None:
        return None
    end, content = box
    start = max(0, text.rfind("oxed", 0, end))
    start = max(start, text.rfind("fbox", start, end))
    start = max(text.rfind("\\", 0, start), start - 2)
    back = taken_back(text[max(0, start - AROUND) : start], text[end : end + AROUND])
    later = phrase(text[end:]) if len(text) - end > SHORTEST_ANNOUNCEMENT else None
    return Region("" if back else content, "boxed", text, later or "")
