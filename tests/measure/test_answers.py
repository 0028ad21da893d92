"""Majority, distinct answers and stuckness, by hand and against brute force."""

import random
from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs_verl.measure.answers import distinct_answers, majority_at_k, stuck


def frame(*prompts):
    """A prompt is a string of answers: R right, a to z wrong, "-" none."""
    return pd.DataFrame(
        [
            {"row": row, "sample": number, "right": letter == "R", "extracted": None if letter == "-" else letter}
            for row, answers in enumerate(prompts)
            for number, letter in enumerate(answers)
        ]
    )


@pytest.mark.parametrize(
    ("answers", "k", "expected"),
    [
        ("RRab", 4, 1.0),
        ("Raab", 4, 0.0),
        ("Rabc", 4, 1 / 4),  # four answers once each: one is drawn
        ("RRaa", 4, 1 / 2),
        ("R---", 4, 1.0),  # no answer is no vote
        ("----", 4, 0.0),
        ("RaRR", 2, (1 / 2 + 1) / 2),  # blocks Ra and RR
        ("RaR", 2, 1 / 2),  # the third sample fills no block
        ("Ra", 1, 1 / 2),
    ],
)
def test_majority_by_hand(answers, k, expected):
    assert majority_at_k(frame(answers), k).tolist() == pytest.approx([expected])


def test_spelling_does_not_split_an_answer():
    votes = frame("abR")
    votes["extracted"] = [" North  west", "north west", "x = 4"]
    assert majority_at_k(votes, 3).tolist() == [0.0] and distinct_answers(votes).tolist() == [2]


@settings(max_examples=30)
@given(st.lists(st.text("Rab-", min_size=3, max_size=3), min_size=1, max_size=6))
def test_majority_of_all_samples_against_counting(prompts):
    expected = []
    for answers in prompts:
        counts = {letter: answers.count(letter) for letter in set(answers) - {"-"}}
        top = [letter for letter, count in counts.items() if count == max(counts.values())]
        expected.append(top.count("R") / len(top) if top else 0.0)
    assert majority_at_k(frame(*prompts), 3).tolist() == pytest.approx(expected)


def test_majority_at_k_is_unbiased():
    """Over many shuffles the blocks of two agree with all pairs: of RRab six pairs, RR 1, Ra Ra Rb Rb 1/2, ab 0."""
    pairs = [{"RR": 1.0, "Ra": 0.5, "Rb": 0.5, "ab": 0.0}["".join(pair)] for pair in combinations("RRab", 2)]
    generator = random.Random(0)
    shuffled = ["".join(generator.sample("RRab", 4)) for _ in range(2000)]
    assert majority_at_k(frame(*shuffled), 2).mean() == pytest.approx(sum(pairs) / 6, abs=0.02)


def test_too_few_samples():
    with pytest.raises(ValueError, match="majority@3 needs at least 3 responses per prompt, one has 2"):
        majority_at_k(frame("RR", "RRR"), 3)


def test_stuck_and_distinct_by_hand():
    answers = frame("aaaa", "aaab", "aaaR", "aaa-", "----", "RRRR")
    assert stuck(answers).tolist() == [True, False, False, False, False, False]
    assert distinct_answers(answers).tolist() == [1, 2, 2, 1, 0, 1]
    assert stuck(frame("a", "aa")).tolist() == [False, True]  # one sample cannot be stuck
