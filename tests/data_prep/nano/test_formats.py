"""Forms comply with themselves only; slips and corruptions are no form; near misses fail; graders read every form."""

import random

import pytest

from data_prep.nano.corpus import HASTY_PHRASES
from data_prep.nano.data import verifier_of
from data_prep.nano.formats import (
    CORRUPTIONS,
    FAMILIES,
    THINK_ANSWER,
    Form,
    Slip,
    complies,
    draw_format,
    parse,
    prompt,
    respond,
)
from data_prep.nano.names import DRILLED, TEST_NAMES, unseen
from data_prep.nano.questions import TASKS, ask, solve
from reward_fns import verify

STEPS = ["d4; e7=11; f3=14.", "g circle; h square=CS; i square=CSS. So CCC.", *HASTY_PHRASES]
BOX, JSON = Form("notes", "output"), Form("notes", "output", "json")
PLAIN, TURNED = Form("notes", "output", "plain"), Form("notes", "output", "box", answer_first=True)
FORMS = (THINK_ANSWER, BOX, PLAIN, JSON, TURNED, Form("output", "notes"), Form("item_list", "main_page"))


def test_forms_as_they_are_written():
    steps = "a=1."
    assert respond(THINK_ANSWER, steps, "12") == r"<think> a=1.</think><answer> The answer is $\boxed{12}$</answer>"
    assert respond(PLAIN, steps, "12") == "<notes> a=1.</notes><output> 12</output>"
    assert respond(JSON, steps, "12") == '<notes> a=1.</notes><output> {"value": "12"}</output>'
    assert respond(TURNED, steps, "12") == r"<output> The answer is $\boxed{12}$</output><notes> a=1.</notes>"


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("answer", ["14", "CST", "0"])
def test_each_form_complies_with_itself_only(steps, answer):
    for written in FORMS:
        text = respond(written, steps, answer)
        assert [asked for asked in FORMS if complies(asked, text)] == [written]
        assert [asked for asked in FORMS if complies(asked, f"\n{text} ")] == [written]


ALL_SLIPS = [
    Slip(reason, answer, wrap, reason_first)
    for reason in ("kept", "dropped", "late")
    for answer in ("kept", "dropped", "label")
    for wrap in (None, "box")
    for reason_first in (False, True)
]


@pytest.mark.parametrize("steps", STEPS)
def test_a_form_with_a_slip_is_no_form_of_the_evaluation(steps):
    """Else training against slips would train against an out-of-distribution format, or obeying would be a slip."""
    for written in FORMS:
        for slip in ALL_SLIPS:
            text = respond(written, steps, "14", slip)
            obeyed = [asked for asked in FORMS if complies(asked, text)]
            if slip.reason == slip.answer == "kept":
                # Both blocks stand: at most the wrapper or the order is another one, which is then another form.
                assert len(obeyed) == 1 and (obeyed == [written]) == (text == respond(written, steps, "14"))
            else:
                assert obeyed == [], text


def corruptions(text: str) -> list[str]:
    """The five of Metis-SPECS, applied to a response in think_answer form."""
    no_think = text.replace("<think>", "").replace("</think>", "")
    no_answer = text.replace("<answer>", "").replace("</answer>", "")
    return [
        no_think.replace("<answer>", "").replace("</answer>", ""),
        no_answer,
        no_think,
        no_answer.replace("</think>", "") + "</think>",
        text.replace("<answer>", "Answer:").replace("</answer>", ""),
    ]


@pytest.mark.parametrize("steps", STEPS)
def test_slips_of_think_answer_are_the_corruptions(steps):
    whole = respond(THINK_ANSWER, steps, "14")
    written = [respond(THINK_ANSWER, steps, "14", slip) for slip in CORRUPTIONS]
    # White space aside: between two blocks there is none, between a block and plain text there is one space.
    assert ["".join(text.split()) for text in written] == ["".join(text.split()) for text in corruptions(whole)]


