"""Reading data that others made: files (source.py), values of a row (cells.py), images (pictures.py).

Rows are untrusted. Whatever cannot be used raises `Unfit` with a reason that is counted; a path that a row names is
read only inside the folder that the user named; no row makes this code open a network connection.
"""
