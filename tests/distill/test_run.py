"""A whole distillation on hand-written samples: which pairs come out and what is counted."""

import json
from pathlib import Path

import pytest

from reward_fns.formats import think_answer
from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.corrupt import KINDS
from specs_verl.distill.select import Selection
from specs_verl.errors import UserError

from . import building


@pytest.fixture
def sources(tmp_path):
    """200 prompts and the samples of two models."""
    prompts = building.write_prompts(tmp_path / "prompts.parquet", 200)
    zero, base = building.random_runs(tmp_path, prompts, 200)
    return prompts, zero, base


def job(sources, out, **pairing):
    prompts, zero, base = sources
    return Distillation((prompts,), zero, base, str(out), Pairing(**pairing), workers=1)


def stated(text):
    """The value in the box: an independent reading of the answer, by nothing but string search."""
    return text.rpartition("\\boxed{")[2].partition("}")[0]


def test_decoupled_pairs_differ_in_form_only(sources, tmp_path):
    report = distill(job(sources, tmp_path / "out", seed=1))
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    assert len(rows) == report["pairs"] > 150
    for row in rows:
        truth = row["reward_model"]["ground_truth"]
        assert stated(row["chosen"]) == stated(row["rejected"]) == truth
        assert think_answer(row["chosen"]) and not think_answer(row["rejected"])
        assert row["chosen"] != row["rejected"]
        assert row["images"][0]["bytes"] == building.image_bytes(row["row"]), "the pair must keep its own row's image"
        assert row["extra_info"]["id"] == row["row_id"] == f"q{row['row']}"
    shares = [report["corruptions"][kind] / len(rows) for kind in KINDS]
    assert max(shares) - min(shares) < 0.01, "every corruption fits these texts, so their counts differ by one at most"


def test_coupled_pairs_differ_in_correctness_too(sources, tmp_path):
    distill(job(sources, tmp_path / "out", kind="coupled"))
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    assert len(rows) > 100
    for row in rows:
        truth = int(row["reward_model"]["ground_truth"])
        assert int(stated(row["chosen"])) == truth
        assert int(stated(row["rejected"])) == truth + 1
        assert not think_answer(row["rejected"])


def test_funnel_counts_every_step(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 4)
    # Row 0 (truth 10): a pair. Row 1 (11): reasoning says 99. Row 2: skipped. Row 3 (13): base never right.
    zero = [[building.whole(10, 10)], [building.whole(99, 11)], None, [building.whole(13, 13)]]
    base = [[building.bare(10)], [building.bare(11)], [building.bare(12)], [building.bare(5)]]
    runs = [building.write_run(tmp_path / name, prompts, r) for name, r in (("zero", zero), ("base", base))]
    report = distill(Distillation((prompts,), *runs, str(tmp_path / "out"), Pairing(), workers=1))
    assert report["pairs"] == 1
    assert report["funnel"] == {
        "prompts": 4,
        "prompts: not sampled": 1,
        "prompts: nothing to choose": 1,
        "prompts: nothing to reject": 1,
        "pairs": 1,
        "chosen: right": 3,
        "chosen: well formed": 3,
        "chosen: kept by the judge": 2,
        "judge: supports": 2,
        "judge: contradicts": 1,
        "rejected: right": 3,
        "rejected: wrong": 1,
    }
    assert report["losses"]["chosen"]["prompts"] == {"corrupt_image": 1}
    assert report["losses"]["chosen"]["reasons"] == ["made up"]
    assert report["losses"]["rejected"]["prompts"] == {}
    (pair,) = building.read(tmp_path / "out" / "pairs.parquet")
    assert (pair["rejected_origin"], pair["judge"], pair["rejected_pass_rate"]) == ("completed", "supports", 1.0)


def test_without_judge_contradicting_reasoning_stays(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 1)
    zero = building.write_run(tmp_path / "zero", prompts, [[building.whole(99, 10)]])
    base = building.write_run(tmp_path / "base", prompts, [[building.bare(10)]])
    pairing = Pairing(judge="none")
    assert distill(Distillation((prompts,), zero, base, str(tmp_path / "o"), pairing, workers=1))["pairs"] == 1


