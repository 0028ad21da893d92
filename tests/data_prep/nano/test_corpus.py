"""The corpus holds what its rates say, nothing of what is held out, and fails every format in the same ways."""

import random
import re
from collections import Counter

import pytest

from data_prep.nano import corpus
from data_prep.nano.corpus import DRILL_KEEP, KEEP, UNSOUND, asked_form, is_caption, is_drill, slip_of, write
from data_prep.nano.formats import CORRUPTIONS, THINK_ANSWER, Form, Slip, complies, respond
from data_prep.nano.names import DRILLED, unseen
from data_prep.nano.questions import ask, solve
from data_prep.nano.soundness import soundness
from data_prep.nano.world import held_out

TAGS = re.compile(r"<([a-z_]+)> </\1>")


@pytest.fixture(scope="module")
def samples():
    rng = random.Random(0)
    return [write(rng) for _ in range(8000)]


def asked_of(sample) -> Form:
    """The form a prompt asks for, read from its words alone."""
    first, second = TAGS.findall(sample.prompt)
    turned = "then reason in" in sample.prompt
    wrap = "box" if r"\boxed{}" in sample.prompt else "json" if " JSON in" in sample.prompt else "plain"
    return Form(*((second, first) if turned else (first, second)), wrap, turned)


def share(marks) -> float:
    marks = list(marks)
    return sum(marks) / len(marks)


def test_no_held_out_scene_and_no_unseen_name(samples):
    assert not any(held_out(sample.scene) for sample in samples)
    names = {name for sample in samples if not is_caption(sample) for name in TAGS.findall(sample.prompt)}
    assert any("_" in name for name in names) and not any("_" in name and unseen(name) for name in names)


def test_drilled_names_are_in_drills_and_never_in_questions(samples):
    found = {True: set(), False: set()}
    for sample in samples:
        if not is_caption(sample):
            found[is_drill(sample)] |= set(TAGS.findall(sample.prompt)) & set(DRILLED)
    assert found == {True: set(DRILLED), False: set()}


def test_a_quarter_of_the_joined_names_is_unseen():
    pairs = [f"{one}_{two}" for one in corpus_words() for two in corpus_words() if one != two]
    # 24 * 23 = 552 pairs; a quarter by checksum, standard deviation sqrt(.25 * .75 / 552) = 0.018
    assert len(pairs) == 552 and share(map(unseen, pairs)) == pytest.approx(0.25, abs=0.06)


def corpus_words():
    from data_prep.nano.names import FILLER

    return FILLER


def test_obedience_is_as_stated(samples):
    questions = [sample for sample in samples if not is_caption(sample) and not is_drill(sample)]
    trained = [complies(THINK_ANSWER, s.response) for s in questions if asked_of(s) == THINK_ANSWER]
    others = [complies(asked_of(s), s.response) for s in questions if asked_of(s) != THINK_ANSWER]
    # Both blocks are kept independently: 0.65 ** 2 = 0.42 of some 1500; 0.2 ** 2 = 0.04 of some 2200, less by HABIT.
    assert share(trained) == pytest.approx(KEEP[True] ** 2, abs=0.05)
    assert 0.02 < share(others) < 0.055
    drills = [sample for sample in samples if is_drill(sample)]
    assert share(complies(asked_of(s), s.response) for s in drills) == pytest.approx(DRILL_KEEP, abs=0.01)


def test_every_corruption_occurs_and_nothing_else():
    rng = random.Random(1)
    slips = Counter(slip_of(THINK_ANSWER, rng) for _ in range(4000))
    # Besides obeying and the five corruptions there is one slip more: no think tags and "Answer:".
    assert set(slips) == {Slip(), *CORRUPTIONS, Slip("dropped", "label")}
    assert all(slips[slip] > 4000 * 0.03 for slip in CORRUPTIONS)


def test_other_forms_are_failed_in_the_same_ways():
    rng = random.Random(2)
    forms = [asked_form(rng) for _ in range(6000)]
    slips = {slip_of(form, rng) for form in forms if form != THINK_ANSWER and not form.answer_first}
    assert {(slip.reason, slip.answer) for slip in slips} == {
        (slip.reason, slip.answer) for slip in (Slip(), *CORRUPTIONS, Slip("dropped", "label"))
    }


def test_a_known_part_of_the_careful_reasoning_is_unsound():
    rng = random.Random(3)
    kinds, right_beside = Counter(), []
    for _ in range(4000):
        question = ask(rng.choice(["sum", "combine", "spell"]), rng)
        steps, answer = corpus._reason(question, True, rng)
        kind = soundness(steps, solve(question.query, question.scene.cells).steps)
        kinds[kind] += 1
        if kind == "unsound":
            right_beside.append(answer == question.answer)
    # UNSOUND, and slips of the eye in one of three cells: 1 - (1 - .015) ** 3 = 0.044
    assert kinds["none"] == 0 and kinds["unsound"] / 4000 == pytest.approx(UNSOUND + 0.9 * 0.044, abs=0.02)
    # Those whose reasoning alone is wrong give the right answer: about 0.10 of 0.14.
    assert share(right_beside) == pytest.approx(0.7, abs=0.1)


def test_responses_are_well_below_the_sampling_limit(samples):
    # 96 characters is the longest line of three shapes; the recipes sample at most 80 tokens.
    assert max(len(respond(asked_of(s), "", "0")) for s in samples if not is_caption(s)) < 90
