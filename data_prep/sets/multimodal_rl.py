"""Multimodal-RL-Data (RL with Cold Start, GRPO stage): about 31,800 questions.

problem (with `<image>`), answer, images
"""

from __future__ import annotations

from data_prep.reading.cells import listed, text
from data_prep.sets.item import DataSet, Item, Row


def item(row: Row) -> Item:
    return Item(question=text(row, "problem"), answer=text(row, "answer"), images=listed(row, "images"))


SET = DataSet(
    name="multimodal_rl",
    hub="WaltonFuture/Multimodal-RL-Data",
    licence="unstated",
    prompt="cold_start",
    columns=("problem", "answer", "images"),
    item=item,
)
