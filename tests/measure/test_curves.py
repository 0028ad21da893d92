"""Reading training logs as they really are: resumed, cut short, with missing keys and nulls."""

import json

import pytest

from specs_verl.errors import UserError
from specs_verl.measure.curves import Curve, cold_start_curves, grpo_curves, rollout_shares, running_mean, thinned


def lines(path, *records):
    path.write_text("".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records))
    return path


def test_verls_file_logger(tmp_path):
    log = lines(
        tmp_path / "log.jsonl",
        {"step": 0, "data": {"val-core/nano/acc/mean@1": 0.3}},
        {"step": 1, "data": {"critic/score/mean": 0.5, "response_length/mean": 40.0, "actor/entropy": 1.0}},
        {"step": 2, "data": {"critic/score/mean": None, "response_length/mean": 38.5}},  # orjson writes NaN as null
        {"step": 3, "data": {"critic/score/mean": 0.9}},
        '{"step": 4, "data": {"critic/sc',  # killed while writing
    )
    curves = grpo_curves([log])
    assert curves["score"] == Curve((1, 3), (0.5, 0.9))
    assert curves["length"] == Curve((1, 2), (40.0, 38.5))
    assert curves["accuracy"] == Curve((0,), (0.3,))  # all there is: one validation
    assert "format" not in curves


def test_validation_is_averaged_over_data_sources_and_training_metrics_come_first(tmp_path):
    log = lines(
        tmp_path / "log.jsonl",
        {
            "step": 5,
            "data": {"val-core/a/acc/mean@4": 0.2, "val-core/b/acc/mean@4": 0.6, "val-aux/a/format/mean@4": 1.0},
        },
    )
    curves = grpo_curves([log])
    assert curves["accuracy"] == Curve((5,), (pytest.approx(0.4),))
    assert curves["format"] == Curve((5,), (1.0,))
    logged = lines(tmp_path / "b.jsonl", {"step": 5, "data": {"critic/acc/mean": 0.7, "val-core/a/acc/mean@4": 0.2}})
    assert grpo_curves([logged])["accuracy"] == Curve((5,), (0.7,))


def test_a_resumed_run_has_two_files_and_the_later_wins(tmp_path):
    first = lines(tmp_path / "1.jsonl", *({"step": s, "data": {"critic/score/mean": 0.1}} for s in (1, 2, 3)))
    second = lines(tmp_path / "2.jsonl", *({"step": s, "data": {"critic/score/mean": 0.9}} for s in (3, 4)))
    assert grpo_curves([first, second])["score"] == Curve((1, 2, 3, 4), (0.1, 0.1, 0.9, 0.9))


def test_cold_start_log(tmp_path):
    log = lines(tmp_path / "m.jsonl", {"step": 1, "loss": 1.2, "rewards/chosen": 0.1, "rewards/rejected": -0.3})
    curves = cold_start_curves([log])
    assert curves["chosen"] == Curve((1,), (0.1,)) and curves["rejected"] == Curve((1,), (-0.3,))
    assert curves["loss"] == Curve((1,), (1.2,)) and "margin" not in curves


def test_shares_from_rollout_dumps(tmp_path):
    good, bad = "<think>a</think><answer>1</answer>", "1"
    # step 1, scores 1.5 and 0: format 1/2, accuracy (1.5 - 0.5 + 0) / 2; step 2: right but badly formed, and reverse
    lines(tmp_path / "1.jsonl", {"output": good, "score": 1.5}, {"output": bad, "score": 0.0})
    lines(tmp_path / "2.jsonl", {"output": bad, "score": 1.0}, {"output": good, "score": 0.5})
    curves = rollout_shares(tmp_path)
    assert curves["format"] == Curve((1, 2), (0.5, 0.5))
    assert curves["accuracy"] == Curve((1, 2), (0.5, 0.5))


def test_accuracy_is_not_guessed_from_an_unknown_reward(tmp_path):
    lines(tmp_path / "1.jsonl", {"output": "1", "score": 3.0})  # more than 1.0 for accuracy + 0.5 for format can give
    assert set(rollout_shares(tmp_path)) == {"format"}
    assert rollout_shares(tmp_path / "nowhere") == {}


def test_what_is_no_log_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot read the training log"):
        grpo_curves([tmp_path / "gone.jsonl"])
    with pytest.raises(UserError, match="this is no training log"):
        grpo_curves([lines(tmp_path / "x.jsonl", "hello\n")])
    assert grpo_curves([lines(tmp_path / "empty.jsonl")]) == {}


def test_running_mean_by_hand():
    # window 3: (1+4)/2, (1+4+7)/3, (4+7+1)/3, (7+1)/2
    assert running_mean(Curve((1, 2, 3, 4), (1.0, 4.0, 7.0, 1.0)), 3).values == (2.5, 4.0, 4.0, 4.0)


def test_thinning_keeps_the_mean_and_the_limit():
    curve = Curve(tuple(range(1000)), tuple(float(step) for step in range(1000)))
    thin = thinned(curve, 100)
    assert len(thin.steps) == 100
    assert thin.values[0] == pytest.approx(4.5) and thin.steps[0] == 4  # steps 0 to 9
    assert sum(thin.values) / 100 == pytest.approx(sum(curve.values) / 1000)
    assert thinned(curve, 1000) is curve
