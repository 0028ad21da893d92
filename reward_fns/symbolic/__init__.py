"""A small reader and comparer of mathematical answers: bounded, in the calling process, for all but the hard cases.

    tokens.py    text (LaTeX, Unicode, plain) -> tokens
    tree.py      tokens -> expression tree
    values.py    expression tree -> exact fractions, or complex numbers at fixed points
    compare.py   two trees -> same, different or undecided
    reading.py   an answer as written (units, "x = 5", lists, words) -> tree

Nothing is evaluated but our own tree, with limits on tokens, depth, digits and exponents. What it cannot decide goes
to math-verify in a killable worker process (reward_fns/pool.py).
"""
