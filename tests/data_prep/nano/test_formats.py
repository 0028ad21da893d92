"""Every format complies with itself only; corruptions of think_answer are no OOD format; graders read every dress."""

import random

import pytest

from data_prep.nano.corpus import HASTY_PHRASES, OBEDIENCE, is_caption, write
from data_prep.nano.data import verifier_of
from data_prep.nano.formats import DEFECTS, FORMATS, INSTRUCTIONS, OOD, complies, dress, prompt
from data_prep.nano.questions import TASKS, ask, solve
from data_prep.nano.world import held_out
from reward_fns import verify

STEPS = ["d4; e7=11; f3=14.", "g green; h red=GR; i yellow=GRY.", *HASTY_PHRASES]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("answer", ["14", "GRY", "0"])
def test_each_format_complies_with_itself_only(steps, answer):
    for written in (*FORMATS, *DEFECTS):
        text = dress(written, steps, answer)
        assert [asked for asked in FORMATS if complies(asked, text)] == ([written] if written in FORMATS else [])
        assert [asked for asked in FORMATS if complies(asked, f"\n{text} ")] == (
            [written] if written in FORMATS else []
        )


def test_think_answer_is_written_as_in_the_paper():
    assert dress("think_answer", "a=1.", "12") == r"<think> a=1.</think><answer> The answer is $\boxed{12}$</answer>"


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
def test_corruptions_comply_with_no_format(steps):
    for text in corruptions(dress("think_answer", steps, "14")):
        assert not any(complies(form, text) for form in FORMATS), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{",
        '{"think": "a"}',
        '{"think": "a", "answer": "1"} so',
        "Answer:",
        "Answer: 1 2",
        "The answer is 14",
    ],
)
def test_near_misses_comply_with_nothing(text):
    assert not any(complies(form, text) for form in FORMATS)


@pytest.mark.parametrize("form", (*FORMATS, *DEFECTS))
@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_read_out_of_every_dress(task, form):
    rng = random.Random(f"{task} {form}")
    verifier, params = verifier_of(task)
    for _ in range(10):
        question, other = ask(task, rng), ask(task, rng)
        steps = solve(question.query, question.scene.cells).steps
        for text in (steps, rng.choice(HASTY_PHRASES)):
            for answer in (question.answer, other.answer):
                verdict = verify(dress(form, text, answer), question.answer, verifier, **params)
                assert (verdict.status == "right") == (answer == question.answer), (text, answer, verdict)


def test_prompt_has_one_image_first_and_the_instruction_last():
    for form in FORMATS:
        text = prompt("Multiply a by b.", form)
        assert text.startswith("<image>Multiply") and text.count("<image>") == 1 and text.endswith(INSTRUCTIONS[form])


def test_corpus_has_the_stated_obedience_and_no_held_out_scene():
    rng = random.Random(0)
    samples = [s for s in (write(rng) for _ in range(6000)) if not is_caption(s)]
    assert not any(held_out(s.scene) for s in samples)
    for form in FORMATS:
        asked = [s for s in samples if s.prompt.endswith(INSTRUCTIONS[form])]
        share = sum(complies(form, s.response) for s in asked) / len(asked)
        # About 500 samples per OOD format: standard deviation 0.02.
        assert share == pytest.approx(OBEDIENCE[form], abs=0.08)
    assert set(OBEDIENCE) == {"think_answer", *OOD}
