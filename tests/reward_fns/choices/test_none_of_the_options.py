r"""A box or an answer block that is none of the options is wrong, and nothing else in the text is read in its place.

Random questions against random boxes. Within a family no two texts are equal in value, so a box that holds none of a
question's options is right for none of its letters; one that holds an option is right for that letter alone.
"""

import random

import pytest

from reward_fns import verify

FAMILIES = {
    "numbers": [str(n) for n in (*range(2, 20), 25, 36, 48, 60, 72, 90, 100, 120, 144, 360)],
    "lengths": [f"{n} cm" for n in range(2, 40)],
    "decimals": [f"{n}.{d}" for n in range(0, 9) for d in (11, 93)],
    "words": ["red", "blue", "green", "yellow", "circle", "square", "triangle", "Paris", "London", "Monday", "Friday"],
    "phrases": ["it increases", "it decreases", "both fall", "a plant cell", "an animal cell", "the left bar", "water"],
    "fractions": [r"\frac{1}{2}", r"\frac{1}{3}", r"\frac{2}{3}", r"\frac{3}{4}", r"\frac{5}{7}", r"\frac{9}{8}"],
    "roots": [r"\sqrt{2}", r"2\sqrt{3}", r"2-\sqrt{3}", r"3\sqrt{5}", r"\sqrt{7}", r"5+\sqrt{6}"],
    "terms": ["x+1", "x-1", "2x", "x^2", "3x+2", "x^2-1", "5x"],
}
BEFORE = (
    "",
    "We look at (A), (B), (C) and (D) in turn. ",
    "Option B looks right at first, and so does C. ",
    "The answer might be A. Let us see. ",
    "A. is out. The second option is near. ",
)
FORMS = ("\\boxed{{{}}}", "So it is $\\boxed{{{}}}$.", "<answer>{}</answer>", "<answer>\\boxed{{{}}}</answer>")
LETTERS = "ABCDE"
QUESTIONS = 700


def drawn(seed):
    """(options, box, response), reproducibly; the box is of any family."""
    rng = random.Random(seed)
    for _ in range(QUESTIONS):
        family = FAMILIES[rng.choice(sorted(FAMILIES))]
        options = rng.sample(family, rng.randint(3, 5))
        box = rng.choice(FAMILIES[rng.choice(sorted(FAMILIES))] if rng.random() < 0.5 else family)
        yield options, box, rng.choice(BEFORE) + rng.choice(FORMS).format(box)


def bare(text):
    """Whether 12 and 12 cm are of one value depends on who reads; they are not compared here."""
    return text.split(" ")[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_box_is_right_for_the_option_that_it_is_and_for_no_other(seed):
    failed, held = [], 0
    for options, box, response in drawn(seed):
        right = [
            letter
            for letter in LETTERS[: len(options)]
            if verify(response, letter, "choice", options=options).status == "right"
        ]
        if box in options:
            held += 1
            expected = [LETTERS[options.index(box)]]
        elif bare(box) in map(bare, options):
            continue
        else:
            expected = []
        if right != expected:
            failed.append((options, response, right, expected))
    assert not failed, f"{len(failed)} of {QUESTIONS}: {failed[:8]}"
    assert held > QUESTIONS / 20
