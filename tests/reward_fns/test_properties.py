"""Properties that hold for all inputs, searched by hypothesis."""

import json
import os
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from reward_fns import compute_score, formats, verify
from reward_fns.boxes.metrics import Box, iou, match, mean_iou
from reward_fns.numbers.numerals import parse
from reward_fns.verdict import STATUSES

# The same examples in every run; HYPOTHESIS_EXAMPLES=6000 searches on, with new ones each time.
MORE = os.environ.get("HYPOTHESIS_EXAMPLES")
QUICK = settings(max_examples=int(MORE or 150), derandomize=MORE is None, deadline=None)
VERIFIERS = ("math", "choice", "number", "count", "yes_no", "text", "boxes", "point", "sequence", "set", "dict")
GOLDS = {"math": "x^2+1", "choice": "B", "number": "12", "count": "3", "yes_no": "yes", "text": "cat", "boxes": "[[1,2,3,4]]",
         "point": "[[1,2,3,4]]", "sequence": "[1,2]", "set": "[1,2]", "dict": '{"a": 1}'}  # fmt: skip

wild_text = st.text(
    alphabet=st.one_of(st.sampled_from("\\${}()[]<>/0123456789.,-+*^_=ABCabcx \n%&|!'\"√π½"), st.characters()),
    max_size=120,
)
integers = st.integers(-(10**9), 10**9)
forms = st.sampled_from(
    ["{}", "\\boxed{{{}}}", "<answer>{}</answer>", "The answer is {}.", "Answer: {}", "**{}**", "${}$", "<think>1 + 1</think><answer>\\boxed{{{}}}</answer>",
     "So the result is ${}$.", "#### {}", "First 3, then 4.\n\nFinal Answer: {}"]
)  # fmt: skip


@QUICK
@given(wild_text, st.sampled_from(VERIFIERS))
def test_any_text_gets_a_verdict(text, verifier):
    params = {"deadline": 0.5} if verifier == "math" else {}
    verdict = verify(text, GOLDS[verifier], verifier, **params)
    assert verdict.status in STATUSES and 0.0 <= verdict.score <= 1.0
    assert verdict.extracted is None or isinstance(verdict.extracted, str)


@QUICK
@given(wild_text, st.sampled_from(VERIFIERS))
def test_any_ground_truth_gets_a_verdict(text, verifier):
    params = {"deadline": 0.5} if verifier == "math" else {}
    assert verify("\\boxed{12} B cat", text, verifier, **params).status in STATUSES


@QUICK
@given(wild_text)
def test_score_dict_is_plain(text):
    score = compute_score("any", text, "B", {"verifier": "choice"})
    assert json.loads(json.dumps(score)) == score
    assert -1e-9 <= score["score"] <= 1.5


@QUICK
@given(integers, forms, st.sampled_from(["math", "number"]))
def test_an_integer_is_right_and_its_neighbour_wrong_in_any_form(number, form, verifier):
    response = form.format(number)
    assert verify(response, str(number), verifier).status == "right"
    assert verify(response, str(number + 1), verifier).status == "wrong"


@QUICK
@given(st.integers(-999, 999), st.integers(1, 99), st.integers(1, 9))
def test_a_fraction_is_right_in_all_its_forms(top, bottom, factor):
    value = Fraction(top, bottom)
    gold = f"\\frac{{{top}}}{{{bottom}}}"
    sign, rest = ("-" if value < 0 else ""), abs(value)
    whole, part = divmod(rest, 1)
    forms = [
        f"{top}/{bottom}",
        f"\\dfrac{{{top * factor}}}{{{bottom * factor}}}",
        f"\\frac{{{-top}}}{{{-bottom}}}",
        f"{value.numerator}/{value.denominator}",
    ]
    if whole and part:
        forms.append(f"{sign}{whole}\\frac{{{part.numerator}}}{{{part.denominator}}}")
    for form in forms:
        assert verify(f"\\boxed{{{form}}}", gold).status == "right", form
    shifted = f"\\frac{{{top + bottom}}}{{{bottom}}}"  # one more
    assert verify(f"\\boxed{{{forms[0]}}}", shifted).status == "wrong"


