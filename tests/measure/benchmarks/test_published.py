"""Every benchmark from its published layout: prepared, graded, scored; and what is broken is named."""

import pandas as pd
import published_rows as published
import pyarrow.parquet as pq
import pytest

from data_prep import schema
from reward_fns import compute_score
from specs_verl.cli import main
from specs_verl.measure.benchmarks import dynamath, wemath
from specs_verl.measure.benchmarks.official import official_score
from specs_verl.measure.benchmarks.prepare import about, prepare
from specs_verl.measure.benchmarks.registry import BENCHMARKS

MANIFEST = {"parameters": {"n": 1, "max_tokens": 2048}, "versions": {"specs-verl": "0.1.0", "vllm": None}}


@pytest.fixture
def prepared(tmp_path):
    def make(name, **settings):
        source = tmp_path / "published"
        getattr(published, name)(source)
        return prepare(BENCHMARKS[name], source, tmp_path / f"{name}.parquet", **settings), tmp_path / f"{name}.parquet"

    return make


def graded(file, answers):
    """Graded as evaluation does it, from answers in the trained form."""
    lines = []
    for row, (values, answer) in enumerate(zip(pq.read_table(file).to_pylist(), answers, strict=True)):
        text = f"<think> I look. </think><answer> {answer} </answer>"
        score = compute_score("b", text, values["reward_model"]["ground_truth"], values["extra_info"])
        lines.append({"row": row, "sample": 0, "right": score["status"] == "right", "finish_reason": "stop"})
    return pd.DataFrame(lines)


SCORED = tuple(published.ANSWERED)  # MEGA-Bench is scored by its own evaluator


@pytest.mark.parametrize("name", SCORED)
def test_prepared_rows_fit_the_schema_and_right_answers_are_right(prepared, name):
    made, file = prepared(name)
    assert schema.validate(file) == made.questions == len(published.ANSWERED[name])
    assert about(file) == made and made.prompt.startswith("specs ") and made.expected == BENCHMARKS[name].size
    frame = graded(file, published.ANSWERED[name])
    assert frame["right"].all(), frame
    score = official_score(file, frame, MANIFEST, "reward_fns")
    assert score.scores["ALL"] == 1.0
    line = score.line
    for part in (BENCHMARKS[name].title, "100.0", made.prompt, "answers read by reward_fns", "at most 2048 tokens"):
        assert part in line
    assert f"{made.questions:,} of {made.expected:,} questions" in line and "specs-verl 0.1.0" in line


@pytest.mark.parametrize("name", SCORED)
def test_wrong_answers_are_wrong(prepared, name):
    _, file = prepared(name)
    assert not graded(file, ["H, I"] * len(published.ANSWERED[name]))["right"].any()


def test_options_that_are_drawn_may_be_repeated_with_their_letter(prepared):
    """The prompt lists them as "(C) C": so do answers."""
    _, file = prepared("mathvision")
    for answer, right in (("(C) C", True), ("C. C", True), ("C. D", False), ("D. D", False), ("C. C or D", False)):
        assert graded(file, ["1", answer, "A"])["right"][1] == right, answer


def test_the_prompt_is_the_papers_unless_another_is_asked_for(prepared, tmp_path):
    _, file = prepared("mathvista")
    row = pq.read_table(file).to_pylist()[0]
    assert row["prompt"][0]["role"] == "system" and "<think>" in row["prompt"][0]["content"]
    assert row["prompt"][1]["content"] == "<image>Which is larger?\nChoices:\n(A) the red one\n(B) the blue one"
    (tmp_path / "mine.txt").write_text("Answer briefly.")
    mine, other = str(tmp_path / "mine.txt"), tmp_path / "other.parquet"
    made = prepare(BENCHMARKS["mathvista"], tmp_path / "published", other, prompt=mine)
    assert pq.read_table(other).to_pylist()[0]["prompt"][0]["content"] == "Answer briefly."
    assert made.prompt != about(file).prompt


def test_only_free_answers_go_to_the_judge(prepared):
    _, file = prepared("mathvista", judge=True)
    verifiers = [row["extra_info"]["verifier"] for row in pq.read_table(file).to_pylist()]
    assert verifiers == ["choice", "number", "number", "judge"]
    frame = pd.DataFrame({"row": range(4), "sample": 0, "right": [True, True, False, False], "finish_reason": "stop"})
    score = official_score(file, frame, MANIFEST, "reward_fns")
    assert score.scores["ALL"] == 0.5 and "free answers by a judge" in score.line


def test_mathverse_reports_the_vision_only_version(prepared):
    _, file = prepared("mathverse")
    score = official_score(file, graded(file, ["B", "12", "A"]), MANIFEST, "r")
    assert score.scores["ALL"] == 0.0 and score.scores["all versions"] == pytest.approx(2 / 3)
    assert score.interval is None  # the headline is not the mean over all questions


def test_mmmu_pro_is_the_mean_of_its_settings(prepared):
    _, file = prepared("mmmu_pro")
    # standard 1 of 1, vision 1 of 2: (1 + 0.5) / 2, not 2 / 3
    assert official_score(file, graded(file, ["J", "A", "B"]), MANIFEST, "r").scores["ALL"] == 0.75


