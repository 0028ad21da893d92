"""`specs data doctor`: is a data set fit for training? Reads every row, decodes every image, can drop what is broken.

    report = examine("train.parquet")             # report.rows, report.broken, report.notes
    fix("train.parquet", "train.fixed.parquet")   # sound and repaired rows; left_out beside it says what went and why

    findings.py     what can be wrong with a row       pictures.py   ... with an image; repairs
    checks.py       one row                            examine.py    a file: streaming, duplicates, the fixed copy
    lengths.py      prompt tokens against limits       report.py     table; page.py: HTML with the worst

Broken rows crash a training run hours later, or give every sample of their group the same reward. Notes are suspicious
but no reason to drop a row.
"""

from data_prep.doctor.examine import examine, fix
from data_prep.doctor.findings import Finding
from data_prep.doctor.lengths import Limits
from data_prep.doctor.report import Report

__all__ = ["Finding", "Limits", "Report", "examine", "fix"]
