"""CLEVR counting (R1-V): how many objects a rendered scene holds.

image, problem, solution (`<answer> 3 </answer>`)
"""

from __future__ import annotations

import re

from data_prep.reading.cells import listed, text
from data_prep.sets.item import DataSet, Item, Row

_TAGGED = re.compile(r"\s*<answer>([^<]{0,200})</answer>\s*")


def item(row: Row) -> Item:
    stated = text(row, "solution")
    tagged = _TAGGED.fullmatch(stated)
    return Item(
        question=text(row, "problem"),
        answer=tagged[1].strip() if tagged else stated,
        images=listed(row, "image", "images"),
        ability="counting",
        verifier="count",
    )


SET = DataSet(
    name="clevr_counting",
    hub="leonardPKU/clevr_cogen_a_train",
    licence="unstated",
    prompt="specs",
    columns=("image", "problem", "solution"),
    item=item,
)
