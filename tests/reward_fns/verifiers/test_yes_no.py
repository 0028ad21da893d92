"""A yes or no in long responses, whose end is looked at first."""

import pytest

from reward_fns import verify

REASONING = "We look at the bar beside the other one and compare. " * 40


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("So it is yes.", "right"),
        ("So it is no.", "wrong"),
        ("I doubt that the answer is yes.", "no_answer"),
        ("The answer is yes? I doubt it.", "no_answer"),
        ("Bob says yes, but he is wrong.", "no_answer"),
    ],
)
def test_what_is_taken_back_near_the_end_of_a_long_response(end, status):
    assert verify(REASONING + end, "yes", "yes_no").status == status


def test_an_answer_far_from_the_end():
    assert verify(f"Yes. {REASONING}", "yes", "yes_no").status == "right"
    assert verify(f"The answer is yes. {REASONING}", "yes", "yes_no").status == "right"
    assert verify(f"{REASONING}\nI doubt that the answer is yes. {REASONING}", "yes", "yes_no").status == "no_answer"