def test_dynamath_by_hand():
    """Two seed questions, two variants, two samples: sample 0 has one seed question right in all, sample 1 none."""
    right = {("1", 1): (1, 1), ("1", 2): (1, 0), ("2", 1): (0, 0), ("2", 2): (1, 1)}
    common = {"subject": "s", "knowledge_level": "k"}
    lines = [
        {"row": row, "sample": sample, "seed_question": seed, "right": bool(hit), **common}
        for row, ((seed, _), hits) in enumerate(right.items())
        for sample, hit in enumerate(hits)
    ]
    found = dynamath.scores(pd.DataFrame(lines))
    # questions: 1, 0.5, 0, 1 -> 0.625; worst case: sample 0 (1, 0), sample 1 (0, 0) -> 0.25
    assert found["ALL"] == pytest.approx(0.625) and found["worst case"] == pytest.approx(0.25)
    assert found["reasoning robustness"] == pytest.approx(0.4)


def test_wemath_by_hand():
    """a: all right; b: steps right, whole wrong; c: a step wrong, whole right; d: a step wrong, whole wrong."""
    wrong = {("b", "2steps_multi"), ("c", "2steps_1"), ("d", "3steps_2"), ("d", "3steps_multi")}
    keys = {2: ("2steps_1", "2steps_2", "2steps_multi"), 3: ("3steps_1", "3steps_2", "3steps_3", "3steps_multi")}
    lines = [
        {"sample": 0, "problem": f"{steps}steps/{name}", "key": key, "right": (name, key) not in wrong}
        for name, steps in (("a", 2), ("b", 2), ("c", 2), ("d", 3))
        for key in keys[steps]
    ]
    found = wemath.scores(pd.DataFrame(lines).reset_index(names="row"))
    # strict: IG 1/4, IK 1/4, RM 1/4, CM 1/4: 1 - 0.125 - 0.25 - 0.25; loose: c is mastery, RM 0
    assert found["ALL"] == pytest.approx(0.375) and found["score (loose)"] == pytest.approx(0.625)
    assert found["insufficient knowledge"] == found["inadequate generalization"] == pytest.approx(0.25)
    assert found["rote memorization (strict)"] == pytest.approx(0.25) and found["rote memorization (loose)"] == 0
    assert found["accuracy, one-step"] == pytest.approx(7 / 9) and found["accuracy, three-step"] == 0.0


BROKEN = [
    ("mathvista", {"decoded_image": None, "image": "../../etc/passwd"}, "its picture ../../etc/passwd is not below"),
    ("mathvista", {"question_type": "multi_choice", "choices": ["x"]}, "is none of the choices"),
    ("mathvision", {"answer": ""}, "`answer` is empty"),
    ("mmmu", {"options": "[" * 100}, "is no list"),
    ("mmmu", {"question": "Nothing to see", "options": "[]"}, "the question names no picture"),
    ("megabench", {"query_media": "['./data/a.mp4']"}, "a.mp4 is no picture, and videos are not sampled"),
]


@pytest.mark.parametrize(("name", "change", "message"), BROKEN)
def test_a_broken_row_is_named_and_can_be_left_out(tmp_path, capsys, name, change, message):
    source = tmp_path / "published"
    getattr(published, name)(source)
    file = sorted(source.rglob("*.parquet"))[-1]
    rows = pq.read_table(file).to_pylist()
    published.write(file, [{**rows[0], **change}, *rows[1:]])
    out = tmp_path / "out.parquet"
    assert main(["benchmark", "prepare", name, "--source", str(source), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert f"{file}, row 0: " in said and message in said and "--skip-broken" in said and not out.exists()
    assert main(["benchmark", "prepare", name, "--source", str(source), "--out", str(out), "--skip-broken"]) == 0
    assert "1 left out" in " ".join(capsys.readouterr().out.split())
    assert about(out).left_out == 1 and about(out).questions == len(published.ANSWERED.get(name, "ab")) - 1


def test_files_that_are_not_there(tmp_path, capsys):
    words = ["benchmark", "prepare", "mathvista", "--out", str(tmp_path / "o.parquet"), "--source"]
    data = tmp_path / "data"
    data.mkdir()
    for place, message in ((tmp_path / "no", "no such folder"), (data, "whose name begins with 'testmini'")):
        assert main([*words, str(place)]) == 2 and message in capsys.readouterr().err
    (data / "testmini-0.parquet").write_bytes(b"PAR1 half a file")
    assert main([*words, str(data)]) == 2 and "not a readable parquet" in capsys.readouterr().err
    published.write(data / "testmini-0.parquet", [{"pid": "1"}])
    assert main([*words, str(data)]) == 2 and "no question, choices" in capsys.readouterr().err
    assert main(["benchmark", "prepare", "chess", "--out", "o", "--source", "."]) == 2
    assert "No benchmark is called 'chess'" in capsys.readouterr().err


def test_megabench_is_prepared_with_its_own_prompt(prepared):
    _, file = prepared("megabench", prompt="none")
    row = pq.read_table(file).to_pylist()[0]
    text = "Count. Answer: X.\nExample: <image> Answer: 2\n<image> How many?"
    assert row["prompt"] == [{"role": "user", "content": text}] and len(row["images"]) == 2
    assert schema.validate(file) == 2


def test_list_names_them_all(capsys):
    assert main(["benchmark", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in BENCHMARKS)
