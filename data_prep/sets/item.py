"""What a data set is, and what one of its rows becomes before it is checked, graded and written.

Not here: images (they stay cells, see reading/pictures.py) and how an answer is graded (answers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Row = Mapping[str, object]


@dataclass(frozen=True)
class Item:
    """One question, as the data set states it."""

    question: str
    """With one `<image>` per image, or with none: they are then put first."""

    answer: str
    """Reference answer, as published."""

    images: list[object] = field(default_factory=list)
    """Cells for reading.pictures.load."""

    id: str = ""
    """Empty: made from the place of the row."""

    source: str = ""
    """Where the set has the question from."""

    ability: str = ""
    category: str = ""

    verifier: str = ""
    """Empty: chosen by the form of the answer (answers.py)."""

    params: dict[str, object] = field(default_factory=dict)

    options: tuple[str, ...] = ()
    """Texts of the options where the set lists them apart from the question."""

    response: str = ""
    """A worked solution to imitate; rows with one become supervised data."""

    pass_rate: float | None = None
    """Share of right samples that the set publishes."""


@dataclass(frozen=True)
class DataSet:
    """A published data set: how to recognise it and how to read a row."""

    name: str
    hub: str
    """Its name on the Hugging Face hub."""

    licence: str
    """As its card states it; `unstated` when it does not, or when we could not read it."""

    prompt: str
    """Prompt of the method that trains on it, see prompts.py."""

    columns: tuple[str, ...]
    """Every file must have these."""

    item: Callable[[Row], Item]
    """Reads one row; raises reading.cells.Unfit."""

    ability: str = "reasoning"
