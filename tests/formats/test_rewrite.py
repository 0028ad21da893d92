"""Rewriting data sets: the question stays, the instruction goes, and what cannot be rewritten is named."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import nano
from data_prep.nano.formats import parse, prompt
from data_prep.prompts import PROMPTS
from specs_verl.cli import main
from specs_verl.errors import UserError
from specs_verl.formats.instructions import asks_for_format, removed, replaced
from specs_verl.formats.registry import FORMATS, chosen
from specs_verl.formats.reward import compute_score
from specs_verl.formats.rewrite import rewrite, turn

JSON = FORMATS["json_object"]
INSTRUCTION = PROMPTS["think_answer"].instruction


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r"<image>Find x. Put the answer in \boxed{}.", "<image>Find x."),
        (f"<image>What is $x$? It is 3.5 m.\n{INSTRUCTION}", "<image>What is $x$? It is 3.5 m."),
        (
            r"<image>How long is AB? Please reason step by step, and put your final answer within \boxed{}.",
            "<image>How long is AB?",
        ),
        ("Think in <think> </think>.\nThen say it in <answer> </answer>.\nWhat is 2 < 3?", "What is 2 < 3?"),
        (r"First read. Use <think>. Keep calm. End with \boxed{}. What is 5?", "First read. What is 5?"),
    ],
)
def test_the_instruction_goes_and_the_question_stays(text, kept):
    assert removed(text) == kept
    assert replaced(text, JSON) == f"{kept}\n{JSON.instruction}"


def test_an_instruction_given_word_for_word():
    assert removed("Count them. Answer briefly!", "Answer briefly!") == "Count them."
    with pytest.raises(UserError, match="'Answer at length' is not in the prompt 'Count them"):
        removed("Count them. Answer briefly!", "Answer at length")
    with pytest.raises(UserError, match="no format instruction found"):
        removed("Count them. Answer briefly!")
    assert replaced("Count them.", JSON, append=True) == f"Count them.\n{JSON.instruction}"


def test_nano_rows_are_rewritten_without_touching_anything_else(tmp_path):
    source = nano.write_data(tmp_path, n_train=60, n_test=6)["train"]
    counts = rewrite([source], tmp_path / "ood.parquet", chosen(None))
    before, after = (pq.read_table(path).to_pylist() for path in (source, tmp_path / "ood.parquet"))
    assert sum(counts.values()) == 60 and set(counts) == set(FORMATS)
    for old, new in zip(before, after, strict=True):
        question = "<image>" + old["extra_info"]["question"]
        form = FORMATS[new["extra_info"]["format"]]
        assert new["prompt"] == [{"role": "user", "content": f"{question}\n{form.instruction}"}]
        assert new["extra_info"]["id"] == f"{old['extra_info']['id']}@{form.name}"
        assert {key: new[key] for key in ("images", "reward_model", "data_source")} == {
            key: old[key] for key in ("images", "reward_model", "data_source")
        }


def test_a_share_of_training_prompts_asks_for_other_formats_but_not_for_those_of_the_evaluation(tmp_path, capsys):
    files = nano.write_data(tmp_path, n_train=200, n_test=60)
    out = tmp_path / "several.parquet"
    words = ["formats", "--data", str(files["train"]), "--out", str(out), "--share", "0.5"]
    assert main([*words, "--format", "pair_names", "--held-out", str(files["ood"])]) == 0
    before, after = (pq.read_table(path).to_pylist() for path in (files["train"], out))
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    # 200 draws with p = 0.5: standard deviation 7.1, four of them on each side.
    assert 72 <= len(changed) <= 128
    assert f"as it was: {200 - len(changed)} rows" in capsys.readouterr().out
    for row in changed:
        form = parse(row["extra_info"]["format"])
        assert row["prompt"][0]["content"] == prompt(row["extra_info"]["question"], form)
    # Thirty formats take turns.
    assert len({row["extra_info"]["format"] for row in changed}) == 30
    evaluated = pq.read_table(files["ood"]).to_pylist()[0]["extra_info"]["format"]
    assert main([*words, "--format", evaluated]) == 2
    assert main([*words, "--format", "json_object", "--share", "1.5"]) == 2
    assert main([*words, "--format", "json_object", "--held-out", str(tmp_path / "judged.parquet")]) == 2
    rewrite([files["test"]], tmp_path / "judged.parquet", (JSON,))
    assert main([*words, "--format", "json_object", "--held-out", str(tmp_path / "judged.parquet")]) == 2
    assert "row 0 asks for the format json_object, and so would training" in capsys.readouterr().err


def test_formats_meet_every_task():
    """Two tasks in turn and four formats: without the shift each format would see one task only."""
    met = {(turn(index, 4), index % 2) for index in range(16)}
    assert len(met) == 8
    assert sorted(turn(index, 4) for index in range(4)) == [0, 1, 2, 3]


def write(path, prompts):
    rows = [{"data_source": "d", "prompt": prompt, "reward_model": {"ground_truth": "4"}} for prompt in prompts]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_a_system_message_that_asks_for_the_trained_format_goes(tmp_path):
    system = {"role": "system", "content": r"Reason in <think>, then \boxed{}."}
    plain = {"role": "system", "content": "You are kind."}
    user = {"role": "user", "content": "What is 2+2?"}
    source = write(tmp_path / "a.parquet", [[system, user], [plain, system, user]])
    rewrite([source], tmp_path / "b.parquet", (JSON,))
    first, second = (row["prompt"] for row in pq.read_table(tmp_path / "b.parquet").to_pylist())
    assert first == [{"role": "user", "content": f"What is 2+2?\n{JSON.instruction}"}]
    assert second[0] == plain and len(second) == 2
    assert asks_for_format(system["content"]) and not asks_for_format(JSON.instruction)


def test_a_row_without_instruction_is_named_and_nothing_is_written(tmp_path, capsys):
    asking = [{"role": "user", "content": r"2+2? Use \boxed{}."}]
    source = write(tmp_path / "a.parquet", [asking, [{"role": "user", "content": "2+2?"}]])
    out = tmp_path / "out.parquet"
    assert main(["formats", "--data", source, "--out", str(out)]) == 2
    assert "a.parquet, row 1: no format instruction found" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
    assert main(["formats", "--data", source, "--out", str(out), "--append", "--format", "closing_sentence"]) == 0
    assert "closing_sentence: 2 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "rhyme"], "No output format is called 'rhyme'. Known: answer_line"),
        (["--rows", "0"], "--rows must be at least 1"),
        ([], "gone.parquet: no such data file"),
    ],
)
def test_mistakes(words, message, tmp_path, capsys):
    words = ["formats", "--data", str(tmp_path / "gone.parquet"), "--out", str(tmp_path / "x.parquet"), *words]
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_list_shows_every_format(capsys):
    assert main(["formats", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in FORMATS)
    assert main(["formats"]) == 2


GRADED = [
    ("number", "12", "12", "13"),
    ("math", r"\frac{1}{2}", "0.5", r"\frac{1}{3}"),
    ("choice", "B", "B", "C"),
    ("text", "north west", "north west", "south"),
    ("yes_no", "yes", "Yes", "No"),
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("verifier", "truth", "right", "wrong"), GRADED)
def test_right_means_the_same_in_every_format(name, verifier, truth, right, wrong):
    info = {"verifier": verifier, "format": name}
    for answer, expected in ((right, 1.0), (wrong, 0.0)):
        text = FORMATS[name].write("I look at the picture.", answer)
        assert compute_score("d", text, truth, info)["acc"] == expected, (text, answer)


def test_a_response_that_does_not_obey_is_graded_as_it_stands():
    info = {"verifier": "number", "format": "json_object"}
    assert compute_score("d", r"It is \boxed{12}.", "12", info)["acc"] == 1.0
    assert compute_score("d", "", "12", info)["acc"] == 0.0