def test_badly_formed_base_samples_as_they_are(sources, tmp_path):
    distill(job(sources, tmp_path / "out", natural=1.0))
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    untouched = [row for row in rows if row["corruption"] == "natural"]
    assert untouched and all(row["rejected"] == building.bare(10 + row["row"]) for row in untouched)


def test_natural_rejections_by_share(sources, tmp_path):
    report = distill(job(sources, tmp_path / "out", natural=0.3))
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    natural = [row for row in rows if row["corruption"] == "natural"]
    # Nearly every prompt has samples of both kinds, so the running share stays within a pair or two of 0.3.
    assert len(natural) == report["corruptions"]["natural"] == pytest.approx(0.3 * len(rows), abs=3)
    for row in natural:
        assert row["rejected"] == building.bare(10 + row["row"]) and row["rejected_origin"] == "natural"
    counts = [report["corruptions"][kind] for kind in KINDS]
    assert max(counts) - min(counts) <= 1, "the five corruptions share the rest evenly"


def test_the_strict_pair_is_one_text_with_one_corruption(sources, tmp_path):
    prompts, zero, _ = sources
    pairing = Pairing(corrupted_chosen=True)
    report = distill(Distillation((prompts,), zero, zero, str(tmp_path / "out"), pairing, workers=1))
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    assert len(rows) == report["pairs"] > 150

    def characters(text):
        for tag in ("<think>", "</think>", "<answer>", "</answer>", "Answer:"):
            text = text.replace(tag, "")
        return text.split()

    for row in rows:
        assert row["chosen_sample"] == row["rejected_sample"] and row["reasoning_distance"] == 0
        assert characters(row["chosen"]) == characters(row["rejected"]), "not a word is added or lost"
        assert think_answer(row["chosen"]) and not think_answer(row["rejected"])
    assert max(report["corruptions"].values()) - min(report["corruptions"].values()) <= 1
    assert report["reasoning"]["identical"] == len(rows)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "the rejected response is the chosen one with one corruption" in card
    with pytest.raises(UserError, match="pass the chosen samples for both sides"):
        distill(Distillation((prompts,), *sources[1:], str(tmp_path / "other"), pairing, workers=1))


def test_the_card_says_how_far_the_reasoning_differs(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)
    zero = building.write_run(tmp_path / "zero", prompts, [[building.whole(10, 10)], [building.whole(11, 11)]])
    hasty = building.bare(11).replace("3+4=11", "Guess!")
    base = building.write_run(tmp_path / "base", prompts, [[building.bare(10)], [hasty]])
    report = distill(Distillation((prompts,), zero, base, str(tmp_path / "out"), workers=1))
    # Row 0: the same. Row 1: "3+4=11." against "Guess!.": six of seven characters are others.
    assert report["reasoning"]["mean_distance"] == pytest.approx((0 + 6 / 7) / 2)
    assert (report["reasoning"]["identical"], report["reasoning"]["soundness"]) == (1, [{}, {}])
    assert report["reasoning"]["mean_chosen_length"] == report["reasoning"]["mean_rejected_length"] == 7
    assert "42.9 % of the longer one on average; the same text in 1 of 2" in (tmp_path / "out/README.md").read_text()


def test_same_seed_same_pairs_other_seed_others(sources, tmp_path):
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        distill(job(sources, tmp_path / name, seed=seed))
        rows = building.read(tmp_path / name / "pairs.parquet")
        texts.append([(row["chosen_sample"], row["rejected"]) for row in rows])
    assert texts[0] == texts[1] != texts[2]


def test_provenance_names_models_parameters_and_seed(sources, tmp_path):
    distill(job(sources, tmp_path / "out", seed=4))
    row = building.read(tmp_path / "out" / "pairs.parquet")[0]
    provenance = json.loads(row["provenance"])
    assert provenance["chosen"]["model_fingerprint"] == "c-zero"
    assert provenance["rejected"]["model_fingerprint"] == "c-base"
    assert provenance["pairing"]["seed"] == 4 and provenance["pairing"]["judge"] == "rule"


