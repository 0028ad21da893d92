"""The factor over steps: from a run's folder to tables, figures and JSON, against arithmetic by hand."""

import csv
import json
import os
from pathlib import Path

import pytest
from skilled import ENGINE, checkpoint, with_instruction

from data_prep.files import read_json
from specs_verl.cli import main
from specs_verl.errors import UserError
from specs_verl.measure.gf_curve import gf_curve, starts_as_in_the_paper
from specs_verl.measure.metrics import Figures, ModelMetrics, SetMetrics
from specs_verl.measure.probe import GfProbe
from specs_verl.measure.runs import checkpoints_of


def figures(format_, both, prompts=100):
    return Figures(
        prompts=prompts,
        responses=prompts,
        accuracy=0.5,
        format=format_,
        score=1.0,
        pass_at_k={1: 0.5},
        mean_tokens=9.0,
        truncated=0.0,
        no_answer=0.0,
        timeouts=0,
        unparsable_golds=0,
        both=both,
        intervals={"format": (0.0, format_)},
    )


def model(inside, outside):
    """Metrics with (format, both) in distribution and per output format."""
    overall = figures(*inside)
    formats = {name: figures(*values) for name, values in outside.items()}
    sets = {
        "id": SetMetrics("id", overall, (0, 1), (0, 1), {}, {}, {}),
        "ood": SetMetrics("ood", overall, (0, 1), (0, 1), {}, formats, {}),
    }
    return ModelMetrics("m", 0, sets)


def test_both_definitions_by_hand():
    base = model((0.26, 0.2), {"a": (0.0, 0.0), "b": (0.02, 0.0)})
    step5 = model((0.96, 0.5), {"a": (0.6, 0.1), "b": (0.42, 0.3)})
    step9 = model((0.98, 0.6), {"a": (0.2, 0.2), "b": (0.22, 0.2)})
    curve = gf_curve("run", {0: base, 9: step9, 5: step5}, "compliance")
    assert curve.steps == (0, 5, 9) and curve.ood == pytest.approx((0.01, 0.51, 0.21))
    # gains .7 and .5: 5 * .7 * .5 / (4 * .7 + .5) = 1.75 / 3.3; gains .72 and .2: .72 / 3.08
    assert curve.gf == pytest.approx((0.0, 1.75 / 3.3, 0.72 / 3.08)) and curve.best == 5
    right = gf_curve("run", {0: base, 9: step9, 5: step5}, "right")
    # gains .3 and .2: 5 * .06 / 1.4; gains .4 and .2: 5 * .08 / 1.8 = .2222: another step is the best
    assert right.gf == pytest.approx((0.0, 0.3 / 1.4, 0.4 / 1.8)) and right.best == 9


def test_formats_that_start_as_in_the_paper():
    base = model((0.26, 0.2), {"never": (0.0, 0.0), "often": (0.5, 0.0), "rare": (0.04, 0.0)})
    assert starts_as_in_the_paper(base) == {"never": True, "often": False, "rare": True}
    few = ModelMetrics(
        "m", 0, {"ood": SetMetrics("ood", figures(0, 0), (0, 1), (0, 1), {}, {"never": figures(0, 0, 20)}, {})}
    )
    assert starts_as_in_the_paper(few) == {"never": False}  # 0 of 20 leaves up to 3 / 20


def test_curves_that_cannot_be_drawn():
    base = model((0.2, 0.1), {"a": (0.1, 0.1)})
    with pytest.raises(UserError, match="step 0"):
        gf_curve("run", {5: base}, "compliance")
    with pytest.raises(UserError, match="run, step 5: other output formats"):
        gf_curve("run", {0: base, 5: model((0.2, 0.1), {"b": (0.1, 0.1)})}, "compliance")
    with pytest.raises(UserError, match="no out-of-distribution set"):
        gf_curve("run", {0: base, 5: ModelMetrics("m", 0, {"id": base.sets["id"]})}, "compliance")
    with pytest.raises(UserError, match="'eye': the definitions are compliance and right"):
        gf_curve("run", {0: base, 5: base}, "eye")


@pytest.fixture(autouse=True)
def engine_on_the_path(monkeypatch):
    here = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(here))
    monkeypatch.setenv("VERL_PLATFORM", "cpu")


