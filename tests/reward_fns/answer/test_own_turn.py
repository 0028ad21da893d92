"""Where a base model's own turn ends, and that finding it costs one look at every character."""

import pytest

from reward_fns.answer import places
from reward_fns.answer.places import own_turn

ANSWERED = "3 + 4 = 7, so the answer is 7."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{ANSWERED}\n\nQuestion: 8 + 8? The answer is 16.", ANSWERED + "\n"),
        ("\\boxed{7}\nQ: 1+1?\nA: 2\nQ: 2+2? The answer is 4.", "\\boxed{7}"),
        ("no answer yet\n\nQuestion: what?\nstill none", None),
        # the question comes first: nothing was answered before it
        (f"\n\nQuestion: 3 + 4?\n{ANSWERED}\n\nQuestion: 1?\nThe answer is 1.", f"\n\nQuestion: 3 + 4?\n{ANSWERED}\n"),
        (f"{ANSWERED}<|im_end|>\nThe answer is 9.", ANSWERED),
        (f" \n<|im_end|>{ANSWERED}", None),
    ],
)
def test_the_own_turn(text, kept):
    assert own_turn(text) == (text if kept is None else kept)


@pytest.mark.parametrize("unit", ["\n\nQuestion: ", "\n\nQuestion: what is it", "\nQ1. a\n"])
def test_every_character_is_read_once_however_many_questions_follow(unit, monkeypatch):
    """320,000 characters; reading all that came before each of the questions would be thousands of times as many."""
    read = 0

    def counting(function):
        def count(text):
            nonlocal read
            read += len(text)
            return function(text)

        return count

    for name in ("last_box", "phrase"):
        monkeypatch.setattr(places, name, counting(getattr(places, name)))
    text = unit * (320_000 // len(unit))
    assert own_turn(text) == text
    assert 0 < read <= 2 * len(text)  # once for boxes, once for announcements
