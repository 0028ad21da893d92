"""Files that every stage shares: written once here, used everywhere.

atomic.py         files that appear whole or not at all
fingerprints.py   identity of checkpoints and data files
rows.py           rows of parquet files, with memory bounded by one slice
hub.py            checkpoints by directory or by hub name
"""