coefficients = st.lists(st.integers(-9, 9), min_size=2, max_size=4)


def polynomial(numbers):
    return "+".join(f"({number})x^{{{power}}}" for power, number in enumerate(numbers))


@QUICK
@given(coefficients, coefficients, st.integers(1, 5))
def test_a_product_equals_its_expansion_and_nothing_else(one, two, shift):
    product = [0] * (len(one) + len(two) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            product[i + j] += a * b
    response = f"\\boxed{{({polynomial(one)})({polynomial(two)})}}"
    assert verify(response, polynomial(product)).status == "right"
    product[0] += shift
    assert verify(response, polynomial(product)).status == "wrong"


@QUICK
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_order_matters_in_tuples_and_not_in_sets(numbers, random):
    shuffled = list(numbers)
    random.shuffle(shuffled)
    inside, mixed = ", ".join(map(str, numbers)), ", ".join(map(str, shuffled))
    assert verify(f"\\boxed{{\\{{{mixed}\\}}}}", f"\\{{{inside}\\}}").status == "right"
    assert verify(f"\\boxed{{({mixed})}}", f"({inside})").status == ("right" if shuffled == numbers else "wrong")


letters = st.sampled_from("ABCD")
letter_forms = st.sampled_from(
    ["{}", "({})", "**{}**", "\\boxed{{{}}}", "\\boxed{{\\text{{{}}}}}", "Answer: {}", "The answer is ({}).", "The correct option is {}.", "<answer>{}</answer>",
     "So it must be ({}).", "I would choose option {}.", "Final Answer: **{}**", "Option {} is correct.", "答案是{}"]
)  # fmt: skip
detours = st.sampled_from(
    [
        "",
        "Option A looks tempting. ",
        "A is too small, and B is too large. ",
        "Let us see.\n\n",
        "Not C. ",
        "First I considered (D). ",
    ]
)


@QUICK
@given(letters, letters, letter_forms, detours)
def test_the_committed_letter_is_read_in_any_form(letter, other, form, detour):
    response = detour + form.format(letter)
    expected = "right" if letter == other else "wrong"
    assert verify(response, other, "choice", options=["w", "x", "y", "z"]).status == expected, response


corners = st.tuples(*[st.integers(0, 40)] * 4).map(
    lambda c: (float(min(c[0], c[2])), float(min(c[1], c[3])), float(max(c[0], c[2])), float(max(c[1], c[3])))
)
boxes = st.lists(corners.map(Box), max_size=6)


@QUICK
@given(corners, corners)
def test_iou_is_symmetric_and_bounded(one, two):
    assert iou(one, two) == iou(two, one)
    assert 0.0 <= iou(one, two) <= 1.0


@QUICK
@given(boxes, boxes, st.randoms(use_true_random=False))
def test_the_order_of_boxes_does_not_matter(gold, given_boxes, random):
    shuffled = list(given_boxes)
    random.shuffle(shuffled)
    one, two = (mean_iou(match(gold, each, False), 0.5) for each in (given_boxes, shuffled))
    assert abs(one - two) < 1e-9


@QUICK
@given(st.text(max_size=30), st.text(max_size=30))
def test_only_two_filled_blocks_and_white_space_are_well_formed(thought, answer):
    clean = not any(tag in thought + answer for tag in ("<think>", "</think>", "<answer>", "</answer>"))
    filled = bool(thought.strip()) and bool(answer.strip())
    assert formats.think_answer(f"<think>{thought}</think>\n<answer>{answer}</answer>") == (clean and filled)
    assert not formats.think_answer(f"x<think>{thought}</think><answer>{answer}</answer>")


@QUICK
@given(st.integers(0, 10**12), st.integers(0, 3))
def test_thousands_separators_and_decimals_do_not_change_a_number(number, places):
    tail = "" if not places else "." + "0" * places
    for text in (
        f"{number:,}{tail}",
        f"${number:,}{tail}",
        f"{number}{tail}",
        f"{number:,}".replace(",", "{,}") + tail,
    ):
        assert parse(text).value == number, text
