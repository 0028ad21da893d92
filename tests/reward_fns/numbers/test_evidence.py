"""Every row of the table of evidence decides a sentence of its own: with its points taken away, another number wins."""

import pytest

from reward_fns.numbers import evidence
from reward_fns.numbers.evidence import AROUND, BEFORE
from reward_fns.numbers.quantities import best

# the beginning of a row's reason, a sentence that this row decides, its quantity
DECIDED = [
    ("a condition", "There are 8 when n = 3", 8),
    ("what a division", "He made 4 groups, with 2 dots in each group", 2),
    ("an equation ends here", "2 + 3 = 5, 9", 5),
    ("a conclusion", "So 8 hours is 3 more", 8),
    ("a statement", "There are 8 apples, 3 pears", 8),
    ("named by", "Hours: 8, 12", 8),
    ("part of", "3 of the 12 boys", 3),
    ("a colon after", "So 6 children, and the number is: 851", 851),
    ("details after", "There are 7 people: there are 4 men", 7),
    ("one side of", "There are 8 birds and there are 3 more birds than cats", 8),
    ("called the result", "There are 8 in total, it costs 3", 8),
    ("the subject", "8 is the number, there are 3 left", 8),
    ("an example", "There are 2 odd numbers, namely x = 3", 2),
    ("in a relative clause", "There are 8 children who have 2 pets", 8),
    ("the author", "There are **8** apples, it costs 3", 8),
    ("in parentheses", "There are 8 apples (there are 3 pears)", 8),
]


def row_of(reason):
    (row,) = [row for row in (*BEFORE, *AROUND) if row.reason.startswith(reason)]
    return row


@pytest.mark.parametrize(("reason", "sentence", "value"), DECIDED)
def test_the_row_finds_the_quantity(reason, sentence, value):
    assert best(sentence).value == value


def test_rows_that_need_no_sentence_of_their_own_are_the_only_ones_without():
    named = {row_of(reason) for reason, _, _ in DECIDED}
    rest = {row.reason.split(":")[0] for row in {*BEFORE, *AROUND} - named}
    assert rest == {
        "an equation ends inside the mathematics",
        "a year that is asked for",
        "digits before words, when nothing else decides",
    }


@pytest.mark.parametrize(("reason", "sentence", "value"), DECIDED)
def test_without_the_row_another_number_wins(reason, sentence, value, monkeypatch):
    gone = row_of(reason)
    for name in ("BEFORE", "AROUND"):
        monkeypatch.setattr(evidence, name, tuple(row for row in getattr(evidence, name) if row is not gone))
    assert best.__wrapped__(sentence).value != value  # past the cache


def test_a_year_counts_where_it_is_asked_for():
    assert best("In the year 1969 there were 3 men", year=True).value == 1969
    assert best("In the year 1969 there were 3 men").value == 3
