"""Run in a process of its own by test_shards.py: grades shards slowly in two processes, until somebody kills it.

    python slow.py FOLDER

FOLDER/samples/*.parquet are graded into FOLDER/grades; every grading process leaves its id in FOLDER/working.
"""

import os
import sys
import time
from pathlib import Path

import pyarrow as pa

from specs_verl.grading.shards import ShardTask, grade_shards


def slowly(task):
    (task.graded.parent.parent / "working" / str(os.getpid())).touch()
    time.sleep(300)
    return pa.table({"row": [0]})


def main():
    folder = Path(sys.argv[1])
    tasks = [ShardTask(shard, folder / "grades" / shard.name, "key") for shard in sorted(folder.glob("samples/*"))]
    list(grade_shards(tasks, slowly, workers=2))


if __name__ == "__main__":  # grading processes import this file
    main()
