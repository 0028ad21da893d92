"""Every format: what it writes it reads back whatever the answer is, and near misses are no compliance."""

import json
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_prep.nano.formats import FAMILIES, draw_format
from specs_verl.formats.output_format import LONGEST
from specs_verl.formats.registry import FORMATS

ANSWERS = ["12", "-3.5", r"\frac{1}{2}", "(2, 3)", "north-west corner", "x < 3 and y > 4", "A", "12 %", "0.5.", "日本"]
STEPS = "First I look at the picture: 2 + 2 makes 4.\nThen I compare it (a < b), 50% of all."


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_written_is_read(name, answer):
    assert FORMATS[name].read(FORMATS[name].write(STEPS, answer)) == answer


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_is_taken_for_another(name):
    """Nor is the trained one, nor the trained one around it: a habit must not pass for obedience."""
    text = FORMATS[name].write(STEPS, "12")
    assert [other for other in FORMATS if FORMATS[other].complies(text)] == [name]
    trained = r"<think> 2 + 2 </think><answer> The answer is $\boxed{12}$</answer>"
    assert not FORMATS[name].complies(trained)
    assert not FORMATS[name].complies(f"<think> {STEPS} </think>{text}")


@pytest.mark.parametrize("name", FORMATS)
def test_what_every_format_refuses(name):
    form = FORMATS[name]
    for text in ("", "12", " \n", form.write(" ", "12"), form.write(STEPS, " ")):
        assert not form.complies(text), text
    if name != "answer_first":  # there the reasoning comes last
        assert not form.complies(form.write(STEPS, "12") + "\nDone.")
    assert not form.complies(form.write("x " * LONGEST, "12"))
    assert form.complies("\n " + form.write(STEPS, "12") + " \n")


NEAR_MISSES = {
    "answer_line": ["2+2\nanswer: 4", "2+2 Answer: 4", "Answer: 4\n2+2\nAnswer: 4", "2+2\n**Answer:** 4"],
    "answer_first": ["2+2\nAnswer: 4", "Answer: 4", "Answer: 4\nso Answer: 4"],
    "hash_line": ["2+2\n### 4", "2+2 #### 4", "#### 2\n#### 4"],
    "bold_line": ["2+2 **4**", "**2+2**\n**4**", "2+2\n**4", "2+2\n****", "2+2\n*4*"],
    "double_brackets": ["2+2\n[4]", "2+2 [[4]]", "[[2]]\n[[4]]", "2+2\n[[]]"],
    "closing_sentence": [
        "2+2. The answer is 4.",
        "2+2. So the final answer is 4",
        "So the final answer is 4.",
        "a So the final answer is 4.\nb.",
    ],
    "dollar_line": ["2+2\n$4$", "$$2+2$$\n$$4$$", "2+2 $$4$$"],
    "two_headings": [
        "## Answer\n4\n## Reasoning\n2+2",
        "## Reasoning\n2+2\n# Answer\n4",
        "## Reasoning\n2+2\n### Sub\n\n## Answer\n4",
    ],
    "json_object": [
        '{"reasoning": "2+2", "answer": "4", "more": 1}',
        '```json\n{"reasoning": "2+2", "answer": "4"}\n```',
        '{"think": "2+2", "answer": "4"}',
        '{"reasoning": "2+2", "answer": null}',
        '{"reasoning": "2+2", "answer": "4", "answer": "5"}',
        '{"reasoning": ["2+2"], "answer": "4"}',
        '{"reasoning": "2+2", "answer": "4"',
        "[" * 5000,
        '{"reasoning": "2+2", "answer": ' + "[" * 100_000 + "}",
        '{"reasoning": "2+2", "answer": NaN}',
    ],
    "yaml_mapping": [
        "answer: 4\nreasoning: 2+2",
        "```yaml\nreasoning: 2+2\nanswer: 4\n```",
        "reasoning: &a 2+2\nanswer: *a",
        "reasoning: 2+2\nanswer: 4\nmore: 1",
        "reasoning: a: b\nanswer: 4",
        "reasoning: x\nanswer: " + "[" * 3000,
        "reasoning: !!python/object/apply:os.system [ls]\nanswer: 4",
    ],
    "markdown_table": [
        "| Reasoning | Answer |\n| 2+2 | 4 |",
        "| Answer | Reasoning |\n|---|---|\n| 4 | 2+2 |",
        "| Reasoning | Answer |\n|---|---|\n| 2+2 | 4 |\n| 2+3 | 5 |",
        "| Reasoning | Answer |\n|--|--|\n| 2+2 | 4 |",
    ],
    "boxed_only": [r"2+2 \boxed{4}.", r"\boxed{4}", r"\boxed{2} \boxed{4}", r"2+2 $\boxed{4}$", r"2+2 \boxed{4"],
    "result_tag": [
        "2+2 <result>4",
        "2+2 <result>4</result>.",
        "<result>2</result><result>4</result>",
        "2 </result><result>",
    ],
    "solution_tags": [
        "<reasoning>2+2</reasoning>4",
        "2+2<solution>4</solution>",
        "<solution>4</solution><reasoning>2+2</reasoning>",
        "<reasoning>2+2</reasoning> so <solution>4</solution>",
    ],
}


@pytest.mark.parametrize("name", FORMATS)
def test_near_misses(name):
    for text in NEAR_MISSES[name]:
        assert FORMATS[name].read(text) is None, text


def test_answers_that_are_no_text_are_read_as_json():
    read = FORMATS["json_object"].read
    assert read('{"reasoning": "two", "answer": 4.50}') == "4.5"
    assert json.loads(read('{"answer": [{"bbox_2d": [1, 2, 3, 4]}], "reasoning": "there"}'))[0]
    assert FORMATS["yaml_mapping"].read("reasoning: two\nanswer: yes") == "yes"
    assert FORMATS["yaml_mapping"].read("reasoning: |-\n  two\n  lines\nanswer: 007") == "007"
    assert FORMATS["markdown_table"].read("|Reasoning|Answer|\n|:---|---:|\n|a\\|b|x\\|y|") == "x|y"


def test_there_are_enough_and_none_has_the_name_of_a_nano_format():
    """Checks are found by name: nano's rows must never be judged by a namesake."""
    assert len(FORMATS) >= 10 and len({form.instruction for form in FORMATS.values()}) == len(FORMATS)
    nano = {"think_answer", *(draw_format(family, random.Random(0)) for family in FAMILIES)}
    assert not set(FORMATS) & nano
    assert not [name for name in FORMATS if ":" in name]  # all of nano's other names have one


plain = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00\x85\u2028\u2029", exclude_categories=("Cc", "Cs"))
)


@settings(deadline=None)
@given(steps=plain, answer=plain)
def test_any_plain_text_goes_there_and_back_as_json(steps, answer):
    assume(steps.strip() and answer.strip() and "<think" not in steps + answer and "<answer" not in steps + answer)
    for name in ("json_object", "yaml_mapping"):
        assert FORMATS[name].read(FORMATS[name].write(steps, answer)) == answer.strip(), name


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from(sorted(FORMATS)))
def test_no_text_breaks_a_check(text, name):
    form = FORMATS[name]
    for candidate in (text, form.write("steps", text), form.write(text, "4"), form.write(text, text)[: len(text)]):
        assert form.complies(candidate) == (form.read(candidate) is not None)
