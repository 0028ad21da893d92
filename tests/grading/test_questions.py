"""Graders are told what was asked, as the reward manager is in training."""

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.grading.responses import GRADING_COLUMNS, Question
from specs_verl.measure.rollouts import read_prompts

ROW = {
    "data_source": "made-up",
    "prompt": [{"role": "user", "content": "<image>When does it reach 2?"}],
    "reward_model": {"ground_truth": "1", "verifier": "number"},
    "extra_info": {"id": "r0"},
}


def test_the_question_of_a_row_is_that_of_its_prompt():
    assert set(ROW) == set(GRADING_COLUMNS)
    assert Question.of_row(ROW, "row 0").extra_info["question"] == "When does it reach 2?"


def test_evaluation_reads_it_from_the_file(tmp_path):
    pq.write_table(pa.Table.from_pylist([ROW]), tmp_path / "test.parquet")
    (prompt,) = read_prompts([tmp_path / "test.parquet"])
    assert prompt.extra_info["question"] == "When does it reach 2?" and prompt.extra_info["verifier"] == "number"
