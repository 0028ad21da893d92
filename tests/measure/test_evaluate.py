"""Grading whole runs: figures against counts made by hand, resuming, and errors that name what is missing."""

import json
import os

import pyarrow.parquet as pq
import pytest

from specs_verl.errors import UserError
from specs_verl.grading.responses import grade_of, grade_responses, load_function
from specs_verl.measure.evaluate import EvalSet, evaluate
from specs_verl.measure.metrics import read_metrics
from specs_verl.measure.report import ReportInputs, collect
from specs_verl.measure.rollouts import Prompt
from specs_verl.measure.summary import warnings

COUNTING_REWARD = """
from pathlib import Path
from reward_fns import compute_score as real

def score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    with open(Path(__file__).parent / "calls", "a") as calls:
        calls.write("x")
    return real(data_source, solution_str, ground_truth, extra_info)
"""


def test_figures_by_hand(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 2)  # truths 10 (task sum) and 11 (task product)
    good, bare = fabricate.response(10, True), fabricate.response(10, False)
    responses = [
        [good, bare, fabricate.response(7, True), fabricate.response(7, False)],  # 2 of 4 right, 2 of 4 well formed
        [fabricate.response(11, True), fabricate.response(3, True), fabricate.response(4, True), "no idea"],  # 1; 3
    ]
    fabricate.samples(tmp_path / "run", prompts, responses, {(0, 3): "length"})
    path = evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    metrics = read_metrics(path).in_distribution()
    overall = metrics.overall
    assert (overall.prompts, overall.responses) == (2, 8)
    assert overall.accuracy == pytest.approx((2 + 1) / 8)
    assert overall.format == pytest.approx((2 + 3) / 8)
    # reward = accuracy + 0.5 * format: (3 + 0.5 * 5) / 8
    assert overall.score == pytest.approx((3 + 2.5) / 8)
    # pass@2: 1 - C(2,2)/C(4,2) = 5/6 and 1 - C(3,2)/C(4,2) = 1/2; pass@4: both 1
    assert overall.pass_at_k == pytest.approx({1: 3 / 8, 2: (5 / 6 + 1 / 2) / 2, 4: 1.0})
    assert overall.mean_tokens == pytest.approx((10 + 20 + 30 + 40) / 4)
    assert overall.truncated == pytest.approx(1 / 8)
    assert overall.no_answer == pytest.approx(1 / 8)
    assert (overall.timeouts, overall.errors, overall.unparsable_golds) == (0, 0, 0)
    assert {name: figures.accuracy for name, figures in metrics.by_task.items()} == {"sum": 0.5, "product": 0.25}
    assert set(metrics.by_data_source) == {"shapes_sum", "shapes_product"}
    # Two prompts with accuracies 0.5 and 0.25: a bootstrap mean cannot leave [0.25, 0.5].
    assert metrics.accuracy_interval == (pytest.approx(0.25), pytest.approx(0.5))


def test_failures_of_a_verifier_are_counted_and_said(tmp_path, fabricate):
    reward = tmp_path / "mine.py"
    reward.write_text(
        "def compute_score(data_source, solution_str, ground_truth, extra_info=None):\n"
        "    failed = 'think' not in solution_str\n"
        "    return {'score': 0.0, 'acc': 0.0, 'status': 'error' if failed else 'wrong', 'pred': ''}\n"
    )
    prompts = fabricate.prompts(tmp_path / "test.parquet", 1)
    fabricate.samples(tmp_path / "run", prompts, [[fabricate.response(10, True), "It is 12.", "It is 13."]])
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    path = evaluate("m", sets, tmp_path / "out", reward=f"{reward}:compute_score", workers=1)
    metrics = read_metrics(path)
    assert metrics.in_distribution().overall.errors == 2
    assert any("verifier failed on 2 of 3 responses" in sentence for sentence in warnings([metrics]))


def test_graded_rollouts_are_kept(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 1)
    fabricate.samples(tmp_path / "run", prompts, [[fabricate.response(10, True), "It is 12."]])
    evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    (shard,) = (tmp_path / "out" / "graded" / "test").glob("*.parquet")
    rows = pq.read_table(shard).to_pylist()
    assert [(row["row_id"], row["right"], row["format"], row["extracted"]) for row in rows] == [
        ("shape-0", True, True, "10"),
        ("shape-0", False, False, "12"),
    ]
    assert rows[1]["response"] == "It is 12." and rows[1]["ground_truth"] == "10"


def test_asked_format_decides_and_its_check_comes_from_the_caller(tmp_path, fabricate):
    test, ood = fabricate.prompts(tmp_path / "t.parquet", 1), fabricate.prompts(tmp_path / "o.parquet", 1, "colon")
    thought, colon = fabricate.response(10, True), "So it is ten. Answer: 10"
    fabricate.samples(tmp_path / "t", test, [[thought, colon]])
    fabricate.samples(tmp_path / "o", ood, [[thought, colon]])
    sets = [EvalSet("test", tmp_path / "t", (test,)), EvalSet("ood", tmp_path / "o", (ood,), role="ood")]
    with pytest.raises(UserError, match=r"shape-0 asks for the format 'colon', for which there is no check"):
        evaluate("m", sets, tmp_path / "out", workers=1)
    checks = {"colon": lambda text: text.endswith("Answer: 10")}
    metrics = read_metrics(evaluate("m", sets, tmp_path / "out", workers=1, format_checks=checks))
    assert metrics.sets["test"].overall.format == 0.5  # only the think/answer response
    assert metrics.sets["ood"].overall.format == 0.5  # only the colon response
    assert metrics.sets["ood"].overall.accuracy == 1.0  # accuracy is lenient about the form
    assert set(metrics.of_role("ood")) == {"ood"}


