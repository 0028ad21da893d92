"""The files for the official evaluators: their columns and keys, our responses in the right places."""

import json

import pandas as pd
import published_rows as published
import pytest

from specs_verl.errors import UserError
from specs_verl.measure.benchmarks.prepare import prepare
from specs_verl.measure.benchmarks.registry import BENCHMARKS
from specs_verl.measure.benchmarks.response_files import write_megabench, write_vlmevalkit


@pytest.fixture
def sampled(tmp_path, fabricate):
    """The prepared file of a benchmark and a sampling run of it."""

    def make(name, responses, prompt="specs"):
        getattr(published, name)(tmp_path / "published")
        file = tmp_path / f"{name}.parquet"
        prepare(BENCHMARKS[name], tmp_path / "published", file, prompt=prompt)
        return file, fabricate.samples(tmp_path / "run", file, [[text] for text in responses]).path

    return make


def test_vlmevalkit_gets_its_own_table_with_our_predictions(sampled, tmp_path):
    texts = ["line\nbreak", 'a "quote"', "a\ttab", ""]
    file, samples = sampled("mathvista", texts)
    table = tmp_path / "MathVista_MINI.tsv"
    columns = {"index": ["4", "3", "2", "1"], "question": "q", "image": "aGk=", "answer": ["d", "c", "b", "a"]}
    pd.DataFrame(columns).to_csv(table, sep="\t", index=False)

    def write(*pattern):
        return write_vlmevalkit(BENCHMARKS["mathvista"], samples, file, table, "m", tmp_path / "out", *pattern)

    path = write()
    assert path == tmp_path / "out" / "m" / "m_MathVista_MINI.tsv"
    back = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    assert list(back.columns) == ["index", "question", "answer", "prediction"]
    assert list(back["prediction"]) == texts[::-1]
    with pytest.raises(UserError, match="4 of 4 rows have no response, the first is 'd'; ours are like '1'"):
        write("{answer}")
    with pytest.raises(UserError, match=r"--id-of '\{pid\}' does not fit its columns index, question"):
        write("{pid}")


def test_megabench_gets_its_response_file(sampled, tmp_path):
    """The keys that MEGA-Bench's evaluation_processor.py and task_processor.py read."""
    file, samples = sampled("megabench", ["Answer: 3", "Answer: 6"], prompt="none")
    (task,) = json.loads(write_megabench(samples, file, tmp_path / "published", tmp_path / "out").read_text())
    assert task["task_name"] == "count_things" and task["global_description"] == "Count. Answer: X."
    assert task["global_images"] == [] and task["example_info"]["image_paths"] == ["./data/a.png"]
    first, second = task["query_response"]
    assert first == {
        "response": "Answer: 3", "correct_answer": {"answer": "3"}, "global_idx": "17", "task_idx": 0,
        "images": ["./data/a.png"], "query_text": "<image> How many?",
    }  # fmt: skip
    assert (second["response"], second["task_idx"]) == ("Answer: 6", 1)
