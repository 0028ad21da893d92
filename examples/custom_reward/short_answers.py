"""A reward of your own: right answers count, and long-winded responses lose a little.

    python -m verl.trainer.main_ppo +specs=nano_grpo ... \\
        reward.custom_reward_function.path=examples/custom_reward/short_answers.py \\
        +reward.custom_reward_function.reward_kwargs.free_words=20

verl calls `compute_score` for every rollout. What it returns under "score" is the reward; every other number is
averaged into the training log as reward/NAME/mean.
"""

import reward_fns


@reward_fns.register("same_letters")
def same_letters(response: str, ground_truth: str) -> bool:
    """A verifier of your own: right when the response ends with the letters of the ground truth, in any order.

    A row asks for it by name (`reward_model.verifier: same_letters`); it may return a bool, a score in [0, 1] or a
    `reward_fns.Verdict`. The row's `reward_model.params` arrive as keyword arguments.
    """
    last_word = response.split()[-1] if response.split() else ""
    return sorted(last_word.strip(".").upper()) == sorted(ground_truth.upper())


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict | None = None,
    free_words: int = 20,
    word_price: float = 0.01,
) -> dict[str, float]:
    """Accuracy and format as in SPECS, minus `word_price` for each word beyond `free_words`, at most 0.5."""
    graded = reward_fns.compute_score(data_source, solution_str, ground_truth, extra_info)
    words = len(solution_str.split())
    price = min(0.5, word_price * max(0, words - free_words))
    return {"score": graded["score"] - price, "acc": graded["acc"], "format": graded["format"], "words": float(words)}
