"""``judge``: short free text graded by a language model with an OpenAI-compatible endpoint; rules decide before it, and
instead of it when it fails.

    verify("<answer>an old harbour</answer>", "a port", "judge", question="What is shown?",
    base_url="http://localhost:8000/v1", model="m")

A data row may give the question and the threshold of the rule. Who is asked, with which key, and where verdicts are
kept is configuration (``reward_kwargs.params`` or the environment); a row that says so is refused.

Equal texts are right and empty answers are no answers without asking anybody. Otherwise the endpoint is asked, again
on failure, at most ``deadline`` seconds in all; its verdicts are cached on disk. When it cannot be reached the rule
decides (token F1), and a warning says so once. The asynchronous form is
``reward_fns.workers.judge_client.Judge.ask_async``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

from reward_fns.answer.places import stated_pieces
from reward_fns.registry import register
from reward_fns.texts.distances import token_f1
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict, decided
from reward_fns.verifiers.text import read_golds
from reward_fns.workers.judge_client import Judge, JudgeError

logger = logging.getLogger(__name__)

MAX_ANSWER = 600
"""Characters of an answer that are sent: a longer one is no short free text."""


CONFIGURED = ("base_url", "model", "api_key_variable", "cache_dir", "retries", "deadline")
"""What a data row must not choose."""


@register("judge", configured=CONFIGURED)
def judge(
    response: str,
    ground_truth: str | Sequence[str],
    *,
    question: str = "",
    base_url: str | None = None,
    model: str | None = None,
    api_key_variable: str = "OPENAI_API_KEY",
    cache_dir: str | None = None,
    retries: int = 2,
    deadline: float = 20.0,
    fallback_f1: float = 0.8,
    answer_after_think: bool = False,
) -> Verdict:
    """Ask a model whether the answer means the same as one of the golds.

    Args:
        question: the question, without which many short answers cannot be judged.
        base_url, model: the endpoint; REWARD_FNS_JUDGE_URL and REWARD_FNS_JUDGE_MODEL when None. Without an endpoint
            the rule decides.
        api_key_variable: name of the environment variable that holds the key.
        cache_dir: where verdicts are kept; REWARD_FNS_JUDGE_CACHE when None, else nowhere.
        retries: further attempts after a failed request.
        deadline: seconds for all attempts together.
        fallback_f1: token F1 from which the rule calls an answer right when the endpoint fails.
    """
    golds = [gold for gold in read_golds(ground_truth) if normalised(gold)]
    if not golds:
        raise GoldError("the ground truth holds no text")
    answer = next(
        (piece.text.strip() for piece in stated_pieces(response, answer_after_think) if normalised(piece.text)), None
    )
    if answer is None:
        return NO_ANSWER
    shown = answer[:200]
    if any(normalised(answer) == normalised(gold) for gold in golds):
        return decided(True, shown)
    if len(answer) > MAX_ANSWER:
        answer = answer[-MAX_ANSWER:]
    client = Judge.of(base_url, model, api_key_variable, cache_dir, retries)
    if client is not None:
        try:
            return decided(client.ask(question, golds, answer, deadline), shown)
        except JudgeError as error:
            _warn(str(error))
    score = max(token_f1(normalised(answer), normalised(gold)) for gold in golds)
    return decided(score >= fallback_f1, shown)


@lru_cache(maxsize=64)
def _warn(reason: str) -> None:
    logger.warning("The judge could not be asked (%s): short answers are graded by token overlap.", reason)
