"""Numbers as people and models write them.

tolerance.py     when two values are the same number: one rule
numerals.py      digits, separators, fractions, read exactly
words.py         numbers in words
units.py         which words are units, and which convert into each other
signs.py         vulgar fractions and thousands separators
quantities.py    the quantities of a sentence, and which of them it is about
evidence.py      what speaks for a number as the quantity of its sentence, as a table of points
conclusions.py   the final number of a response
"""