def test_another_judge_grades_again(sources, tmp_path):
    out = tmp_path / "out"
    distill(job(sources, out, judge="none"))
    report = distill(job(sources, out, judge="rule"))
    assert report["funnel"]["chosen: kept by the judge"] > 0


def test_samples_of_other_prompts_are_refused(sources, tmp_path):
    other = building.write_prompts(tmp_path / "other.parquet", 5)
    with pytest.raises(UserError, match=r"not of .*other\.parquet"):
        distill(job((other, *sources[1:]), tmp_path / "out"))


def test_unfinished_samples_are_refused(sources, tmp_path):
    (Path(sources[2]) / "summary.json").unlink()
    with pytest.raises(UserError, match="not complete"):
        distill(job(sources, tmp_path / "out"))


def test_no_pair_at_all_is_an_error_with_the_counts(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)
    wrong = [[building.whole(1, 1)], [building.whole(1, 1)]]
    runs = [building.write_run(tmp_path / name, prompts, wrong) for name in ("zero", "base")]
    with pytest.raises(UserError, match=r"no prompt gave a pair.*'chosen: wrong': 2"):
        distill(Distillation((prompts,), *runs, str(tmp_path / "out"), Pairing(), workers=1))


def test_selection_bounds_number_and_length_gap(sources, tmp_path):
    prompts, zero, base = sources
    selection = Selection(max_pairs=50, max_length_gap=2.0)
    report = distill(Distillation((prompts,), zero, base, str(tmp_path / "o"), Pairing(), selection, workers=1))
    rows = building.read(tmp_path / "o" / "pairs.parquet")
    assert 45 <= len(rows) == report["pairs"] <= 50
    # 50 pairs over five corruptions and four ranges of pass rate: 10 each, rounded in every range.
    assert all(8 <= count <= 12 for count in report["corruptions"].values())
    assert report["dropped"]["balance"] > 100
    assert abs(report["mean_chosen_length"] - report["mean_rejected_length"]) <= 2.0
    assert sum(chosen for _, _, chosen, _ in report["lengths"]) == len(rows)
    assert not (tmp_path / "o" / "staged.parquet").exists()


def test_a_prompt_that_occurs_twice_gives_one_pair(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2, same=True)
    samples = [[building.whole(10, 10)], [building.whole(10, 10)]]
    runs = [building.write_run(tmp_path / name, prompts, samples) for name in ("zero", "base")]
    report = distill(Distillation((prompts,), *runs, str(tmp_path / "out"), workers=1))
    assert (report["pairs"], report["dropped"]["duplicates"]) == (1, 1)


def test_matched_lengths_take_the_nearest_chosen_sample(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 1)
    long = building.whole(10, 10).replace("3+4", "I look at the picture for a while: 3+4")
    zero = building.write_run(tmp_path / "zero", prompts, [[long, building.whole(10, 10), long]])
    base = building.write_run(tmp_path / "base", prompts, [[building.whole(10, 10)]])
    for seed in range(5):
        out = str(tmp_path / f"out{seed}")
        distill(Distillation((prompts,), zero, base, out, Pairing(match_length=True, seed=seed), workers=1))
        (pair,) = building.read(tmp_path / f"out{seed}" / "pairs.parquet")
        assert pair["chosen_sample"] == 1


def test_a_ground_truth_that_cannot_be_read_is_counted(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [building.row(0, 10), building.row(1, "no number at all")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    prompts = str(tmp_path / "p.parquet")
    samples = [[building.whole(10, 10)], [building.whole(11, 11)]]
    runs = [building.write_run(tmp_path / name, prompts, samples) for name in ("zero", "base")]
    report = distill(Distillation((prompts,), *runs, str(tmp_path / "out"), workers=1))
    assert report["pairs"] == 1
    assert report["funnel"]["prompts: ground truth cannot be read"] == 1
    assert report["funnel"]["chosen: unparsable_gold"] == report["funnel"]["rejected: unparsable_gold"] == 1