@pytest.mark.parametrize("steps", STEPS)
def test_corruptions_comply_with_no_format(steps):
    rng = random.Random(0)
    asked = [*FORMS, *(draw_format(family, rng) for family in FAMILIES for _ in range(20))]
    for text in corruptions(respond(THINK_ANSWER, steps, "14")):
        assert not any(complies(form, text) for form in asked), text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (BOX, ""),
        (BOX, r"<notes> a</notes><output> \boxed{}</output>"),
        (BOX, r"<notes> </notes><output> \boxed{1}</output>"),
        (BOX, r"<notes> a</notes><output> \boxed{1} \boxed{2}</output>"),
        (BOX, r"<notes> a</notes><output> 1</output>"),
        (BOX, r"<notes> a</notes> so <output> \boxed{1}</output>"),
        (BOX, r"<notes> a</notes><output> \boxed{1}</output> Done."),
        (BOX, r"<notes> a</notes><output> \boxed{1}</output><output> \boxed{1}</output>"),
        (BOX, r"<notes> <notes> a</notes><output> \boxed{1}</output>"),
        (BOX, r"<notes> a</note><output> \boxed{1}</output>"),
        (BOX, r"<output> \boxed{1}</output><notes> a</notes>"),
        (TURNED, r"<notes> a</notes><output> \boxed{1}</output>"),
        (PLAIN, "<notes> a</notes><output> The answer is 1</output>"),
        (PLAIN, '<notes> a</notes><output> {"value": "1"}</output>'),
        (JSON, '<notes> a</notes><output> "1"</output>'),
        (JSON, '<notes> a</notes><output> ["value"]</output>'),
        (JSON, '<notes> a</notes><output> {"value": true}</output>'),
        (JSON, '<notes> a</notes><output> {"value": ""}</output>'),
        (JSON, '<notes> a</notes><output> {"value": "1", "value": "2"}</output>'),
        (JSON, '<notes> a</notes><output> {"answer": "1"}</output>'),
        (JSON, '<notes> a</notes><output> {"value": "1"} so</output>'),
        (JSON, "<notes> a</notes><output> " + "[" * 1900 + "</output>"),
        (PLAIN, "<notes> " + "a" * 3000 + "</notes><output> 1</output>"),
    ],
)
def test_near_misses_do_not_comply(form, text):
    assert not complies(form, text)


def test_near_misses_are_near():
    assert complies(BOX, r"<notes> a</notes> <output> \boxed{1}</output>")
    assert complies(PLAIN, "<notes> " + "a" * 300 + "</notes><output> 1</output>")
    assert complies(JSON, '<notes> a</notes><output> {"value": 1}</output>')


@pytest.mark.parametrize("key", ["", "json", "json:output", "json:notes:notes", "json:a b:c", "xml:notes:output",
                                 "json:notes:output:", "json:(a+)+:b", "json:a_b_c:d"])  # fmt: skip
def test_a_name_of_no_form_is_an_error(key):
    with pytest.raises(ValueError, match="no output format"):
        complies(key, "text")


def test_names_stand_for_forms():
    names = ["think_answer", "test_names:notes:output", "plain:notes:output", "json:notes:output",
             "answer_first:notes:output", "drilled_names:output:notes", "unseen_names:item_list:main_page"]  # fmt: skip
    assert [parse(name) for name in names] == list(FORMS)
    assert complies("json:notes:output", respond(JSON, "a", "1")) and not complies("plain:a:b", respond(JSON, "a", "1"))


def test_families_ask_for_what_they_are_named_after():
    rng = random.Random(1)
    for family in FAMILIES:
        for _ in range(50):
            form = parse(draw_format(family, rng))
            names = {form.reason, form.answer}
            assert len(names) == 2 and "think" not in names and "answer" not in names
            assert form.wrap == (family if family in ("plain", "json") else "box")
            assert form.answer_first == (family == "answer_first")
            if family == "drilled_names":
                assert names <= set(DRILLED)
            elif family == "unseen_names":
                assert all(unseen(name) and "_" in name for name in names)
            else:
                assert names <= set(TEST_NAMES)


@pytest.mark.parametrize("family", ["think_answer", *FAMILIES])
@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_read_out_of_every_form(task, family):
    rng = random.Random(f"{task} {family}")
    verifier, params = verifier_of(task)
    for _ in range(10):
        form = THINK_ANSWER if family == "think_answer" else parse(draw_format(family, rng))
        question, other = ask(task, rng), ask(task, rng)
        steps = solve(question.query, question.scene.cells).steps
        for text in (steps, rng.choice(HASTY_PHRASES)):
            for answer in (question.answer, other.answer):
                verdict = verify(respond(form, text, answer), question.answer, verifier, **params)
                assert (verdict.status == "right") == (answer == question.answer), (text, answer, verdict)


def test_prompt_has_one_image_first_and_names_all_that_is_asked():
    for form in FORMS:
        text = prompt("Multiply a by b.", form)
        assert text.startswith("<image>Multiply a by b. ") and text.count("<image>") == 1
        places = [text.index(f"<{name}> </{name}>") for name in (form.reason, form.answer)]
        assert (places[0] < places[1]) != form.answer_first
    assert prompt("Why?", JSON) == "<image>Why? Reason in <notes> </notes>, then put JSON in <output> </output>."
