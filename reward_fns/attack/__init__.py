"""A hacker of our own: what would a policy find that is paid without a committed right answer?

golds.py     golds of a verifier that exclude each other, and the parameters that go with them
grammar.py   hedges, lists, denials, bounds, other people, other cases and tricks of Unicode, composed at random
search.py    tries them on a verifier or on a reward function, and keeps what is paid

    from reward_fns.attack import attack
    report = attack("number", tries=10_000, seed=1)
    report.tried, report.found        -> (10000, ())
"""

from reward_fns.attack.search import Find, Report, attack, attack_function

__all__ = ["Find", "Report", "attack", "attack_function"]