def test_a_killed_run_goes_on_where_it_was(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 40)
    fabricate.run(tmp_path / "run", prompts, fabricate.quality(0.5, 0.5), n=2)  # shards of 16, 16 and 8 rows
    grader = tmp_path / "reward.py"
    grader.write_text(COUNTING_REWARD)
    calls = tmp_path / "calls"
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    arguments = {"reward": f"{grader}:score", "workers": 1}
    first = evaluate("m", sets, tmp_path / "out", **arguments).read_text()
    assert calls.stat().st_size == 80
    # As if the run had been killed after the first shard: metrics and two shards are missing.
    (tmp_path / "out" / "metrics.json").unlink()
    for shard in sorted((tmp_path / "out" / "graded" / "test").glob("*.parquet"))[1:]:
        shard.unlink()
    again = evaluate("m", sets, tmp_path / "out", **arguments).read_text()
    assert again == first
    assert calls.stat().st_size == 80 + 2 * (16 + 8)
    evaluate("m", sets, tmp_path / "out", **arguments)
    assert calls.stat().st_size == 80 + 2 * (16 + 8)  # complete: nothing is graded again


def test_new_responses_and_new_rewards_are_graded_again(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 4)
    run = fabricate.run(tmp_path / "run", prompts, fabricate.quality(1.0, 1.0), n=2)
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    assert read_metrics(evaluate("m", sets, tmp_path / "out", workers=1)).in_distribution().overall.accuracy == 1.0
    fabricate.run(tmp_path / "other", prompts, fabricate.quality(0.0, 1.0), n=2)
    os.replace(tmp_path / "other" / "shards" / "shard-00000.parquet", run.shard_path(0))
    assert read_metrics(evaluate("m", sets, tmp_path / "out", workers=1)).in_distribution().overall.accuracy == 0.0
    grader = tmp_path / "always.py"
    grader.write_text("def score(data_source, solution_str, ground_truth, extra_info=None):\n    return 1.0\n")
    path = evaluate("m", sets, tmp_path / "out", workers=1, reward=f"{grader}:score")
    assert read_metrics(path).in_distribution().overall.accuracy == 1.0


def test_processes_give_the_same_grades(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 40)
    fabricate.run(tmp_path / "run", prompts, fabricate.quality(0.5, 0.5), n=8)  # shards of 16, 16 and 8 rows
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    # A check that cannot be sent to another process.
    checks = {"colon": lambda text: True}
    alone = evaluate("m", sets, tmp_path / "one", workers=1).read_text()
    assert evaluate("m", sets, tmp_path / "two", workers=2, format_checks=checks).read_text() == alone


def test_a_process_that_always_dies_ends_the_run_with_a_sentence(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 40)
    fabricate.run(tmp_path / "run", prompts, fabricate.quality(0.5, 0.5), n=1)
    grader = tmp_path / "dies.py"
    grader.write_text(
        "import os\n\ndef score(data_source, solution_str, ground_truth, extra_info=None):\n    os._exit(3)\n"
    )
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    with pytest.raises(UserError, match=r"Grading processes keep dying.*shard-\d+\.parquet"):
        evaluate("m", sets, tmp_path / "out", workers=2, reward=f"{grader}:score")


def test_rewards_that_are_no_numbers_are_refused():
    prompt = Prompt("row-7", "", "1", {}, "", "think_answer")
    with pytest.raises(UserError, match=r"row-7: the reward function returned .* score and acc must be finite"):
        grade_responses(lambda *_: {"score": float("nan"), "acc": 1.0}, [(prompt, "1")])


def test_graded_credit_counts_for_pass_at_k_by_the_verifiers_word():
    boxes = grade_of({"score": 0.8, "acc": 0.8, "status": "right"}, "row 0")
    assert boxes.right and boxes.acc == 0.8  # found within the asked overlap: right, with less than full credit
    assert not grade_of({"score": 0.4, "acc": 0.4, "status": "wrong"}, "row 0").right
    assert grade_of(1.0, "row 0").right and not grade_of(0.5, "row 0").right


def test_missing_rows_are_named(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 20)
    run = fabricate.run(tmp_path / "run", prompts, fabricate.quality(0.5, 0.5), n=2)
    run.write_shard(1, [], [])  # rows 16 to 19
    with pytest.raises(UserError, match=r"4 of 20 rows do not have their 2 samples: row 16 \(id shape-16\), row 17"):
        evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_rows_the_sampler_skipped_are_counted_not_missed(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 17)
    run = fabricate.run(tmp_path / "run", prompts, fabricate.quality(1.0, 1.0), n=2)
    run.shard_path(1).unlink()
    run.write_shard(1, [], [{"row": 16, "row_id": "shape-16", "kind": "too_long", "reason": "9,000 tokens"}])
    metrics = read_metrics(
        evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    ).in_distribution()
    assert (metrics.overall.prompts, metrics.skipped_prompts) == (16, 1)


