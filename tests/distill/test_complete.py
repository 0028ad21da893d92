r"""Format completion: where reasoning ends and answer begins."""

import pytest

from reward_fns import verify
from reward_fns.formats import think_answer
from specs_verl.distill.complete import complete


@pytest.mark.parametrize(
    ("response", "thought"),
    [
        (r"5+7=12. The answer is $\boxed{12}$", "5+7=12."),
        (r"<think> 5+7=12.</think> The answer is $\boxed{12}$", "5+7=12."),
        (r"5+7=12.<answer> The answer is $\boxed{12}$</answer>", "5+7=12."),
        (r"<think> 5+7=12. The answer is $\boxed{12}$</think>", "5+7=12."),
        (r"<think> 5+7=12.</think> Answer: The answer is $\boxed{12}$", "5+7=12."),
        (r"<think> 5+7=12.</think><answer> The answer is $\boxed{12}$", "5+7=12."),
        ("First five. Then seven more.\nAnswer: 12", "First five. Then seven more."),
        ("Five and seven; so 12", "Five and seven;"),
        ("Five and seven. The answer is 12.", "Five and seven."),
    ],
)
def test_the_reasoning_is_what_comes_before_the_final_statement(response, thought):
    completed = complete(response, "12")
    assert completed == rf"<think> {thought}</think><answer> The answer is $\boxed{{12}}$</answer>"
    assert think_answer(completed)
    assert verify(completed, "12", "number").status == "right"


def test_the_full_stop_of_the_sentence_is_no_part_of_the_answer():
    completed = complete("a square; b circle. The answer is SC.", "SC.")
    assert completed == r"<think> a square; b circle.</think><answer> The answer is $\boxed{SC}$</answer>"


def test_a_well_formed_response_stays_as_it_is():
    whole = "<think>a</think>\n<answer>b</answer>"
    assert complete(whole + "\n", "b") == whole


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        ("12", "12"),
        (r"\boxed{12}", "12"),
        ("<answer>12</answer>", "12"),
        ("5+7=12", None),
        ("", ""),
        ("a < b", "<think>"),
    ],
)
def test_without_reasoning_or_answer_nothing_is_invented(response, extracted):
    assert complete(response, extracted) is None
