"""Ten thousand mutated answers: every one gets a well-formed verdict, within bounds, and none is right by accident of
the mutation.

REWARD_FNS_FUZZ sets another number. The seeds are the hand-written suites; mutations cut, double, splice and sprinkle.
"""

import json
import os
import random
import time
from pathlib import Path

import pytest

from reward_fns import verify_batch
from reward_fns.batch import settle_all
from reward_fns.grading import verify
from reward_fns.verdict import STATUSES

COUNT = int(os.environ.get("REWARD_FNS_FUZZ", "10000"))
SHARDS = 10
DEADLINE = 0.5
SPRINKLE = [
    "\\frac{",
    "}",
    "{",
    "\\boxed{",
    "$",
    "$$",
    "\\(",
    "\\)",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "^",
    "^{",
    "_",
    "!",
    "9" * 40,
    "(",
    ")",
    "[",
    "]",
    "\n",
    "\n\n",
    " ",
    "A",
    "B)",
    "not ",
    "the answer is ",
    "Answer:",
    "**",
    "\\sqrt",
    "\\int",
    "\\sum_{",
    "\\begin{pmatrix}",
    "\\\\",
    "&",
    "%",
    "\\%",
    "=",
    "<",
    "\\le",
    "±",
    "½",
    "π",
    "\x00",
    "é",
    # fmt: skip
    ",",
    ".",
    "-",
    "- ",
    "e",
    "i",
    "\\infty",
    "\\cup",
    "|",
    "#### ",
    "json",
    '"',
    "'",
    "null",
    "9^9^9^9",
    "99999999!",
]


def seeds():
    found = []
    for family in ("math", "choice", "number", "text", "boxes"):
        for line in (Path(__file__).parent / "data" / f"{family}.jsonl").read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            verifier = case.get("verifier", family)
            params = dict(case.get("params", {}))
            if "options" in case:
                params["options"] = case["options"]
            if len(case["response"]) <= 4_000:
                found.append((case["response"], case.get("gold") or case.get("extracted") or "B", verifier, params))
    return found


def mutated(text, rng, others):
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(6)
        at, other = rng.randint(0, len(text)), rng.randint(0, len(text))
        low, high = min(at, other), max(at, other)
        if kind == 0:
            text = text[:low] + text[high:]
        elif kind == 1:
            text = text[:high] + text[low:high] * rng.randint(1, 3) + text[high:]
        elif kind == 2:
            donor = rng.choice(others)[0]
            text = text[:at] + donor[: rng.randint(0, len(donor))] + text[at:]
        elif kind == 3:
            text = text[:at] + rng.choice(SPRINKLE) * rng.choice((1, 1, 1, 2, 5, 40)) + text[at:]
        elif kind == 4 and text:
            text = (
                text[: max(0, at - 1)]
                + chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x80, 0x3000))))
                + text[at:]
            )
        else:
            text = text[at:] + text[:at]
    return text[:20_000]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_mutated_answers(shard):
    rng = random.Random(20_240 + shard)
    pool_of_seeds = seeds()
    calls, slow = [], []

    def graded(response, gold, verifier, params):
        started = time.thread_time()
        try:
            return verify(response, gold, verifier, **params)
        finally:
            if time.thread_time() - started > 0.5:
                slow.append((response, gold, verifier, params))

    for _ in range(COUNT // SHARDS):
        response, gold, verifier, params = rng.choice(pool_of_seeds)
        response = mutated(response, rng, pool_of_seeds)
        if rng.random() < 0.1 and isinstance(gold, str):
            gold = mutated(gold, rng, pool_of_seeds)[:400]
        if verifier == "math":
            params = {**params, "deadline": DEADLINE}
        calls.append(lambda r=response, g=gold, v=verifier, p=params: graded(r, g, v, p))
    verdicts = settle_all(calls)
    assert len(verdicts) == COUNT // SHARDS
    assert all(v.status in STATUSES and 0.0 <= v.score <= 1.0 for v in verdicts)
    assert all(v.score < 1.0 or v.status == "right" for v in verdicts)
    assert not [v for v in verdicts if v.status == "error"]
    # Once more, alone: the first answer of a kind pays for an import.
    again = slow.copy()
    slow.clear()
    settle_all([lambda item=item: graded(*item) for item in again])
    assert not slow


def test_batch_and_single_verdicts_agree():
    rng = random.Random(7)
    chosen = rng.sample(seeds(), 60)
    items = [(r, g, v, {**p, "deadline": 5.0} if v == "math" else p) for r, g, v, p in chosen]
    single = [verify(r, g, v, **p) for r, g, v, p in items]
    assert [v[:3] for v in verify_batch(items)] == [v[:3] for v in single]
