"""Files that every stage shares. Whole-or-nothing writing and locks are in data_prep.files and data_prep.tables.

fingerprints.py   identity of checkpoints and data files
derived.py        files made from another file, which know when that file has changed
rows.py           rows of parquet files, with memory bounded by one slice
checkpoints.py    whether a directory is a complete checkpoint
hub.py            checkpoints by directory or by hub name
steps.py          where training leaves the weights of a step
"""
