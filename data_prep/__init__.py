"""Data sets as verl parquet: one module per data set, and the built-in nano world."""
