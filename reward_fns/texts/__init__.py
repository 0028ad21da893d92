"""Short texts side by side.

normal.py      one spelling for texts that mean the same: case, punctuation, articles, wrappers
distances.py   how far two normalised texts lie apart
"""
