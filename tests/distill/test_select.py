"""Selection of pairs: duplicates, the bound on the length gap, and balance, each with its arithmetic."""

from collections import Counter

import pytest

from specs_verl.distill.select import Candidate, Selection, balanced, length_bounds, select, shares, within_length_gap
from specs_verl.errors import UserError


def candidate(row, source="a", pass_rate=0.5, corruption="no_tags", gap=0, prompt=None, image=None, length=100):
    identity = str(row).encode() if prompt is None else prompt
    return Candidate(row, source, pass_rate, corruption, length, gap, identity, image)


def test_the_first_of_equal_prompts_stays():
    rows = [candidate(0, prompt=b"p"), candidate(1, prompt=b"p"), candidate(2, prompt=b"q")]
    selected = select(rows, Selection(), seed=0)
    assert (selected.rows, selected.dropped["duplicates"]) == ({0, 2}, 1)
    assert select(rows, Selection(duplicates="keep"), seed=0).rows == {0, 1, 2}


def test_equal_images_count_as_duplicates_when_asked():
    rows = [candidate(0, image=b"i"), candidate(1, image=b"i"), candidate(2), candidate(3)]
    assert select(rows, Selection(duplicates="image"), seed=0).rows == {0, 2, 3}
    assert select(rows, Selection(duplicates="prompt"), seed=0).rows == {0, 1, 2, 3}


def test_the_length_gap_is_met_with_the_fewest_drops():
    # Gaps 30, 10, 0, 0: mean 10. Without the 30 the mean is 10 / 3 = 3.3, below the bound of 4.
    rows = [candidate(0, gap=10), candidate(1, gap=30), candidate(2), candidate(3)]
    assert [kept.row for kept in within_length_gap(rows, 4.0)] == [0, 2, 3]
    # Rejected longer than chosen: the same on the other side.
    rows = [candidate(0, gap=-10), candidate(1, gap=-30), candidate(2), candidate(3)]
    assert [kept.row for kept in within_length_gap(rows, 4.0)] == [0, 2, 3]


def test_the_length_gap_leaves_the_corruptions_even():
    # Ten pairs with gap 0 and ten with gap 8: mean 4. The zeros do not help, so only the others go: with k of them left
    # 8 k / (10 + k) <= 2 means k <= 3.
    rows = [candidate(i, corruption="no_tags") for i in range(10)]
    rows += [candidate(10 + i, corruption="answer_label", gap=8) for i in range(10)]
    assert Counter(kept.corruption for kept in within_length_gap(rows, 2.0)) == {"no_tags": 10, "answer_label": 3}
    # Where both kinds can be dropped from, both are: gaps 0 to 9 in each, mean 4.5; the largest go in turn until seven
    # are left in each, 2 * (0 + 1 + ... + 6) / 14 = 3.
    rows = [candidate(2 * i + j, corruption=("no_tags", "answer_label")[j], gap=i) for i in range(10) for j in range(2)]
    counts = Counter(kept.corruption for kept in within_length_gap(rows, 3.0))
    assert counts == {"no_tags": 7, "answer_label": 7}


def test_gaps_that_cancel_are_left_alone():
    rows = [candidate(0, gap=50), candidate(1, gap=-50)]
    assert within_length_gap(rows, 1.0) == rows


def test_shares_are_even_and_small_groups_give_what_they_have():
    # 10 over {3, 20, 20}: the small group gives its 3, the others 3 and 4 of the remaining 7.
    assert shares(10, {"x": 3, "y": 20, "z": 20}) == {"x": 3, "y": 3, "z": 4}
    assert shares(100, {"x": 3, "y": 4}) == {"x": 3, "y": 4}


def test_balance_over_source_pass_rate_and_corruption():
    kinds = ("no_tags", "no_think_tags")
    rows = [
        candidate(i, "big" if i < 900 else "small", 0.1 if i % 10 else 0.9, kinds[i // 10 % 2]) for i in range(1000)
    ]
    kept = balanced(rows, 120, seed=0)
    assert Counter(c.data_source for c in kept) == {"big": 60, "small": 60}
    # Of 100 rows of the small source 10 have a high pass rate; all are taken, the low ones fill up to 60.
    assert Counter(c.pass_rate for c in kept if c.data_source == "small") == {0.9: 10, 0.1: 50}
    assert Counter(c.pass_rate for c in kept if c.data_source == "big") == {0.9: 30, 0.1: 30}
    assert Counter(c.corruption for c in kept if c.data_source == "big") == {kinds[0]: 30, kinds[1]: 30}
    assert [c.row for c in kept] == sorted(c.row for c in kept)


def test_balance_over_length():
    # 90 short pairs and 210 long ones. The three ranges hold 100 each: the short ones and ten long ones (1090 to 1099),
    # then 1100 to 1199 and the rest. Of 30 pairs ten come from each range.
    rows = [candidate(i, length=i if i < 90 else 1000 + i) for i in range(300)]
    kept = balanced(rows, 30, seed=0)
    assert length_bounds(rows) == [1099, 1199]
    ranges = Counter((c.length > 1099) + (c.length > 1199) for c in kept)
    assert ranges == {0: 10, 1: 10, 2: 10}


def test_the_seed_decides_which_ones_stay():
    rows = [candidate(i) for i in range(100)]
    first, second, other = (tuple(c.row for c in balanced(rows, 10, seed)) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("wrong", [{"max_pairs": 0}, {"max_length_gap": 0.0}, {"duplicates": "some"}])
def test_wrong_selections_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Selection(**wrong)