def test_unfinished_and_foreign_runs_are_refused(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 4)
    run = fabricate.run(tmp_path / "run", prompts, fabricate.quality(1.0, 1.0), n=2)
    other = fabricate.prompts(tmp_path / "other.parquet", 5)
    with pytest.raises(UserError, match="sampled from other data"):
        evaluate("m", [EvalSet("test", tmp_path / "run", (other,))], tmp_path / "out", workers=1)
    run.shard_path(0).rename(tmp_path / "lost")
    with pytest.raises(UserError, match=r"not complete \(shard-00000.parquet is not there\)"):
        evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    (tmp_path / "lost").rename(run.shard_path(0))
    (run.path / "summary.json").unlink()
    with pytest.raises(UserError, match=r"run is not complete\. Start"):
        evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    with pytest.raises(UserError, match="no such data file"):
        evaluate("m", [EvalSet("test", tmp_path / "run", (tmp_path / "gone.parquet",))], tmp_path / "out", workers=1)


def test_sets_are_checked_before_anything_is_read(tmp_path):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UserError, match="no set has the role `id`"):
        evaluate("m", [EvalSet("ood", nowhere, (nowhere,), role="ood")], tmp_path)
    with pytest.raises(UserError, match="two sets have the same name"):
        evaluate("m", [EvalSet("a", nowhere, (nowhere,)), EvalSet("a", nowhere, (nowhere,))], tmp_path)
    with pytest.raises(UserError, match="becomes a directory"):
        EvalSet("../up", nowhere, (nowhere,))
    with pytest.raises(UserError, match="role must be one of"):
        EvalSet("a", nowhere, (nowhere,), role="train")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("reward_fns", "write module:function"),
        ("no_such_package:score", "cannot be loaded"),
        ("reward_fns:no_such_function", "cannot be loaded"),
        ("/nowhere/reward.py:score", "is no Python file"),
        ("reward_fns:__doc__", "is no function"),
    ],
)
def test_reward_functions_that_cannot_be_loaded(spec, message):
    with pytest.raises(UserError, match=message):
        load_function(spec, "Reward function")


def test_damaged_metrics_files_are_told_apart(tmp_path):
    for content, message in (
        ("{", "not JSON"),
        ("[]", "not a metrics file"),
        (json.dumps({"schema": 1, "model": "m", "seed": 0, "sets": {"test": {}}}), "damaged"),
    ):
        path = tmp_path / "metrics.json"
        path.write_text(content)
        with pytest.raises(UserError, match=message):
            read_metrics(path)
    with pytest.raises(UserError, match="cannot read the metrics"):
        read_metrics(tmp_path / "gone.json")


def test_empty_responses_and_a_single_sample(tmp_path, fabricate):
    """Nothing is lost: an empty response is a wrong one in no format, and one sample has pass@1 and majority@1."""
    prompts = fabricate.prompts(tmp_path / "test.parquet", 2)
    fabricate.samples(tmp_path / "run", prompts, [[""], [fabricate.response(11, True)]])
    path = evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    metrics = read_metrics(path).in_distribution()
    overall = metrics.overall
    assert (overall.responses, overall.accuracy, overall.format, overall.no_answer) == (2, 0.5, 0.5, 0.5)
    assert overall.pass_at_k == overall.majority_at_k == {1: 0.5} and overall.both == 0.5
    assert metrics.exploration.stuck == 0.0 and metrics.exploration.distinct_answers == 0.5
    assert set(overall.intervals) == {"accuracy", "format", "both", "mean_tokens", "truncated", "pass@1", "majority@1"}


def test_half_a_graded_shard_is_graded_again(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 2)
    fabricate.samples(tmp_path / "run", prompts, [[fabricate.response(10, True)], ["no"]])
    sets = [EvalSet("test", tmp_path / "run", (prompts,))]
    first = evaluate("m", sets, tmp_path / "out", workers=1).read_text()
    (shard,) = (tmp_path / "out" / "graded" / "test").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    assert evaluate("m", sets, tmp_path / "out", workers=1).read_text() == first


def test_damage_that_the_report_meets_is_one_sentence(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "test.parquet", 2)
    fabricate.samples(tmp_path / "run", prompts, [[fabricate.response(10, True)], ["no"]])
    path = evaluate("m", [EvalSet("test", tmp_path / "run", (prompts,))], tmp_path / "out", workers=1)
    (shard,) = (tmp_path / "out" / "graded" / "test").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"graded/test: graded rollouts that cannot be read .*specs evaluate again"):
        collect(ReportInputs(metrics=(path,)))
    path.write_text(path.read_text().replace('"accuracy": 0.5', '"accuracy": NaN', 1))
    with pytest.raises(UserError, match="damaged"):
        read_metrics(path)
