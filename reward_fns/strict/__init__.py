"""The strict reading: a committed region must *be* one answer.

region.py      the committed region: the answer block, or else the last box, unless its own sentence takes it back
grammar.py     what may stand around a value: markup, words of an announcement, a unit; everything else is refused
quantity.py    one number
selection.py   one option, or yes or no
collection.py  a JSON value or a plain list

A region holds one answer or none: what the grammar does not know is left over, and then there is no answer. Nothing is
ever read from elsewhere in its place. Responses without a committed region are read leniently (answer/, choices/,
numbers/), unless ``reading="strict"`` is asked for.
"""
