"""A small reader and comparer of mathematical answers: bounded, in the calling process, for all but the hard cases.

    reading.py   an answer as written (units, "x = 5", lists, words) -> tree
    tokens.py    text (LaTeX, Unicode, plain) -> tokens
    cursor.py    a place in a list of tokens; nodes and how they are rebuilt
    atoms.py     tokens -> numbers, words, brackets, functions
    tree.py      ... and what joins them: sums, relations, lists -> expression tree
    values.py    expression tree -> exact fractions, or complex numbers at fixed points
    shape.py     one shape for what is written in several ways
    dummies.py   symbols whose name says nothing
    equality.py  two values -> same, different or undecided
    regions.py   two subsets of the real line
    compare.py   two answers of any shape

Nothing is evaluated but our own tree, with limits on tokens, depth, digits and exponents. What it cannot decide goes
to math-verify in a killable worker process (reward_fns/workers/pool.py).
"""
