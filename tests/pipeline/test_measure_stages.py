"""The stages that measure: what their commands name, and that `specs` understands every command of every pipeline."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.nano import base_checkpoint
from specs_verl.cli import build_parser
from specs_verl.errors import UserError
from specs_verl.pipeline.command import check
from specs_verl.pipeline.definition import load, names
from specs_verl.pipeline.execution import planned


def commands(name, root, *overrides):
    """Subcommands of `specs` with their parsed arguments, by stage."""
    plan = planned(load(name, list(overrides)), root, fetch=False)
    found = {}
    for stage, command in plan.all_commands():
        program = command.arguments
        if "specs_verl.cli" in program:
            words = program[program.index("specs_verl.cli") + 1 :]
            found[stage.name] = build_parser(words[0]).parse_args(words)
    return plan, found


@pytest.mark.parametrize("name", names())
def test_every_command_is_understood(name, tmp_path):
    _, found = commands(name, tmp_path)
    assert found.keys() >= {"evaluation", "report"}


def test_the_page_shows_the_run_and_the_steps_of_its_cold_start(tmp_path):
    plan, found = commands("nano", tmp_path)
    gf, report = found["gf"], found["report"]
    assert gf.models == [f"warm-up={plan.places.folders['cold_start']}"] and gf.out == plan.places.folders["gf"]
    assert [str(base) for base in gf.base] == [plan.places.base]
    assert gf.data == [f"test={tmp_path / 'data/test.parquet'}", f"ood@ood={tmp_path / 'data/ood.parquet'}"]
    assert report.gf == [gf.out] and report.run == tmp_path
    assert report.cold_start == [f"warm-up={tmp_path / 'cold_start/metrics.jsonl'}"]
    order = [stage.name for stage in plan.definition.stages]
    assert order.index("cold_start") < order.index("gf") < order.index("report")


def test_the_trained_model_sees_images_of_one_size_on_all_nodes(tmp_path):
    """Training shrinks images to max_pixels: whoever samples larger ones measures another task than was trained."""
    settings = (
        "world=gpu",
        "model=/models/mine",
        "nodes=2",
        "max_pixels=401408",
        "data.train=a.parquet",
        "data.test=b.parquet",
    )
    plan, found = commands("specs", tmp_path, *settings)
    for name in ("evaluation", "gf"):
        assert (found[name].max_pixels, found[name].engine) == (401408, "ray"), name
    assert "max_pixels=401408" in found["pairs"].default and found["pairs"].engine == "ray"
    trained = [stage.name for stage, command in plan.all_commands() if "data.max_pixels=401408" in command.arguments]
    assert trained == ["zero", "cold_start", "grpo"]


@pytest.mark.parametrize(
    ("model", "gpus"),
    # weights in bfloat16 of 79 GiB: 17 and 67 and 147 GB are 0.2, 0.8 and 1.7 GPUs, and at most 0.6 of one are for them
    [("qwen2_5_vl_7b", None), ("qwen2_5_vl_32b", 2), ("qwen2_5_vl_72b", 4)],
)
def test_what_is_sampled_fits_on_its_gpus(tmp_path, model, gpus):
    files = ("data.train=a.parquet", "data.test=b.parquet")
    _, found = commands("specs", tmp_path, f"model={model}", *files)
    for name in ("pairs", "evaluation", "gf"):
        assert found[name].tensor_parallel == (gpus or 1), name
    _, found = commands("specs", tmp_path, f"model={model}", "tensor_parallel=8", *files)
    assert found["evaluation"].tensor_parallel == 8
    teacher = "teacher.checkpoint=/models/teacher"
    for pipeline, name in (("rl_with_cold_start", "cot"), ("rise", "routing")):
        _, found = commands(pipeline, tmp_path, f"model={model}", teacher, *files)
        assert found[name].tensor_parallel == (gpus or 1), name
    with pytest.raises(UserError, match="tensor_parallel=many: a number of GPUs, or auto"):
        commands("specs", tmp_path, f"model={model}", "tensor_parallel=many", *files)


def test_without_flash_attn_one_setting_changes_every_rl_stage(tmp_path):
    files = ("data.train=a.parquet", "data.test=b.parquet")
    plan, _ = commands("specs", tmp_path, "model=qwen2_5_vl_7b", "attention=sdpa", *files)
    with_it = [
        stage.name for stage, command in plan.all_commands() if "+specs/parts/attention=sdpa" in command.arguments
    ]
    assert with_it == ["zero", "grpo"]


def test_a_pipeline_without_a_cold_start_has_a_page_without_curves(tmp_path):
    _, found = commands("grpo_only", tmp_path)
    assert found["report"].gf == [] and "gf" not in found


def test_log_probabilities_are_recorded_on_demand(tmp_path):
    assert commands("specs", tmp_path)[1]["evaluation"].logprobs == 0
    assert commands("specs", tmp_path, "evaluation.logprobs=20")[1]["evaluation"].logprobs == 20


def test_only_a_cold_start_has_steps_to_walk(tmp_path):
    with pytest.raises(UserError, match="Stage zero \\(grpo\\) leaves no run"):
        commands("specs", tmp_path, "gf.runs.warm-up=zero")


def test_prompts_that_cannot_be_asked_otherwise_are_found_before_any_training(tmp_path):
    def held_out(name, text):
        row = {"data_source": "d", "prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": "1"}}
        row |= {"images": [{"bytes": b"x", "path": None}], "extra_info": {"id": "a"}}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / name)
        return tmp_path / name

    asking, silent = held_out("a.parquet", "What is 1? Put it in \\boxed{}."), held_out("s.parquet", "What is 1?")
    given = ["world=qwen2_5_vl_7b", f"model={base_checkpoint()}", f"data.train={asking}", "memory_gib=0"]
    check(load("specs", [*given, f"data.test={asking}"]), tmp_path)
    with pytest.raises(UserError, match=r"s.parquet, row 0: no format instruction found.*gf=null report.gf=null"):
        check(load("specs", [*given, f"data.test={silent}"]), tmp_path)
    for way_out in ([f"data.ood={asking}"], ["gf=null", "report.gf=null"]):
        check(load("specs", [*given, f"data.test={silent}", *way_out]), tmp_path)
