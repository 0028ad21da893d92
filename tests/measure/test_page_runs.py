"""What the page shows of runs: the factor over steps, exploration, stability, time and memory, and figures as files."""

import csv
import json

import pytest

from specs_verl.errors import UserError
from specs_verl.measure.evaluate import EvalSet, evaluate
from specs_verl.measure.page_runs import gf_charts, read_gf, stage_rows
from specs_verl.measure.report import ReportInputs, TrainingLog, collect, write_figures, write_report


def write_gf(folder, *runs):
    folder.mkdir(parents=True)
    curves = [
        {
            "run": run, "definition": definition, "steps": [0, 5, 10], "id": [0.2, 0.9, 0.95], "ood": [0.01, 0.4, 0.5],
            "gf": [0.0, 0.43, 0.52], "by_format": {"json": [0.0, 0.4, 0.5]}, "best": 10,
        }
        for run in runs
        for definition in ("compliance", "right")
    ]  # fmt: skip
    (folder / "gf.json").write_text(json.dumps({"curves": curves}))
    return folder


def write_run(root):
    """The record of a run of which a model came from outside, zero is complete and grpo is not."""
    root.mkdir()
    figures = {"seconds": 61.4, "peak_gib": 3.21, "note": "16 steps"}
    stages = {
        "teacher": {"complete": True, **figures, "commands": []},
        "zero": {"complete": True, **figures, "commands": [["python"]]},
        "grpo": {"complete": False},
    }
    (root / "run.json").write_text(json.dumps({"stages": stages}))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, fabricate):
    folder = tmp_path_factory.mktemp("page_runs")
    test = fabricate.prompts(folder / "test.parquet", 16)
    paths = []
    for name, right in (("base", 0.4), ("final", 0.8)):
        fabricate.run(folder / name, test, fabricate.quality(right, 0.9))
        paths.append(evaluate(name, [EvalSet("test", folder / name, (test,))], folder / "eval" / name, workers=1))
    (paths[1].parent / "benchmarks.json").write_text(json.dumps([{"line": "MathVista testmini: 63.7; prompt <specs>"}]))
    log = folder / "log.jsonl"
    lines = [
        {"step": step, "data": {"critic/score/mean": 1.0, "actor/pg_loss": 9.0 if step == 20 else 0.01 * (step % 3),
                                "actor/grad_norm": 0.5}}
        for step in range(1, 41)
    ]  # fmt: skip
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_run(folder / "run")
    cold = [fabricate.cold_start_log(folder / f"cold{number}.jsonl", 8) for number in range(2)]
    return ReportInputs(
        metrics=tuple(paths),
        grpo=(TrainingLog("final", (log,)),),
        cold_start=tuple(TrainingLog(name, (file,)) for name, file in zip(("dpo", "sft"), cold, strict=True)),
        gf=(write_gf(folder / "gf", "dpo", "sft"),),
        run=folder / "run",
    )


def test_the_page_shows_it_all(inputs, tmp_path):
    text = write_report(inputs, tmp_path / "r.html").read_text(encoding="utf-8")
    for part in (
        'id="gf"', "Generalization Factor, compliance and right", 'id="exploration"', "distinct answers per prompt",
        "1 (step 20)", "Policy loss", "Gradient norm", 'id="stages"', "<td>61</td><td>3.2</td><td>16 steps</td>",
        "MathVista testmini: 63.7; prompt &lt;specs&gt;", "Chosen reward", "Rejected reward",
    ):  # fmt: skip
        assert part in text, part


def test_every_chart_becomes_a_figure_with_its_numbers(inputs, tmp_path):
    written = write_figures(collect(inputs), tmp_path / "figures")
    names = {path.name for path in written}
    assert {
        "01_pass@k.png",
        "02_generalization_factor_compliance.png",
        "02_generalization_factor_compliance.csv",
    } <= names
    assert len(written) == 2 * len({path.stem for path in written}) and all(path.stat().st_size for path in written)
    with (tmp_path / "figures" / "02_generalization_factor_compliance.csv").open() as file:
        lines = [(line["line"], float(line["step"]), float(line["value"])) for line in csv.DictReader(file)]
    assert lines[:3] == [("dpo", 0.0, 0.0), ("dpo", 5.0, 0.43), ("dpo", 10.0, 0.52)] and len(lines) == 6


def test_runs_are_overlaid(tmp_path):
    charts = gf_charts(read_gf(write_gf(tmp_path / "gf", "dpo", "sft")), {"sft": 0})
    assert len(charts) == 6
    assert charts[0].columns == ("step", "0", "5", "10") and charts[0].numbers[1] == ("sft", "0.0", "43.0", "52.0")
    assert charts[0].svg.count("<polyline") == 2


def test_runs_of_one_name_are_seeds_of_one_colour(inputs, tmp_path):
    folders = tuple(write_gf(tmp_path / f"seed_{seed}", "final") for seed in range(2))
    page = collect(ReportInputs(metrics=inputs.metrics, gf=folders))
    assert [(curve.run, curve.definition) for curve in page.gf] == [
        ("final", "compliance"), ("final", "right"), ("final #2", "compliance"), ("final #2", "right"),
    ]  # fmt: skip
    chart = gf_charts(page.gf, {"base": 0, "final": 5})[0]
    assert chart.svg.count('<polyline class="line s5"') == 2


def test_files_that_are_not_what_they_should_be(tmp_path):
    with pytest.raises(UserError, match=r"gf.json: cannot be read .*Run `specs gf RUN` first"):
        read_gf(tmp_path / "gf.json")
    (tmp_path / "gf.json").write_text('{"curves": [{"run": "a"}]}')
    with pytest.raises(UserError, match="not what `specs gf RUN` writes"):
        read_gf(tmp_path)
    with pytest.raises(UserError, match=r"run.json: cannot be read .*folder of `specs run`"):
        stage_rows(tmp_path)
    for damaged in ("", "[]", '{"stages": {"zero": {"complete": true}}}', '{"stages": [1]}'):
        (tmp_path / "run.json").write_text(damaged)
        with pytest.raises(UserError, match=r"run.json: not what `specs run` writes"):
            stage_rows(tmp_path)


def test_stages_that_ran_are_listed(tmp_path):
    write_run(tmp_path / "run")
    assert stage_rows(tmp_path / "run") == (("zero", "61", "3.2", "16 steps"),)
