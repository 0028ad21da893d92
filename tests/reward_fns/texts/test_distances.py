"""Similarity of texts against hand-counted edits."""

import pytest

from reward_fns.texts.distances import contains, similarity, token_f1
from reward_fns.texts.normal import normalised


@pytest.mark.parametrize(
    ("one", "two", "edits"),
    [
        ("kitten", "sitting", 3),  # k->s, e->i, +g
        ("stop 24", "stop 25", 1),
        ("", "abc", 3),
        ("abc", "", 3),
        ("flaw", "lawn", 2),  # -f, +n
        ("ab", "ba", 2),  # a swap is two edits: no Damerau
        ("naïve", "naive", 1),  # characters, not bytes
    ],
)
def test_similarity_is_one_minus_edits_over_the_longer_length(one, two, edits):
    assert similarity(one, two) == pytest.approx(1 - edits / max(len(one), len(two)), abs=1e-12)
    assert similarity(two, one) == similarity(one, two)


def test_equal_and_empty_texts_are_the_same():
    assert similarity("abc", "abc") == similarity("", "") == 1.0


def test_token_f1_counts_words_with_multiplicity():
    # common: red, red -> 2 of 3 given and 2 of 4 wanted: 2 * 2 / (3 + 4)
    assert token_f1("red red blue", "red red red green") == pytest.approx(4 / 7)
    assert token_f1("a", "b") == token_f1("", "") == 0.0


def test_contains_asks_for_whole_words():
    assert contains("the red car", "red") == 1.0
    assert contains("the reduced car", "red") == 0.0


def test_texts_that_mean_the_same_are_spelt_the_same():
    assert normalised(r"The \text{Eiffel} Tower.") == normalised("eiffel   tower") == "eiffel tower"
    assert normalised("Tower", case_sensitive=True) == "Tower"
    assert normalised("The") == "the"  # nothing but an article is kept
