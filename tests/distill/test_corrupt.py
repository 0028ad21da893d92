r"""The five corruptions: exact texts, lost form, kept answer; and the balance of the draw."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_fns import verify
from reward_fns.formats import think_answer
from specs_verl.distill.corrupt import KINDS, BalancedDraw, blocks, corrupt
from specs_verl.distill.pair import body_length

WHOLE = r"<think> 5+7=12.</think><answer> The answer is $\boxed{12}$</answer>"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no_tags", r"5+7=12. The answer is $\boxed{12}$"),
        ("no_answer_tags", r"<think> 5+7=12.</think> The answer is $\boxed{12}$"),
        ("no_think_tags", r"5+7=12.<answer> The answer is $\boxed{12}$</answer>"),
        ("think_closed_late", r"<think> 5+7=12. The answer is $\boxed{12}$</think>"),
        ("answer_label", r"<think> 5+7=12.</think> Answer: The answer is $\boxed{12}$"),
    ],
)
def test_each_corruption_writes_exactly_this(kind, expected):
    assert corrupt(WHOLE, kind) == expected


def test_white_space_between_the_blocks_is_kept():
    text = "<think>\nfive and seven\n</think>\n\n<answer>\n$\\boxed{12}$\n</answer>"
    assert corrupt(text, "no_tags") == "five and seven\n\n$\\boxed{12}$"
    assert corrupt(text, "think_closed_late") == "<think>\nfive and seven\n\n$\\boxed{12}$\n</think>"


def test_blocks_keeps_the_inside_of_the_tags_as_it_is():
    parts = blocks("  " + WHOLE + "\n")
    assert (parts.thought, parts.between, parts.answer) == (" 5+7=12.", "", r" The answer is $\boxed{12}$")


@pytest.mark.parametrize("text", ["12", "<think>a</think>", "<answer>a</answer><think>b</think>", ""])
def test_only_well_formed_responses_can_be_corrupted(text):
    with pytest.raises(ValueError, match="not a think block"):
        corrupt(text, "no_tags")


def test_an_unknown_corruption_is_named():
    with pytest.raises(ValueError, match=r"'sideways'.*no_tags"):
        corrupt(WHOLE, "sideways")


# Anything a model may write between its tags, except the tags themselves and what states or denies an answer.
denies = re.compile(r"(?i)\b(?:false|wrong|incorrect|no|not|never)\b")
reasoning = (
    st.text(st.characters(exclude_characters="<>\\$", exclude_categories=["Cs"]), min_size=1)
    .filter(str.strip)
    .filter(lambda text: not denies.search(text))
)


@given(reasoning, st.sampled_from(["", " ", "\n", "\n\n"]), st.integers(0, 999))
def test_every_corruption_loses_the_form_and_keeps_the_answer(thought, between, value):
    whole = rf"<think>{thought}</think>{between}<answer> The answer is $\boxed{{{value}}}$ </answer>"
    assert think_answer(whole)
    for kind in KINDS:
        text = corrupt(whole, kind)
        assert not think_answer(text), kind
        assert verify(text, str(value), "number").status == "right", kind


def test_the_draw_is_balanced_and_random():
    draw, order = BalancedDraw(seed=3), []
    for _ in range(1000):
        kind = draw.order()[0]
        draw.took(kind)
        order.append(kind)
    # 1000 draws over 5 kinds, always the rarest first: exactly 200 each.
    assert Counter(order) == dict.fromkeys(KINDS, 200)
    assert order[:10] != order[5:15], "the order of the kinds must not repeat"


def test_the_draw_makes_up_for_kinds_that_did_not_fit():
    draw = BalancedDraw(seed=0)
    for _ in range(3):
        draw.took("no_tags")
    assert draw.order()[-1] == "no_tags"


def test_the_same_seed_draws_the_same_kinds():
    first, second, other = (BalancedDraw(seed) for seed in (5, 5, 6))
    sequence = [[draw.order() for _ in range(20)] for draw in (first, second, other)]
    assert sequence[0] == sequence[1] != sequence[2]


def test_a_corruption_changes_no_length_but_that_of_the_form():
    # "5+7=12." and "The answer is $\boxed{12}$": 7 + 26 characters; the blank between them depends on the corruption.
    for text in (WHOLE, *(corrupt(WHOLE, kind) for kind in KINDS)):
        assert 33 <= body_length(text) <= 34
