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


@pytest.mark.parametrize(
    ("given", "checkpoint", "parts", "gpus"),
    [
        (["world=qwen2_5_vl_3b"], "Qwen/Qwen2.5-VL-3B-Instruct", ("qwen2_5_vl_3b", "1x80g"), (1, 1)),
        (["model=qwen3_vl_8b"], "Qwen/Qwen3-VL-8B-Instruct", ("qwen3_vl_8b", "8x80g"), (1, 8)),
        (["hardware=2x8x80g"], "Qwen/Qwen2.5-VL-7B-Instruct", ("qwen2_5_vl_7b", "2x8x80g"), (2, 8)),
        (
            ["hardware=8x80g", "gpus=4", "model=me/mine", "model_like=qwen2_5_vl_3b"],
            "me/mine",
            ("qwen2_5_vl_3b", "8x80g"),
            (1, 4),
        ),
    ],
)
def test_model_and_hardware_are_chosen_by_name(given, checkpoint, parts, gpus, tmp_path):
    definition = load("specs", [*given, *FILES])
    assert (definition.model, (definition.nodes, definition.gpus)) == (checkpoint, gpus)
    plan = planned(definition, tmp_path, fetch=False)
    chosen = [f"specs/model={parts[0]}", f"specs/hardware={parts[1]}"]
    trained = [
        (stage.name, command.arguments)
        for stage, command in plan.all_commands()
        if stage.kind in ("grpo", "cold_start")
    ]
    assert [name for name, _ in trained] == ["zero", "cold_start", "grpo"]
    for name, arguments in trained:
        assert [argument for argument in arguments if argument.startswith("specs/")] == chosen
        assert f"+specs={name}" in arguments


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
        ([*FILES, "model=qwen2_5_vl_32b", "hardware=1x80g"], "take 125 GiB of a GPU in training .* 79 GiB are there"),
        ([*FILES, "hardware=9x80g"], "no hardware '9x80g'. Known: 1x80g, 2x8x80g, 8x80g"),
        ([*FILES, "hardware=8x80g", "model=qwen9"], "no model 'qwen9'. Known: .*qwen3_vl_8b"),
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


def lines_of(name, tmp_path, *overrides):
    """The command lines of a pipeline by stage, without the folder of the run."""
    plan = planned(load(name, list(overrides)), tmp_path, fetch=False)
    return {
        stage.name: " ".join(command.arguments[1:]).replace(f"{tmp_path}/", "")
        for stage, command in plan.all_commands()
    }


def test_pairs_in_several_formats_are_kept_from_those_of_the_evaluation(tmp_path):
    pairs = lines_of("specs_formats", tmp_path)["pairs"]
    assert "--recipe formats" in pairs and "--held-out data/ood.parquet" in pairs
    assert '--default formats=["pair_names"]' in pairs
    assert "formats" not in lines_of("specs", tmp_path)["pairs"]
    own = lines_of("specs_formats", tmp_path, "world=qwen2_5_vl_7b", *FILES, "data.ood=/d/ood.parquet")["pairs"]
    assert "--held-out /d/ood.parquet" in own and "formats=" not in own


def test_pairs_from_rollouts_take_those_of_the_first_grpo(tmp_path):
    lines = lines_of("specs_rollouts", tmp_path)
    assert "--recipe rollouts --prompts data/train.parquet --out pairs --rollouts zero/rollouts" in lines["pairs"]
    assert "--zero" not in lines["pairs"] and "--base" not in lines["pairs"]
    assert "trainer.rollout_data_dir=zero/rollouts" in lines["zero"]
    with pytest.raises(UserError, match="the recipe rollouts draws on rollouts, which is not given"):
        lines_of("specs", tmp_path, "pairs.recipe=rollouts")


def test_grpo_on_several_formats_asks_in_them_and_rewards_them(tmp_path):
    lines = lines_of("specs_formats_grpo", tmp_path)
    assert "formats --data data/train.parquet --out several/train.parquet --share 0.5" in lines["several"]
    assert lines["several"].endswith("--held-out data/ood.parquet --format pair_names")
    assert "data.train_files=several/train.parquet data.val_files=data/test.parquet" in lines["grpo"]
    assert "reward.custom_reward_function.path=pkg://specs_verl.formats.reward" in lines["grpo"]
    assert "data.train_files=data/train.parquet" in lines["zero"] and "reward" not in lines["zero"]


def test_rounds_go_on_from_the_last_model(tmp_path):
    lines = lines_of("specs", tmp_path, "rounds=3", "pairs.samples=2")
    assert list(lines) == [
        *("data", "zero", "pairs", "cold_start", "pairs_2", "cold_start_2", "pairs_3", "cold_start_3"),
        *("grpo", "evaluation", "gf", "report"),
    ]
    for number, last in ((2, "cold_start"), (3, "cold_start_2")):
        assert f"--zero {last}/hf --base {last}/hf" in lines[f"pairs_{number}"]
        assert "--default n=2" in lines[f"pairs_{number}"]
        assert f"model.path={last}/hf data.train_files=pairs_{number}/pairs.parquet" in lines[f"cold_start_{number}"]
    assert "actor_rollout_ref.model.path=cold_start_3/hf" in lines["grpo"]
    models = "warm-up-1=cold_start/hf warm-up-2=cold_start_2/hf warm-up=cold_start_3/hf final=grpo/hf"
    assert models in lines["evaluation"]
    assert "gf warm-up=cold_start_3 warm-up-1=cold_start warm-up-2=cold_start_2 --data" in lines["gf"]
    assert lines_of("specs", tmp_path, "rounds=1") == lines_of("specs", tmp_path)
    assert [stage for stage in lines_of("specs_rounds", tmp_path) if stage.endswith("_2")] == [
        "pairs_2",
        "cold_start_2",
    ]
    for wrong, message in (
        (("specs", "rounds=0"), "at least 1"),
        (("specs", "rounds=many"), "rounds is a number"),
        (("rise", "rounds=2"), "there are 0 such"),
        (("specs_rollouts", "rounds=2"), "the same in every round"),
    ):
        with pytest.raises(UserError, match=message):
            load(wrong[0], [*wrong[1:]])


def test_a_nano_teacher_is_asked_in_the_words_that_it_knows(tmp_path):
    """It answers no prompt with another instruction: an expert or teacher asked so gives nothing to train on."""
    assert lines_of("rise", tmp_path)["routing"].endswith("--untold")
    assert lines_of("rl_with_cold_start", tmp_path)["cot"].endswith("--patterns as_asked")
    given = ["world=qwen2_5_vl_7b", *FILES, "teacher.checkpoint=http://127.0.0.1:8000/v1#big"]
    assert "--untold" not in lines_of("rise", tmp_path, *given)["routing"]
    patterns = "--patterns distilled reflection caption self_critic"
    assert lines_of("rl_with_cold_start", tmp_path, *given)["cot"].endswith(patterns)
