"""Geometry3K: geometry problems with a diagram, in the layout of hiyouga/geometry3k.

images, problem (with `<image>`), answer; splits train, validation, test
"""

from __future__ import annotations

from data_prep.reading.cells import listed, text
from data_prep.sets.item import DataSet, Item, Row


def item(row: Row) -> Item:
    return Item(
        question=text(row, "problem"),
        answer=text(row, "answer"),
        images=listed(row, "images"),
        ability="geometry",
        verifier="math",
    )


SET = DataSet(
    name="geometry3k",
    hub="hiyouga/geometry3k",
    licence="MIT",
    prompt="specs",
    columns=("problem", "answer", "images"),
    item=item,
)
