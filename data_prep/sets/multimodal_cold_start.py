r"""Multimodal-Cold-Start (RL with Cold Start, SFT stage): 51,534 worked solutions of a larger model.

problem (with `<image>`), answer (reasoning that ends in \boxed{...}), images

Rows become supervised data: `messages` with the solution as the assistant's turn, and the boxed answer as ground truth.
"""

from __future__ import annotations

from data_prep.reading.cells import Unfit, listed, text
from data_prep.sets.item import DataSet, Item, Row
from reward_fns.answer.boxed import last_box


def item(row: Row) -> Item:
    response = text(row, "answer")
    gold = last_box(response)
    if not gold or not gold.strip():
        raise Unfit("no boxed answer", r"`answer` states no \boxed{}: it cannot be checked")
    return Item(question=text(row, "problem"), answer=gold, images=listed(row, "images"), response=response)


SET = DataSet(
    name="multimodal_cold_start",
    hub="WaltonFuture/Multimodal-Cold-Start",
    licence="unstated",
    prompt="cold_start",
    columns=("problem", "answer", "images"),
    item=item,
)
