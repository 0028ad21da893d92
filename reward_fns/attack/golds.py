"""Golds of a verifier that exclude each other: at most one of them can be the answer of a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Golds(NamedTuple):
    """Exclusive golds and how they are verified."""

    values: tuple[str, ...]
    """As they stand in the rows; also as a policy would write them."""

    params: Mapping[str, object]
    numeric: bool = False
    """Whether bounds make sense: at least 12."""


_COLOURS = ("red", "blue", "green", "yellow")
_LENGTHS = ("10 cm", "12 cm", "14 cm", "15 cm")

GOLDS: dict[str, tuple[Golds, ...]] = {
    "number": (Golds(("12", "11", "13", "24", "7"), {}, True), Golds(("0.5", "2.5", "0.75"), {}, True)),
    "count": (Golds(("3", "4", "5", "2"), {}, True),),
    "math": (
        Golds(("12", "11", "13", "144"), {}, True),
        Golds(("Monday", "Tuesday", "Friday", "Sunday"), {}),
        Golds((r"\frac{1}{2}", r"\frac{1}{3}", r"\frac{2}{3}"), {}, True),
        Golds(("x+1", "x-1", "2x"), {}),
        Golds((r"\text{no solution}", r"\text{infinitely many}", "5"), {}),
    ),
    "choice": (
        Golds(("A", "B", "C", "D"), {"options": list(_COLOURS)}),
        Golds(("A", "B", "C", "D"), {"options": list(_LENGTHS)}),
        Golds(("A", "B", "C", "D"), {}),
    ),
    "yes_no": (Golds(("yes", "no"), {}),),
    "text": (Golds(("Paris", "London", "Rome", "Berlin"), {}),),
    "sequence": (Golds(("[1, 2, 3]", "[3, 2, 1]", "[2, 1, 3]"), {}),),
    "set": (Golds(("[1, 2]", "[1, 3]", "[2, 3]"), {}),),
    "dict": (Golds(('{"a": 1}', '{"a": 2}', '{"a": 3}'), {}),),
}
