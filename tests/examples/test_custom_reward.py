"""The example of a user's own reward, loaded the way verl loads it."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn

import reward_fns

FILE = Path(__file__).parents[2] / "examples" / "custom_reward" / "short_answers.py"
ROW = {"verifier": "number", "params": "{}"}


@pytest.fixture(scope="module")
def function():
    settings = {"path": str(FILE), "name": "compute_score", "reward_kwargs": {"free_words": 3}}
    return get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": settings}}))


def test_verl_loads_it_with_its_settings(function):
    short = r"<think> 3+4 </think><answer> $\boxed{7}$ </answer>"
    # right and well formed, five pieces between white space, three of them free: 1.0 + 0.5 - 0.01 * (5 - 3)
    graded = function("nano_sum", short, "7", ROW)
    assert graded == {"score": pytest.approx(1.48), "acc": 1.0, "format": 1.0, "words": 5.0}


def test_the_price_of_words_is_bounded(function):
    # 200 words at 0.01 beyond the three free ones would cost 1.97; at most 0.5 is taken, and the answer is wrong
    assert function("nano_sum", "word " * 200, "7", ROW)["score"] == pytest.approx(-0.5)


def test_the_verifier_can_be_named_by_a_row(function):
    assert reward_fns.verify("I read the letters BAC.", "abc", "same_letters").status == "right"
    assert reward_fns.verify("I read the letters BAD.", "abc", "same_letters").status == "wrong"
