"""A pattern that is quick where it is not found finds what `re.IGNORECASE` finds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_fns.answer.caseless import Caseless

PATTERNS = [
    r"\b(?:is|equals?|Not)\b",
    r"(?P<Word>[A-Z]{2,})\W+\S",
    r"no\s+(?![Dd]oubt)\w+|\bΣ\b|K",
    r"(?s)a.\Z",
    # not written in small letters: a cased part, a letter by its number, a group read again
    r"(?-i:A)b",
    r"\x41b|\u0042",
    r"(?P<letter>[ab])(?P=letter)|(c)\2",
]


def spans(matches):
    return [(match.span(), match.groups()) for match in matches]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="aAbBcCdDeEiIkKKlLnNoOqQsSſtTuUwWΣσς \n.", max_size=30), start=st.integers(0, 5))
def test_it_finds_the_same(pattern, text, start):
    plain, quick = re.compile(pattern, re.IGNORECASE), Caseless(pattern)
    assert spans(quick.finditer(text)) == spans(plain.finditer(text))
    assert quick.sub("<>", text) == plain.sub("<>", text)
    for span in ((), (start,), (start, start + 4)):
        found, expected = quick.search(text, *span), plain.search(text, *span)
        assert (found and found.span()) == (expected and expected.span())


def test_most_texts_are_decided_in_small_letters():
    quick = Caseless(r"\bIs\b")
    quick._compiled = None  # would be searched for a match
    assert quick.search("THE AREA") is None and quick.sub("x", "THE AREA") == "THE AREA"
