"""ThinkLite-VL-hard and sets of its style: questions that a 7B model finds hard.

id, problem, ground_truth or answer, image or images, and sometimes choices [texts of the options]
"""

from __future__ import annotations

from data_prep.reading.cells import listed, optional_text, text
from data_prep.sets.item import DataSet, Item, Row


def item(row: Row) -> Item:
    choices = row.get("choices")
    return Item(
        question=text(row, "problem"),
        answer=optional_text(row, "ground_truth") or text(row, "answer"),
        images=listed(row, "image", "images"),
        id=optional_text(row, "id"),
        options=tuple(str(choice) for choice in choices) if isinstance(choices, list) else (),
    )


SET = DataSet(
    name="thinklite",
    hub="russwang/ThinkLite-VL-hard-11k",
    licence="MIT",
    prompt="specs",
    columns=("problem",),
    item=item,
)
