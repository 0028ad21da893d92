"""Sentences: the quick pattern for ASCII text finds the ends that the general one finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reward_fns.answer.sentences import NEAR_END, SENTENCE_END, last_sentences, split_sentences

PARTS = [
    "A.",
    "- B.",
    "*",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "It is B.",
    "x = 2.5",
    "so!",
    "what?",
    "(",
    "$",
    '"',
    "a",
    ".",
]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_ascii_text_is_split_as_any_text_is(text):
    assert split_sentences(text) == [part.strip() for part in SENTENCE_END.split(text) if part.strip()]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*PARTS, "y" * (NEAR_END // 3)]), max_size=200).map("".join), st.integers(1, 40))
def test_the_last_sentences_are_found_from_the_end(text, count):
    assert list(last_sentences(text, count)) == split_sentences(text)[-count:][::-1]


def test_where_sentences_end():
    assert split_sentences("So x = 2.5 cm. It is B.\nDone") == ["So x = 2.5 cm.", "It is B.", "Done"]
    assert split_sentences("A. 12 cm is right. \n- B. Both") == ["A. 12 cm is right.", "- B. Both"]
    assert split_sentences("答案是A。对") == ["答案是A。", "对"]
