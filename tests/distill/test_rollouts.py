"""Pairs from a rollout dump, written as verl's trainer writes it: STEP.jsonl with input, output, gts and the score."""

import argparse
import json

import pytest

from specs_verl.distill import cli
from specs_verl.errors import UserError

from . import building


def line(row, text, **more):
    """A rollout; the prompt is decoded without special tokens, so the image leaves nothing."""
    question = f"system\nYou are helpful.\nuser\nQuestion {row}?\nassistant\n"
    return {"input": question, "output": text, "gts": str(10 + row), "score": 0.0, "step": 1, **more}


def told(row, text, cut_off=0.0):
    return line(row, text, row_id=f"q{row}", cut_off=cut_off, response_length=7)


def dump(folder, steps):
    folder.mkdir()
    for step, lines in steps.items():
        (folder / f"{step}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return folder


def run(tmp_path, prompts, rollouts):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    given = ["--recipe", "rollouts", "--rollouts", rollouts, "--prompts", prompts, "--out", tmp_path / "out"]
    assert cli.run(parser.parse_args([*map(str, given), "--workers", "1", "--quiet"])) == 0
    return {row["row"]: row for row in building.read(tmp_path / "out" / "pairs.parquet")}


def test_groups_with_both_forms_become_natural_pairs(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 4)
    whole, bare = (
        [building.whole(10 + row, 10 + row) for row in range(4)],
        [building.bare(10 + row) for row in range(4)],
    )
    # Step 10 comes after step 2. Row 0: both forms, in different steps. Row 1: the badly formed one was cut off, so the
    # whole one is corrupted. Row 2: never right. Row 3: not sampled.
    steps = {
        10: [told(0, whole[0]), told(1, whole[1]), told(1, bare[1], cut_off=1.0)],
        2: [told(0, bare[0]), told(2, building.whole(5, 5))],
    }
    pairs = run(tmp_path, prompts, dump(tmp_path / "dump", steps))
    assert set(pairs) == {0, 1}
    assert (pairs[0]["chosen"], pairs[0]["rejected"], pairs[0]["corruption"]) == (whole[0], bare[0], "natural")
    assert (pairs[0]["chosen_sample"], pairs[0]["rejected_sample"]) == (1, 0), "step 2 is before step 10"
    assert pairs[1]["chosen"] == whole[1] and pairs[1]["corruption"] != "natural"
    funnel = building.report_of(tmp_path / "out")["funnel"]
    assert funnel["prompts: not sampled"] == funnel["prompts: nothing to choose"] == 1
    assert funnel["rejected: cut off"] == 1
    card = (tmp_path / "out" / "README.md").read_text()
    # Five rollouts of seven tokens, on both sides of the pairs, named once.
    assert card.count("5 responses (35 tokens)") == card.count("no sampling time for these pairs") == 1
    assert set(run(tmp_path, prompts, tmp_path / "dump")) == {0, 1}, "the same call again finds the import there"


def test_a_dump_without_ids_is_matched_by_question_and_truth(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 3)
    lines = [line(2, building.whole(12, 12)), line(2, building.bare(12)), line(0, building.whole(10, 10))]
    pairs = run(tmp_path, prompts, dump(tmp_path / "dump", {1: lines}))
    assert set(pairs) == {0, 2}
    assert pairs[2]["corruption"] != "natural", "whether the badly formed one was cut off is not known"


def test_what_cannot_be_matched_is_named(tmp_path):
    same = building.write_prompts(tmp_path / "same.parquet", 2, same=True)
    text = building.whole(10, 10)
    with pytest.raises(UserError, match=r"1\.jsonl, line 1: 2 of the prompts have the question 'Question 0\?'"):
        run(tmp_path, same, dump(tmp_path / "a", {1: [line(0, text)]}))
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)
    with pytest.raises(UserError, match=r"1\.jsonl, line 2: none of the prompts have the id q7"):
        run(tmp_path, prompts, dump(tmp_path / "b", {1: [told(0, text), told(7, text)]}))
    (tmp_path / "b" / "1.jsonl").write_text('{"input": "x"')
    with pytest.raises(UserError, match=r"line 1: not JSON"):
        run(tmp_path, prompts, tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no rollouts there"):
        run(tmp_path, prompts, tmp_path / "empty")
