"""MMK12 (MM-Eureka): school questions in mathematics, physics, chemistry and biology; the test split offers options.

id, question, answer, subject, image
"""

from __future__ import annotations

from data_prep.reading.cells import listed, optional_text, text
from data_prep.sets.item import DataSet, Item, Row


def item(row: Row) -> Item:
    return Item(
        question=text(row, "question"),
        answer=text(row, "answer"),
        images=listed(row, "image", "images"),
        id=optional_text(row, "id"),
        category=optional_text(row, "subject"),
    )


SET = DataSet(
    name="mmk12",
    hub="FanqingM/MMK12",
    licence="Apache-2.0",
    prompt="specs",
    columns=("question", "answer"),
    item=item,
)