@pytest.fixture
def run_folder(tmp_path, fabricate):
    """A base (right 0.3, formed 0.0) and a run whose step 2 is formed 0.5 and step 4, the result, 0.9."""
    test = with_instruction(fabricate.prompts(tmp_path / "test.parquet", 30))
    checkpoint(tmp_path / "base", 0.3, 0.0)
    checkpoint(tmp_path / "run" / "hf_step_000002", 0.5, 0.5)
    checkpoint(tmp_path / "run" / "hf", 0.5, 0.9)
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n{"step": 4}\n{"st')
    return tmp_path, test


def test_from_a_run_to_the_figures(run_folder, monkeypatch, capsys):
    folder, test = run_folder
    monkeypatch.setattr("specs_verl.measure.gf_command.engine_settings", lambda *_, **__: ENGINE)
    assert checkpoints_of(folder / "run") == {2: folder / "run" / "hf_step_000002", 4: folder / "run" / "hf"}
    out = folder / "gf"
    words = ["gf", f"mine={folder / 'run'}", "--base", str(folder / "base"), "--data", str(test), "--out", str(out)]
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "mine: in the asked format" in shown and "in the paper" in shown and "s a checkpoint" in shown
    found = json.loads((out / "gf.json").read_text())
    compliance, right = found["curves"]
    assert compliance["steps"] == [0, 2, 4] and compliance["id"] == pytest.approx([0.0, 0.5, 0.9])
    assert compliance["ood"][2] == pytest.approx(0.9, abs=0.1) and compliance["best"] == 4
    assert right["id"] == pytest.approx([0.0, 0.0, 0.4])  # formed 5 to 9, right 0 to 4; formed 1 to 9
    with (out / "gf_compliance.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["share"]) for line in lines if line["line"] == "mine ID"] == pytest.approx([0.0, 0.5, 0.9])
    assert {path.name for path in out.glob("*.png")} == {
        "gf_compliance.png", "gf_right.png", "formats_mine_compliance.png", "formats_mine_right.png",
    }  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.glob("*.png"))
    rl = ["--rl", f"mine={out / 'mine@4'}"]
    assert main([*words, *rl]) == 0  # nothing is sampled again
    assert (folder / "base" / "loads").read_text() == "x"
    with (out / "gf_against_rl_right.csv").open() as file:
        assert float(next(csv.DictReader(file))["accuracy after RL"]) == pytest.approx(0.5)


def test_mistakes(run_folder, capsys):
    folder, test = run_folder
    base = ["--base", str(folder / "base")]
    asked = [*base, "--data", str(test), "--out", str(folder / "gf")]
    for words, message in (
        ([str(folder / "run"), *base], "pass --data FILE, --out DIR"),
        ([f"base={folder / 'run'}", *asked], "name the runs differently"),
        ([str(folder / "run"), *asked, "--rl", "other=x"], "write RUN=METRICS with RUN one of run"),
    ):
        assert main(["gf", *words]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match=r"no checkpoints there. Have the cold start leave them with trainer.hf_freq"):
        checkpoints_of(folder)


SETTINGS = {
    "id_files": None, "ood_files": None, "formats": ["answer_line", "json_object"], "format_check": None, "rows": 20,
    "n": 1, "temperature": 1.0, "max_tokens": 8, "max_prompt_tokens": 64, "max_pixels": 78400,
    "min_pixels": 3136, "score": "compliance", "beta": 2.0, "seed": 0,
    "gpu_memory_utilization": 0.5, "engine": "answering_engine:AnsweringEngine", "tensor_parallel": 1,
}  # fmt: skip


def test_the_probe_of_the_cold_start(run_folder):
    folder, test = run_folder
    probe = GfProbe({**SETTINGS, "id_files": str(test)}, folder / "cold", folder / "base")
    start = probe.score(0, folder / "base")
    asked = read_json(folder / "cold" / "probe" / "step_000000" / "samples" / "id" / "manifest.json")["parameters"]
    assert (asked["max_pixels"], asked["min_pixels"]) == (78400, 3136)
    assert start == {"gf": 0.0, "id": 0.0, "ood": 0.0}
    # rows 0 to 19: formed are 5 to 9 and 15 to 19 of both sides: gains of a half each, so a factor of a half
    assert probe.score(2, folder / "run" / "hf_step_000002") == pytest.approx({"gf": 0.5, "id": 0.5, "ood": 0.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id_files": None}, "probe.id_files: trainer.stop_by=gf needs held-out prompts"),
        ({"score": "eye"}, "probe.score=eye: use compliance or right"),
        ({"rows": 0}, "probe.rows=0"),
        ({"formats": ["rhyme"]}, "No output format is called 'rhyme'"),
    ],
)
def test_wrong_settings_of_the_probe(run_folder, change, message):
    folder, test = run_folder
    with pytest.raises(UserError, match=message):
        GfProbe({**SETTINGS, "id_files": str(test), **change}, folder / "cold", folder / "base")


def test_a_process_that_sees_too_few_gpus_for_the_model(run_folder, monkeypatch):
    folder, test = run_folder
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    settings = {**SETTINGS, "id_files": str(test)}
    GfProbe(settings, folder / "cold", folder / "base")
    with pytest.raises(UserError, match=r"probe.tensor_parallel=2: .* 2 GPUs .* and 1 can be seen.*torchrun"):
        GfProbe({**settings, "tensor_parallel": 2}, folder / "cold", folder / "base")
