"""Graded rollouts as a table: the many small files of one data set read in one go.

    frame = read_graded(sorted(folder.glob("*.parquet")), ["row", "right"])
    frame = read_graded(files, ["row", "response"], rows=[3, 17])           # these prompts' first responses alone

Text is as long as models write it: name the columns that you need. Not here: making these files (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from specs_verl.errors import UserError


def read_graded(files: Sequence[Path], columns: Sequence[str], rows: Sequence[int] | None = None) -> pd.DataFrame:
    """One line per response, in the order of files; with ``rows``, of those prompts' first responses.

    Raises:
        UserError: a file is damaged, or lacks a column.
    """
    wanted = None if rows is None else ds.field("row").isin(list(rows)) & (ds.field("sample") == 0)
    try:
        data = ds.dataset([str(file) for file in files], format="parquet")
        return data.to_table(columns=list(columns), filter=wanted).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{files[0].parent}: graded rollouts that cannot be read ({reason}). Call specs evaluate again."
        ) from error
