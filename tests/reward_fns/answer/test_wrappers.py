"""One list of LaTeX wrappers: every verifier looks through every one of them."""

import pytest

from reward_fns import verify
from reward_fns.answer.wrappers import FONT_COMMANDS, MATH_COMMANDS, TEXT_COMMANDS, unwrapped

COMMANDS = sorted({*TEXT_COMMANDS, *MATH_COMMANDS, *FONT_COMMANDS})
ANSWERS = [("12", "number"), ("12", "count"), ("12", "math"), ("B", "choice"), ("yes", "yes_no"), ("cat", "text")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_verifier_looks_through_a_wrapper(command):
    for gold, verifier in ANSWERS:
        verdict = verify(rf"\boxed{{\{command}{{{gold}}}}}", gold, verifier)
        assert verdict.status == "right", (verifier, verdict)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrapper_changes_no_value(command):
    for other, verifier in [("13", "number"), ("13", "math"), ("C", "choice"), ("no", "yes_no"), ("dog", "text")]:
        given = next(gold for gold, name in ANSWERS if name == verifier)
        assert verify(rf"\boxed{{\{command}{{{given}}}}}", other, verifier).status == "wrong", verifier


def test_wrappers_come_off_from_the_inside():
    assert unwrapped(r"\text{(\textbf{B})}") == "(B)"
    assert unwrapped(r"\mathrm{ABC}\ and \textsf{x}", r" \1 ") == r" ABC \ and  x "


def test_a_longer_name_is_another_command():
    assert unwrapped(r"\textcolor{red}") == r"\textcolor{red}"
    assert unwrapped(r"\item{2}") == r"\item{2}"
