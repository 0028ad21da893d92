"""The hand-written suites, one file of JSON lines per family, with the reason beside every case.

Each line is a response in the phrasing of strong and weak models. math: right or not against a gold. choice: the
letters that are read, or none; the gold is then that answer, and any other letter must be wrong. number, text, boxes:
the status, and the score where it is graded.
"""

import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest

from reward_fns import verify_batch

DATA = Path(__file__).parent / "data"
FAMILIES = ("math", "choice", "number", "text", "boxes")


def cases(family):
    return [json.loads(line) for line in (DATA / f"{family}.jsonl").read_text(encoding="utf-8").splitlines()]


def by_reason(family):
    groups = defaultdict(list)
    for case in cases(family):
        groups[case["why"]].append(case)
    return [pytest.param(group, id=why[:60]) for why, group in groups.items()]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_has_a_reason_and_there_are_enough(family):
    rows = cases(family)
    assert len(rows) >= 150
    assert all(row["why"].strip() for row in rows)


@pytest.mark.parametrize("group", by_reason("math"))
def test_math(group):
    verdicts = verify_batch([(case["response"], case["gold"]) for case in group])
    failed = [
        (c["gold"], c["response"], v)
        for c, v in zip(group, verdicts, strict=True)
        if (v.status == "right") != c["right"]
    ]
    assert not failed


@pytest.mark.parametrize("group", by_reason("choice"))
def test_choice(group):
    items = []
    for case in group:
        letters, options = case["extracted"], {"options": case["options"]} if "options" in case else {}
        gold = list(letters) if letters and len(letters) > 1 else letters or "A"
        items.append((case["response"], gold, "choice", options))
        other = next(letter for letter in "AB" if letter != letters)
        items.append((case["response"], other, "choice", options))
    verdicts = verify_batch(items)
    failed = []
    for case, as_gold, as_other in zip(group, verdicts[::2], verdicts[1::2], strict=True):
        expected = "right" if case["extracted"] else case.get("status", "no_answer")
        if as_gold.status != expected or as_other.status == "right":
            failed.append((case["response"], case["extracted"], as_gold, as_other))
    assert not failed


@pytest.mark.parametrize("family", ["number", "text", "boxes"])
def test_status_and_score(family):
    rows = cases(family)
    verdicts = verify_batch([(c["response"], c["gold"], c["verifier"], c.get("params", {})) for c in rows])
    failed = []
    for case, verdict in zip(rows, verdicts, strict=True):
        same_score = "score" not in case or verdict.score == pytest.approx(case["score"], abs=1e-9)
        if verdict.status != case["status"] or not same_score:
            failed.append((case["why"], case["response"], case["gold"], verdict))
    assert not failed


@pytest.mark.parametrize("verifier", ["number", "math"])
def test_no_right_answer_agrees_with_a_shifted_gold(verifier):
    """Off by one, doubled, of the other sign: nothing in the response may be taken for such a gold, its words and
    conditions included ("after 2 years it is $80" is not 160)."""
    items = []
    for case in cases("number"):
        plain = case["status"] == "right" and case["verifier"] == "number" and "params" not in case
        if not plain or not case["gold"].lstrip("-").isdigit():
            continue
        gold = Fraction(case["gold"])
        items += [
            (case["response"], str(shifted), verifier) for shifted in {gold + 1, gold - 1, 2 * gold, -gold} - {gold}
        ]
    assert len(items) > 500
    accepted = [item for item, verdict in zip(items, verify_batch(items), strict=True) if verdict.status == "right"]
    assert not accepted
