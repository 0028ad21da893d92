"""Verifiable rewards for vision-language models that never hang, never lie and never run model text.

    from reward_fns import verify, compute_score, register, Verdict

    verify("... The answer is (B) 12 cm.", "B", "choice")    -> Verdict(status="right", score=1.0, extracted="B", ...)

A leaf package: usable in verl (``reward.custom_reward_function.path=pkg://reward_fns``), in other trainers and
through ``specs reward``. Importing it is cheap; symbolic mathematics is imported in worker processes only, verifiers
when first used.
"""

from reward_fns.batch import score_batch, verify_batch
from reward_fns.combine import Combination
from reward_fns.grading import verify
from reward_fns.registry import names, register
from reward_fns.scoring import compute_score, compute_score_async
from reward_fns.verdict import GoldError, Verdict

__all__ = [
    "Combination",
    "GoldError",
    "Verdict",
    "compute_score",
    "compute_score_async",
    "names",
    "register",
    "score_batch",
    "verify",
    "verify_batch",
]
