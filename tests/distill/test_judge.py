"""The rule judge: does the end of the reasoning agree with the answer?"""

import pytest

from specs_verl.distill.rule_judge import support


@pytest.mark.parametrize(
    ("thought", "answer", "verifier", "expected"),
    [
        ("d=4; e+7=11; f+3=14.", "14", "number", "supports"),
        ("d=4; e+7=11; f+3=13.", "14", "number", "contradicts"),
        ("I look at the picture.", "14", "number", "silent"),
        ("3 is B, so the answer is B.", "B", "choice", "supports"),
        ("The answer is C.", "B", "choice", "contradicts"),
        ("The answer is 11. I checked 12 twice.", "12", "number", "contradicts"),
        ("First 11, no: 5+7=12.", "12", "number", "supports"),
        ("d8; e1=9; f6=15.", "15", "number", "supports"),
        ("c triangle; f triangle=TT; i circle=TTC.", "TTC", "text", "supports"),
        ("The answer is 11 if one reads x=12", "12", "number", "contradicts"),
        ("d8; e1=9; f6=15.", "16", "number", "silent"),  # set equal, not computed: it may be another thing's value
        ("a=4; d=6; g=2.", "462", "number", "silent"),  # a reading, put together in the answer
        ("c triangle; f triangle; i circle.", "TTC", "text", "silent"),
        ("a=4; d=6; so 412.", "462", "number", "contradicts"),
        ("Two apples on the left. So there are 7 apples. I am done.", "8", "number", "contradicts"),
        (r"We get $\boxed{7}$, that is 7 of 8", "8", "number", "contradicts"),
    ],
)
def test_the_last_conclusion_decides(thought, answer, verifier, expected):
    response = f"<think> {thought}</think><answer> {answer}</answer>"
    assert support(response, answer, verifier, {}) == expected
