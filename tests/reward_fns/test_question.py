"""The question of a row is found in its prompt, and a value that it names is not taken for the answer."""

import numpy as np

from reward_fns import compute_score
from reward_fns.question import question_in, with_question

ASKED = "For which input does the function first reach 2?"
CONCLUDES = "The function first reaches 2 when the input is 1."


def test_the_last_user_turn_is_the_question():
    assert (
        question_in([{"role": "system", "content": "s"}, {"role": "user", "content": "<image>How many?"}])
        == "How many?"
    )
    parts = [{"type": "image"}, {"type": "text", "text": "How many?"}]
    assert question_in(np.array([{"role": "user", "content": parts}], dtype=object)) == "How many?"
    assert question_in("<video>How many?") == "How many?"
    assert question_in([]) == question_in(None) == question_in([{"role": "user", "content": None}]) == ""


def test_a_question_of_the_row_itself_is_kept():
    prompt = [{"role": "user", "content": "From the prompt?"}]
    assert with_question({"question": "Own?"}, prompt) == {"question": "Own?"}
    assert with_question({"question": None}, prompt) == {"question": "From the prompt?"}
    assert with_question({"id": 1}, None) == {"id": 1}


def test_a_value_of_the_prompt_is_not_the_conclusion():
    prompt = [{"role": "user", "content": f"<image>{ASKED}"}]
    info = {"verifier": "number"}
    assert compute_score("", CONCLUDES, "2", info)["acc"] == 1.0  # nobody knows what was asked
    assert compute_score("", CONCLUDES, "2", with_question(info, prompt))["acc"] == 0.0
    assert compute_score("", CONCLUDES, "1", with_question(info, prompt))["acc"] == 1.0
