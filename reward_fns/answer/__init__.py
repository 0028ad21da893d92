r"""Where a response states its answer: boxes, announcements, tagged blocks.

places.py      from the most to the least committed place
boxed.py       \boxed{}: nested, unclosed, several in a row
announced.py   "the answer is ...", "**Answer:** ...", "#### ..."
squeeze.py     white space and rows of signs brought to bounded length
"""
