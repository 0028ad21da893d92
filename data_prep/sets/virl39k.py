r"""ViRL39K (VL-Rethinker): 38,870 verifiable questions, some of them without image.

question (with `<image>`), answer (\boxed{...}), category, source, qid, image [paths such as images/x.jpg],
PassRate_32BTrained, PassRate_7BBase
"""

from __future__ import annotations

from data_prep.reading.cells import listed, optional_text, rate, text
from data_prep.sets.item import DataSet, Item, Row


def item(row: Row) -> Item:
    return Item(
        question=text(row, "question"),
        answer=text(row, "answer"),
        images=listed(row, "image", "images"),
        id=optional_text(row, "qid"),
        source=optional_text(row, "source"),
        category=optional_text(row, "category"),
        pass_rate=rate(row, "PassRate_7BBase"),
    )


SET = DataSet(
    name="virl39k",
    hub="TIGER-Lab/ViRL39K",
    licence="MIT",
    prompt="specs",
    columns=("question", "answer"),
    item=item,
)
