"""A verifier that fails on some answers (status error): such a response is never trained on, and always counted."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reward_fns import register
from reward_fns.verdict import Verdict
from specs_verl.cli import main
from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.route import Routing, route

from . import building

FAILS = "BOOM"


@pytest.fixture
def runs(tmp_path):
    """Row 0: all answers fail; row 1: the chosen source's do, half of the time; row 2: none does."""

    @register("test_fails", replace=True)
    def fails(response, ground_truth):
        if FAILS in response:
            raise IndexError("a fault of the verifier")
        value = stated(response)
        return Verdict("right" if value == ground_truth else "wrong", float(value == ground_truth), value)

    rows = [building.row(index, 10 + index) for index in range(3)]
    for row in rows:
        row["extra_info"]["verifier"] = row["reward_model"]["verifier"] = "test_fails"
    prompts = str(tmp_path / "p.parquet")
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    good = [building.whole(10 + index, 10 + index) for index in range(3)]
    failing = [text.replace("3+4", FAILS) for text in good]
    zero = [[failing[0]] * 2, [failing[1], good[1]], [good[2]] * 2]
    base = [[failing[0]] * 2, [building.bare(11)] * 2, [building.bare(1), building.bare(12)]]
    return prompts, *(
        building.write_run(tmp_path / name, prompts, run) for name, run in (("zero", zero), ("base", base))
    )


def stated(text):
    return text.rpartition("\\boxed{")[2].partition("}")[0]


def test_no_side_of_a_pair_is_a_response_without_verdict(runs, tmp_path):
    prompts, zero, base = runs
    job = Distillation((prompts,), zero, base, str(tmp_path / "out"), Pairing(judge="none"), workers=1)
    report = distill(job)
    pairs = building.read(tmp_path / "out" / "pairs.parquet")
    assert [pair["row"] for pair in pairs] == [1, 2]
    assert not any(FAILS in pair["chosen"] + pair["rejected"] for pair in pairs)
    assert pairs[0]["chosen_pass_rate"] == 1.0, "one of one: the other has no verdict"
    funnel = report["funnel"]
    assert funnel["prompts: the verifier failed on every answer"] == 1
    assert (funnel["chosen: error"], funnel["rejected: error"]) == (3, 2)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| sampled | 6 | |" in card, "samples without verdict are part of the sum"
    assert "| the verifier failed on every answer | 1 | 33.3 % |" in card and "error 3" in card


def test_coupled_pairs_take_no_error_for_a_wrong_answer(runs, tmp_path):
    prompts, zero, base = runs
    distill(Distillation((prompts,), zero, base, str(tmp_path / "out"), Pairing("coupled", judge="none"), workers=1))
    (pair,) = building.read(tmp_path / "out" / "pairs.parquet")
    assert (pair["row"], pair["rejected_status"]) == (2, "wrong")


def test_routing_sends_nothing_to_the_expert_that_was_never_graded(runs, tmp_path):
    prompts, _, base = runs
    report = route(Routing((prompts,), base, str(tmp_path / "out"), workers=1))
    assert report["counts"] == {
        "prompts": 3,
        "dropped: the verifier failed on every answer": 1,
        "dropped: always right": 1,
        "self: sometimes right": 1,
    }


def test_specs_reward_names_the_rows(runs, tmp_path, capsys):
    rollouts = tmp_path / "rollouts.jsonl"
    lines = [{"output": text, "gts": "10"} for text in (building.whole(10, 10), f"{FAILS} \\boxed{{10}}")]
    rollouts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["reward", "--file", str(rollouts), "--verifier", "test_fails"]) == 0
    out = capsys.readouterr().out
    assert "right 1" in out and "error 1" in out and "row 1: error, gold '10'" in out
