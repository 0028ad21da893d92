r"""An answer in a tag that only the prompt names, at the end of a response: <output> \boxed{SCT}</output>."""

import pytest

from reward_fns import verify

WORKED = "<notes> c square; d circle=SC; e triangle=SCT.</notes>"


@pytest.mark.parametrize(
    "result", ["SCT", r"The answer is $\boxed{SCT}$", r"\boxed{SCT}", '{"value": "SCT"}', '{ "value" : "SCT" }']
)
def test_a_text_is_read_from_the_last_block(result):
    assert verify(f"{WORKED}<output> {result}</output>", "SCT", "text").status == "right"
    assert verify(f"{WORKED}<output> {result}</output>", "SCS", "text").status == "wrong"


@pytest.mark.parametrize("result", ['{"a": "SCT", "b": "SCS"}', '{"value": {"x": "SCT"}}'])
def test_other_json_is_no_single_text(result):
    assert verify(f"{WORKED}<output> {result}</output>", "SCT", "text").status == "wrong"


def test_a_block_of_reasoning_after_the_box_is_not_the_answer():
    boxed = r"<output> The answer is $\boxed{22}$</output><notes> d9; e4=13; f7=20.</notes>"
    assert verify(boxed, "22", "number").status == "right"
    assert verify(boxed, "20", "number").status != "right"
