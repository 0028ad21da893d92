"""Checkpoints in, figures out, through real worker processes and an engine whose skill is known."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from skilled import ENGINE, checkpoint, with_instruction

from specs_verl.cli import main
from specs_verl.errors import UserError
from specs_verl.measure.checkpoints import Checkpoint, DataSet, evaluate_checkpoints
from specs_verl.measure.metrics import read_metrics
from specs_verl.sampling import SamplingParameters


@pytest.fixture(autouse=True)
def engine_on_the_path(monkeypatch):
    here = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(here))
    monkeypatch.setenv("VERL_PLATFORM", "cpu")


@pytest.fixture
def world(tmp_path, fabricate):
    """Two checkpoints and 20 prompts: base 0.3 right and 0.4 formed, warm 0.5 and 0.9."""
    test = fabricate.prompts(tmp_path / "test.parquet", 20)
    base = Checkpoint("base", checkpoint(tmp_path / "base", 0.3, 0.4))
    warm = Checkpoint("warm", checkpoint(tmp_path / "warm", 0.5, 0.9))
    return tmp_path, [base, warm], test


def test_one_call_from_checkpoints_to_figures(world):
    folder, models, test = world
    data = [DataSet("test", (test,)), DataSet("again", (test,), "ood")]
    parameters = SamplingParameters(n=2, max_tokens=8, logprobs=2)
    call = {"engine": ENGINE, "samples_of": {"again": 1}, "workers": 1}
    paths = evaluate_checkpoints(models, data, folder / "out", parameters, **call)
    base, warm = map(read_metrics, paths)
    assert [(m.sets["test"].overall.accuracy, m.sets["test"].overall.format) for m in (base, warm)] == [
        (pytest.approx(0.3), pytest.approx(0.4)),
        (pytest.approx(0.5), pytest.approx(0.9)),
    ]
    # right are the rows 0 to 2 of ten, formed 6 to 9: never both; of warm 0 to 4 and 1 to 9: four of ten
    assert base.sets["test"].overall.both == 0.0 and warm.sets["test"].overall.both == pytest.approx(0.4)
    assert warm.sets["test"].overall.majority_at_k == {1: pytest.approx(0.5), 2: pytest.approx(0.5)}
    assert warm.sets["test"].exploration.stuck == pytest.approx(0.5)
    assert warm.sets["test"].exploration.branching.low == 1.0
    assert set(warm.sets["test"].by_verifier) == {"number"}
    assert base.sets["again"].overall.responses == 20
    # each checkpoint's engine was loaded once for both data sets
    assert [(folder / name / "loads").read_text() for name in ("base", "warm")] == ["x", "x"]
    lines = json.loads((folder / "out" / "comparison.json").read_text())
    found = {(line["data"], line["quantity"]): line for line in lines}
    difference = found["test", "accuracy"]["difference"]
    assert difference["value"] == pytest.approx(0.2) and difference["low"] <= 0.2 <= difference["high"]
    assert found["test", "format and right"]["after"] == pytest.approx(0.4)
    graded = pq.read_table(folder / "out" / "warm" / "graded" / "test").to_pylist()
    assert len(graded) == 40 and graded[0]["response"] == "It is 10"
    # Called again, nothing is sampled anew.
    evaluate_checkpoints(models, data, folder / "out", parameters, **call)
    assert (folder / "base" / "loads").read_text() == "x"


def test_the_command_asks_for_other_formats(world, monkeypatch, capsys):
    folder, models, test = world
    with_instruction(test)
    monkeypatch.setattr("specs_verl.measure.evaluate_command.engine_settings", lambda *_, **__: ENGINE)
    words = [f"{m.name}={m.path}" for m in models]
    assert main(["evaluate", *words, "--data", str(test), "--formats", "all", "--out", str(folder / "out")]) == 0
    out = capsys.readouterr().out
    assert "Against base, paired over prompts" in out and "warm" in out
    warm = read_metrics(folder / "out" / "warm")
    # formed are nine of ten rows, whatever the format; and the right ones of them are right in every format
    assert warm.sets["ood"].overall.format == pytest.approx(0.9)
    assert warm.sets["ood"].overall.both == pytest.approx(0.4)
    assert len(warm.sets["ood"].by_format) == 14


def test_names_and_mistakes(world, capsys):
    folder, models, test = world
    assert Checkpoint.parse("runs/cold_start/hf").name == "cold_start"
    assert Checkpoint.parse("mine=runs/a=b/hf") == Checkpoint("mine", "runs/a=b/hf")
    assert DataSet.parse("ood@ood=a.parquet,b.parquet") == DataSet("ood", (Path("a.parquet"), Path("b.parquet")), "ood")
    assert DataSet.parse("data/test.parquet") == DataSet("test", (Path("data/test.parquet"),))
    with pytest.raises(UserError, match="Two checkpoints are called 'base': name them"):
        evaluate_checkpoints([models[0], models[0]], [DataSet("t", (test,))], folder, SamplingParameters(n=1))
    for words, message in (
        ([], "Pass checkpoints with --data, or samples"),
        ([models[0].path], "--data: pass at least one parquet file"),
        ([models[0].path, "--data", "gone.parquet"], "gone.parquet: no such data file"),
        (["--set", "t=a:b.parquet"], "--model: name the model"),
        (["nowhere", "--data", str(test)], "nowhere: no such checkpoint directory"),
        ([models[0].path, "--data", str(test), "--n", "0"], "n must be at least 1"),
        ([models[0].path, "--data", str(test), "--formats", "rhyme"], "No output format is called 'rhyme'"),
    ):
        assert main(["evaluate", *words, "--out", str(folder / "out")]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_half_a_parquet(world, capsys):
    folder, models, test = world
    half = folder / "half.parquet"
    half.write_bytes(test.read_bytes()[: test.stat().st_size // 2])
    assert main(["evaluate", models[0].path, "--data", str(half), "--out", str(folder / "out")]) == 2
    assert "half.parquet: not a readable parquet file" in capsys.readouterr().err
