"""Studies: what pipelines share is planned once, and the end table pairs what belongs together."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from specs_verl.errors import UserError
from specs_verl.measure.metrics import ModelMetrics, set_metrics, write_metrics
from specs_verl.pipeline.study import chosen, names, plans_of, read_study
from specs_verl.pipeline.study_table import Entry, tabulate

STUDY = """
title: Two losses
pipelines: {SPECS: specs, SFT: specs_sft, half: {pipeline: specs, settings: [pairs.samples=2]}, only: grpo_only}
seeds: [0, 1]
"""


def folders(plans, name, seed):
    return {stage: folder.name for stage, folder in plans[name, seed].places.folders.items()}


def test_what_pipelines_share_is_one_stage(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    plans = plans_of(read_study(str(file), ("steps.zero=2",)), tmp_path / "out", fetch=False)
    assert list(plans) == [(name, seed) for seed in (0, 1) for name in ("SPECS", "SFT", "half", "only")]
    specs, sft = folders(plans, "SPECS", 0), folders(plans, "SFT", 0)
    shared = {stage for stage in specs if specs[stage] == sft[stage]}
    assert shared == {"data", "zero", "pairs", "evaluation_base", "evaluation_zero"}
    half = folders(plans, "half", 0)
    assert {stage for stage in specs if specs[stage] == half[stage]} == shared - {"pairs"}
    other_seed = folders(plans, "SPECS", 1)
    assert {stage for stage in specs if specs[stage] == other_seed[stage]} == {"data"}
    # The base is sampled with the run's seed; the control evaluates the same base.
    assert folders(plans, "only", 0)["evaluation_base"] == specs["evaluation_base"]


@pytest.mark.parametrize("name", names())
def test_every_row_of_a_study_has_as_many_rl_steps_and_one_zero_model_serves_a_seed(name, tmp_path):
    plans = plans_of(read_study(name, ("steps.zero=3", "steps.grpo=5", "seed=9")), tmp_path, fetch=False)
    zeros: dict[int, set] = {}
    for (row, seed), plan in plans.items():
        stages = [stage for stage in plan.definition.stages if stage.kind == "grpo" and stage.name != "teacher"]
        assert sum(stage.settings["steps"] for stage in stages) == 3 + 5, row
        assert plan.definition.seed == seed
        zeros.setdefault(seed, set()).update(folder for stage, folder in plan.places.folders.items() if stage == "zero")
    assert len(zeros) == 3 and all(len(folders) == 1 for folders in zeros.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title: nothing", "a study is a mapping with pipelines"),
        ("pipelines: {a: specs}\nseeds: [1, 1]", "different integers"),
        ("pipelines: {a: 3}", "pipelines.a is the name of a pipeline"),
        ("pipelines: {a: specs}\nsneeds: [1]", "a study is a mapping"),
        ("pipelines: [", "not readable as YAML"),
    ],
)
def test_bad_studies_are_one_sentence(tmp_path, content, message):
    file = tmp_path / "study.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_study(str(file))


def test_a_part_of_a_study_keeps_its_order(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    study = read_study(str(file))
    part = chosen(study, "half, SPECS", "3")
    assert (list(part.variants), part.seeds) == (["SPECS", "half"], (3,))
    assert chosen(study, None, None) == study
    with pytest.raises(UserError, match=r"the study has no 'DPO'\. It has: SPECS, SFT, half, only"):
        chosen(study, "SPECS,DPO", None)


def test_an_unknown_pipeline_or_setting_is_refused_before_anything_runs(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("pipelines: {a: nonsense}")
    with pytest.raises(UserError, match="no pipeline 'nonsense'"):
        plans_of(read_study(str(file)), tmp_path / "out", fetch=False)
    file.write_text("pipelines: {a: specs}\nsettings: [zero.stepz=1]")
    with pytest.raises(UserError, match="stepz"):
        plans_of(read_study(str(file)), tmp_path / "out", fetch=False)


def measured(folder, model, seed, right, obeyed=(True,) * 4, ood=()):
    """Metrics of a model that answered four prompts once each: which were right, which were in the asked format, and
    which of the out-of-distribution prompts were."""
    sets = {}
    given = {"test": ("id", right, obeyed), "ood": ("ood", [0] * len(ood), ood)}
    for name, (role, answers, forms) in given.items():
        rows = [
            {"row": row, "row_id": str(row), "sample": 0, "data_source": "d", "task": "t",
             "asked_format": "think_answer", "ground_truth": "1", "response": "", "right": bool(value),
             "acc": float(value), "format": bool(form), "score": float(value),
             "status": "right" if value else "wrong", "extracted": None, "n_tokens": 1, "verifier": "number",
             "finish_reason": "stop"}
            for row, (value, form) in enumerate(zip(answers, forms, strict=True))
        ]  # fmt: skip
        if rows:
            (folder / "graded" / name).mkdir(parents=True)
            table = pa.Table.from_pylist(rows)
            pq.write_table(table, folder / "graded" / name / "shard-00000.parquet")
            sets[name] = set_metrics(table.to_pandas(), role, skipped_prompts=0, graded=f"graded/{name}")
    write_metrics(folder / "metrics.json", ModelMetrics(model, seed, sets))
    return folder / "metrics.json"


def test_differences_are_paired_with_the_first_pipeline_over_the_seeds_of_both(tmp_path):
    answers = {
        ("base", 0): [0, 0, 0, 0],
        ("base", 1): [0, 0, 0, 1],
        ("SPECS", 0): [1, 1, 1, 0],
        ("SPECS", 1): [1, 1, 0, 0],
        ("SFT", 0): [1, 0, 0, 0],
        ("SFT", 1): [1, 0, 0, 0],
    }
    entries = [
        Entry(name, seed, measured(tmp_path / f"{name}{seed}", "final", seed, right))
        for (name, seed), right in answers.items()
    ]
    out = tmp_path / "out"
    console = Console(record=True, width=200)
    tabulate("Two losses", entries, out, console)
    found = json.loads((out / "study.json").read_text())["differences"]
    accuracy = {entry["treated"]: entry["difference"]["value"] for entry in found if entry["quantity"] == "acc"}
    # Means: SPECS (3 + 2) / 8, SFT 2 / 8, base 1 / 8.
    assert accuracy == {"base": pytest.approx(-4 / 8), "SFT": pytest.approx(-3 / 8)}
    assert all(entry["control"] == "SPECS" for entry in found)
    shown = console.export_text()
    assert "SFT" in shown and "-37.5" in shown
    assert "SPECS" in (out / "report.html").read_text()


def test_other_formats_and_the_factor_are_compared_with_what_prompts_and_what_seeds_decide(tmp_path):
    # Shares of the asked format in and out of distribution, of four prompts each.
    obeyed = {
        ("base", 0): (1, 0),
        ("base", 1): (1, 0),
        ("SPECS", 0): (4, 3),
        ("SPECS", 1): (4, 3),
        ("SFT", 0): (4, 2),
        ("SFT", 1): (4, 1),
    }
    entries = []
    for (name, seed), shares in obeyed.items():
        inside, outside = ([prompt < share for prompt in range(4)] for share in shares)
        metrics = measured(tmp_path / f"{name}{seed}", "final", seed, [0] * 4, inside, outside)
        entries.append(Entry(name, seed, metrics))
    tabulate("Two losses", entries, tmp_path / "out", Console(record=True, width=200))
    found = json.loads((tmp_path / "out" / "study.json").read_text())["differences"]
    sft = {entry["quantity"]: entry for entry in found if entry["treated"] == "SFT"}
    # OOD: SPECS 3/4 with both seeds, SFT 2/4 and 1/4; differences -1/4 and -2/4, standard deviation 0.25 / sqrt(2).
    assert sft["ood_format"]["difference"]["value"] == pytest.approx(-3 / 8)
    assert sft["ood_format"]["per_seed"] == {
        "mean": pytest.approx(-3 / 8),
        "std": pytest.approx(0.17678, abs=1e-5),
        "n": 2,
    }
    # Gains over the base: ID 3/4 always. GF = 5 a b / (4 a + b): SPECS 5 (3/4)(3/4) / (3 + 3/4) = 0.75;
    # SFT 5 (3/4)(2/4) / (3 + 2/4) = 0.535714 and 5 (3/4)(1/4) / (3 + 1/4) = 0.288462.
    assert sft["gf"]["difference"] is None
    assert sft["gf"]["per_seed"]["mean"] == pytest.approx((0.535714 + 0.288462) / 2 - 0.75, abs=1e-5)
    assert sft["format"]["difference"]["value"] == 0
