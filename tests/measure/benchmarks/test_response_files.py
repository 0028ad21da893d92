"""The files for the official evaluators: their columns and keys, our responses in the right places."""

import json
import re

import pandas as pd
import published_rows as published
import pytest

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.prepare import prepare
from specs_verl.measure.benchmarks.registry import BENCHMARKS
from specs_verl.measure.benchmarks.response_files import answer_of, write_megabench, write_vlmevalkit


@pytest.fixture
def sampled(tmp_path, fabricate):
    """The prepared file of a benchmark and a sampling run of it."""

    def make(name, responses, prompt="specs"):
        getattr(published, name)(tmp_path / "published")
        file = tmp_path / f"{name}.parquet"
        prepare(BENCHMARKS[name], tmp_path / "published", file, prompt=prompt)
        return file, fabricate.samples(tmp_path / "run", file, [[text] for text in responses]).path

    return make


def table_of(path, **columns):
    """A table as VLMEvalKit publishes them."""
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False)
    return path


def written(path):
    """As VLMEvalKit's smp/file.py loads it: types guessed, empty cells missing."""
    return pd.read_csv(path, sep="\t")


def test_vlmevalkit_gets_its_own_table_with_our_predictions(sampled, tmp_path):
    texts = ["line\nbreak", 'a "quote"', "a\ttab", "4"]
    file, samples = sampled("mathvista", texts)
    table = table_of(
        tmp_path / "MathVista_MINI.tsv", index=["4", "3", "2", "1"], question="q", image="aGk=", answer=list("dcba")
    )

    def write(benchmark="mathvista", **settings):
        return write_vlmevalkit(BENCHMARKS[benchmark], samples, file, table, "m", tmp_path / "out", **settings)

    path = write()
    # run.py --reuse looks in folders T<day>-<time> and T<day>_G<commit> only
    assert path.parent.parent == tmp_path / "out" / "m" and path.name == "m_MathVista_MINI.tsv"
    assert re.fullmatch(r"T\d{8}_G[0-9a-fA-F]+", path.parent.name)
    back = written(path)
    assert list(back.columns) == ["index", "question", "answer", "response", "prediction"]
    assert list(back["prediction"]) == texts[::-1] == list(back["response"])
    with pytest.raises(UserError, match="4 of 4 rows have no response, the first is 'd'; ours are like '1'"):
        write(id_of="{answer}")
    with pytest.raises(UserError, match=r"--id-of '\{pid\}' does not fit its columns index, question"):
        write(id_of="{pid}")
    with pytest.raises(UserError, match=r"MathVista_MINI is no data set .* for We-Math \(WeMath\)"):
        write("wemath")


def test_cells_that_evaluators_would_lose_or_break_on(sampled, tmp_path):
    """A carriage return is no end of a row; nothing is read as missing, on which We-Math's rule stops."""
    texts = ["<think> a\rb </think><answer>\r4\r</answer>", "", "None", "<answer> N/A </answer>"]
    file, samples = sampled("mathvista", texts)
    table = table_of(tmp_path / "MathVista_MINI.tsv", index=list("1234"), question="q")
    out = tmp_path / "out"
    back = written(write_vlmevalkit(BENCHMARKS["mathvista"], samples, file, table, "m", out))
    assert list(back["index"]) == [1, 2, 3, 4] and back["prediction"].notna().all()
    assert [str(text).strip() for text in back["prediction"]] == ["4", "", "None", "N/A"]
    whole = written(write_vlmevalkit(BENCHMARKS["mathvista"], samples, file, table, "m", out, whole=True))
    assert whole["prediction"][0] == texts[0] and whole["response"][0] == texts[0]


ANSWERS = [
    ("<think> A or B? </think><answer> The answer is $\\boxed{B}$ </answer>", "B"),
    ("<think> x </think> <answer> 12 cm </answer>", "12 cm"),
    ("<think> \\boxed{3}? </think> So it is 4.", "So it is 4."),
    ("I add them: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
    ("The answer is C.", "The answer is C."),
    ("<think> cut off: maybe \\boxed{B}", "<think> cut off: maybe \\boxed{B}"),
    ("<think> A or \\boxed{B}? </think>", ""),
    ("<think> A, so: </think><answer>  </answer>", ""),
    ("<answer></answer>", ""),
]


@pytest.mark.parametrize(("response", "answer"), ANSWERS)
def test_the_prediction_is_the_answer_alone(response, answer):
    assert answer_of(response) == answer


def test_a_box_is_left_in_answers_whose_format_may_ask_for_one():
    assert answer_of("<think> x </think><answer> Answer: \\boxed{3} m </answer>", boxed=False) == "Answer: \\boxed{3} m"


def test_rows_of_other_splits_are_there_without_predictions(sampled, tmp_path, capsys):
    """MMMU_DEV_VAL.tsv holds 150 questions of dev, which are scored for themselves."""
    file, samples = sampled("mmmu", ["<answer> A </answer>", "B", "4"])
    names = ["dev_Math_1", "validation_Math_2", "validation_Art_1", "validation_Math_1"]
    columns = {"index": [0, 1, 2, 3], "id": names, "question": "q", "split": [name.partition("_")[0] for name in names]}
    table = table_of(tmp_path / "MMMU_DEV_VAL.tsv", **columns)
    back = written(write_vlmevalkit(BENCHMARKS["mmmu"], samples, file, table, "m", tmp_path / "out"))
    assert list(back["prediction"].str.strip()) == ["", "4", "A", "B"]
    assert "1 rows of other splits have empty predictions" in capsys.readouterr().err
    table_of(table, **{**columns, "split": "validation"})
    with pytest.raises(UserError, match="1 of 4 rows have no response, the first is 'dev_Math_1'"):
        write_vlmevalkit(BENCHMARKS["mmmu"], samples, file, table, "m", tmp_path / "out")


def test_both_settings_of_mmmu_pro_have_a_file(sampled, tmp_path):
    file, samples = sampled("mmmu_pro", ["J", "A", "C"])
    expected = {"MMMU_Pro_10c": (["test_Math_1"], ["J"]), "MMMU_Pro_V": (["test_Math_1", "test_Art_2"], ["A", "C"])}
    for name, (ids, answers) in expected.items():
        table = table_of(tmp_path / f"{name}.tsv", index=range(len(ids)), id=ids, question="q")
        path = write_vlmevalkit(BENCHMARKS["mmmu_pro"], samples, file, table, "m", tmp_path / "out")
        assert path.name == f"m_{name}.tsv" and list(written(path)["prediction"]) == answers


def test_megabench_gets_its_response_file(sampled, tmp_path):
    """The keys that MEGA-Bench's evaluation_processor.py and task_processor.py read, and VLMEvalKit's evaluator.py."""
    file, samples = sampled("megabench", ["Answer: 3", "<think> x </think><answer> Answer: 6 </answer>"], prompt="none")
    (task,) = json.loads(write_megabench(samples, file, tmp_path / "published", tmp_path / "out").read_text())
    assert task["task_name"] == "count_things" and task["global_description"] == "Count. Answer: X."
    assert task["task_description"] == "Count. Answer: X."
    assert task["global_images"] == [] and task["example_info"]["image_paths"] == ["./data/a.png"]
    first, second = task["query_response"]
    assert first == {
        "response": "Answer: 3", "correct_answer": {"answer": "3"}, "global_idx": "17", "task_idx": 0,
        "images": ["./data/a.png"], "query_text": "<image> How many?", "query_idx": 0, "question": "<image> How many?",
    }  # fmt: skip
    assert (second["response"], second["task_idx"]) == ("Answer: 6", 1)
