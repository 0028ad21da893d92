"""One file per data set: which columns it has and how a row of it is read.

    SETS["virl39k"].item(row)       # Item; Unfit for a row that cannot be used

To add one, write a file with a `SET` and name it here; for your own data a YAML file is enough (generic.py).
"""

from __future__ import annotations

from data_prep.sets import (
    clevr_counting,
    geometry3k,
    mmk12,
    multimodal_cold_start,
    multimodal_rl,
    orsta,
    thinklite,
    virl39k,
)
from data_prep.sets.item import DataSet, Item

SETS: dict[str, DataSet] = {
    module.SET.name: module.SET
    for module in (orsta, virl39k, multimodal_cold_start, multimodal_rl, geometry3k, mmk12, thinklite, clevr_counting)
}

__all__ = ["SETS", "DataSet", "Item"]
