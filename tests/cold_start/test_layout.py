"""Index arithmetic of packed rows, against a row written out by hand."""

import numpy as np

from specs_verl.cold_start.layout import Group, Layout

# rows:      0 1 2 | 3 4 | 5      | 6 7 | 8 9 10
# meaning:   prompt| C1  | R1     | P'  | C2
LAYOUT = Layout((Group(3, (2, 1)), Group(2, (3,))))


def test_length():
    assert LAYOUT.length == 11


def test_segments():
    (first, second), (third,) = LAYOUT.segments
    assert (first.prompt_start, first.prompt_length, first.start, first.length) == (0, 3, 3, 2)
    assert (second.prompt_start, second.prompt_length, second.start, second.length) == (0, 3, 5, 1)
    assert (third.prompt_start, third.prompt_length, third.start, third.length) == (6, 2, 8, 3)


def test_branch_tokens_and_the_rows_that_predict_them():
    assert LAYOUT.branch_rows().tolist() == [3, 4, 5, 8, 9, 10]
    # the last prompt row (2) predicts the first token of both branches
    assert LAYOUT.logit_rows().tolist() == [2, 3, 2, 7, 8, 9]
    assert LAYOUT.branch_lengths() == [2, 1, 3]


def test_positions_restart_behind_the_prompt():
    # the first prompt holds an image: its three axes differ and its largest position is 4
    first = np.array([[0, 1, 1], [0, 1, 2], [0, 1, 4]])
    second = np.array([[0, 1]] * 3)
    positions = LAYOUT.positions([first, second])
    assert positions[0].tolist() == [0, 1, 1, 5, 6, 5, 0, 1, 2, 3, 4]
    assert positions[2].tolist() == [0, 1, 4, 5, 6, 5, 0, 1, 2, 3, 4]
