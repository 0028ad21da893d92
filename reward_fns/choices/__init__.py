"""Which option of a multiple-choice question a text names.

options.py     letters, texts and values of one question
letters.py     a letter on its own, set off from what follows, or listed with others
sentences.py   what one sentence chooses
reading.py     letters of options in a piece of text and in running prose
"""
