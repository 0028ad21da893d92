"""Pipelines in YAML: what extends what, what wins, what is refused."""

import pytest

from specs_verl.errors import UserError
from specs_verl.pipeline.definition import load, names
from specs_verl.pipeline.execution import planned

FILES = ["data.train=/d/train.parquet", "data.test=/d/test.parquet"]


@pytest.mark.parametrize("name", names())
def test_every_pipeline_plans_in_the_nano_world(name, tmp_path):
    plan = planned(load(name, []), tmp_path, fetch=False)
    commands = list(plan.all_commands())
    assert [stage.name for stage, _ in commands][-1] == "report"
    for stage, command in commands:
        assert all(argument and "None" not in argument for argument in command.arguments), (stage.name, command)


@pytest.mark.parametrize("name", sorted(set(names()) - {"nano"}))
def test_every_pipeline_plans_in_the_7b_world(name, tmp_path):
    teacher = any(stage.name == "teacher" for stage in load(name, []).stages)
    given = [*FILES, "teacher.checkpoint=http://127.0.0.1:8000/v1#big"] if teacher else FILES
    plan = planned(load(name, ["world=qwen2_5_vl_7b", *given]), tmp_path, fetch=False)
    lines = [" ".join(command.arguments) for _, command in plan.all_commands()]
    assert any("Qwen/Qwen2.5-VL-7B-Instruct" in line for line in lines)
    assert not any("nano" in line.replace(str(tmp_path), "") for line in lines)


def test_the_users_settings_win_over_the_file_and_the_file_over_its_world(tmp_path):
    file = tmp_path / "mine.yaml"
    lines = ["extends: specs", "world: nano", "pairs: {samples: 6, prompts: 64}", "cold_start: null"]
    lines += ["grpo: {model: zero}", "evaluation: {models: {base: base, warm-up: null}}"]
    lines += ["gf: null", "report: {gf: null}"]
    file.write_text("\n".join(lines))
    definition = load(str(file), ["pairs.prompts=32"])
    assert [stage.name for stage in definition.stages] == ["data", "zero", "pairs", "grpo", "evaluation", "report"]
    pairs = definition.stage("pairs").settings
    assert (pairs["samples"], pairs["prompts"], pairs["max_tokens"]) == (6, 32, 80)
    assert definition.stage("grpo").needs == ("zero", "data")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["zero.stepz=3"], "stepz"),
        (["zero.steps=many"], "many"),
        (["nonsense=1"], "nonsense"),
        (["world=mars"], "no world 'mars'"),
        (["world=qwen2_5_vl_7b"], "data.train"),
        (["cold_start.model=nothing"], "refers to 'nothing'"),
    ],
)
def test_bad_settings_are_one_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        load("specs", overrides)


def test_bad_files_are_one_sentence(tmp_path):
    file = tmp_path / "mine.yaml"
    for content, message in (
        ("[1, 2]", "must hold a mapping"),
        ("a: [", "not readable as YAML"),
        ("world: nano\ntitle: t\nseed: 0\nx: {kind: telepathy}", "no known kind"),
        ("title: t", "Name a world"),
        (f"extends: {file}", "extends itself"),
        ("extends: specs\nzero: {data: grpo}", "need each other"),
    ):
        file.write_text(content)
        with pytest.raises(UserError, match=message):
            load(str(file), [])
    with pytest.raises(UserError, match="no pipeline 'mine'"):
        load("mine", [])
