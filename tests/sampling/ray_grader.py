"""A grader that processes of a Ray cluster can import: twice the row, and who graded it."""

import os

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.errors import UserError


def grade(task):
    row = pq.read_table(task.samples).column("row")[0].as_py()
    if row == 9:
        raise UserError(f"{task.samples}: no such verifier")
    return pa.table({"twice": [2 * row], "pid": [os.getpid()]})
