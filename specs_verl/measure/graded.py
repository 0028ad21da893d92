"""Graded rollouts as a table: the many small files of one data set read in one go.

    frame = read_graded(sorted(folder.glob("*.parquet")), ["row", "right"])
    frame = read_graded(files, ["row", "response"], rows=[3, 17])           # these prompts' first responses alone

Text is as long as models write it: name the columns that you need. Not here: making these files (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds


def read_graded(files: Sequence[Path], columns: Sequence[str], rows: Sequence[int] | None = None) -> pd.DataFrame:
    """One line per response, in the order of files; with ``rows``, of those prompts' first responses."""
    wanted = None if rows is None else ds.field("row").isin(list(rows)) & (ds.field("sample") == 0)
    found = ds.dataset([str(file) for file in files], format="parquet").to_table(columns=list(columns), filter=wanted)
    return found.to_pandas()
