"""Numbers as people and models write them.

tolerance.py     when two values are the same number: one rule
numerals.py      digits, separators, fractions, read exactly
words.py         numbers in words
units.py         which words are units, and which convert into each other
quantities.py    the quantities of a sentence, and which of them it is about
conclusions.py   the final number of a response
"""
