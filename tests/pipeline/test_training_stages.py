"""The commands of the training stages, their progress files and the checkpoint they publish."""

import json
import subprocess
from pathlib import Path

import pytest
import verl  # noqa: F401  (loads the plugin)
from hydra import compose, initialize_config_module

from specs_verl.errors import UserError
from specs_verl.pipeline.definition import load
from specs_verl.pipeline.execution import planned
from specs_verl.pipeline.training_stages import last_record, publish_grpo


def command_of(root, stage, *overrides):
    plan = planned(load("nano", list(overrides)), root)
    (command,) = plan.commands(plan.definition.stage(stage))
    return list(command.arguments)


def test_the_grpo_command_composes_and_later_overrides_win(tmp_path):
    command = command_of(tmp_path, "grpo", "seed=3", "grpo.steps=7", "grpo.overrides=[data.seed=9]")
    assert command[1:4] == ["-m", "verl.trainer.main_ppo", "+specs=nano_grpo"]
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer", overrides=[argument for argument in command[3:] if not argument.startswith("hydra.")]
        )
    assert config.trainer.total_training_steps == 7
    actor = config.actor_rollout_ref.actor
    assert (actor.data_loader_seed, actor.fsdp_config.seed, config.actor_rollout_ref.rollout.seed) == (3, 3, 3)
    assert config.data.seed == 9
    assert config.data.train_files == str(tmp_path / "data" / "train.parquet")
    assert config.actor_rollout_ref.model.path == str(tmp_path / "cold_start" / "hf")
    assert config.trainer.default_local_dir == str(tmp_path / "grpo" / "checkpoints")


def test_the_cold_start_command_names_pairs_and_folder(tmp_path):
    command = command_of(tmp_path, "cold_start", "seed=3", "cold_start.overrides=[optim.lr=1]")
    composed = subprocess.run([*command, "--cfg", "job"], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert composed.returncode == 0, composed.stderr
    assert "seed: 3" in composed.stdout
    assert f"data.train_files={tmp_path / 'pairs' / 'pairs.parquet'}" in command
    assert command[-1] == "optim.lr=1"


def test_several_gpus_are_torchruns(tmp_path):
    command = command_of(tmp_path, "cold_start", "gpus=4")
    assert command[1:7] == [
        *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4"),
        *("-m", "specs_verl.cold_start"),
    ]
    assert "trainer.n_gpus_per_node=4" in command_of(tmp_path, "zero", "gpus=4")


def test_several_nodes_are_the_ray_clusters(tmp_path):
    command = command_of(tmp_path, "cold_start", "gpus=4", "nodes=2")
    assert command[1:3] == ["-m", "specs_verl.cold_start.on_ray"]
    assert {"trainer.nnodes=2", "trainer.n_gpus_per_node=4", "+ray_kwargs.ray_init.address=auto"} < set(command)


def test_stages_that_sample_use_the_cluster_too(tmp_path):
    for stage in ("pairs", "evaluation"):
        command = command_of(tmp_path, stage, "nodes=2")
        assert command[command.index("--engine") + 1] == "ray"
        assert "--engine" not in command_of(tmp_path, stage)


def test_lengths_of_a_world_are_the_recipes(tmp_path):
    command = command_of(tmp_path, "grpo", "grpo.max_prompt_tokens=200", "grpo.max_tokens=300")
    assert {"data.max_prompt_length=200", "data.max_response_length=300"} < set(command)
    assert "actor_rollout_ref.rollout.max_model_len=500" in command
    assert not any(argument.startswith("data.max_") for argument in command_of(tmp_path, "grpo"))


def test_last_record_reads_complete_lines_only(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert last_record(file) is None
    file.write_text("")
    assert last_record(file) is None
    file.write_text(json.dumps({"step": 1}) + "\n" + json.dumps({"step": 2}) + "\n" + '{"step": 3')
    assert last_record(file) == {"step": 2}
    # longer than what is read from the end of the file
    file.write_text("".join(json.dumps({"step": n, "x": "y" * 1000}) + "\n" for n in range(200)))
    assert last_record(file)["step"] == 199


def test_a_published_checkpoint_is_whole_and_replaces_an_old_one(tmp_path):
    stage = load("specs", ["zero.steps=4"]).stage("zero")
    source, target = tmp_path / "checkpoints" / "global_step_4" / "actor" / "huggingface", tmp_path / "hf"
    source.mkdir(parents=True)
    (source / "config.json").write_text("new")
    target.mkdir()
    (target / "old.txt").write_text("old")
    steps = tmp_path / "checkpoints" / "hf_step_000002"
    steps.mkdir()
    (steps / "config.json").write_text("step 2")
    assert publish_grpo(stage, tmp_path) == "4 steps"
    assert sorted(file.name for file in target.iterdir()) == ["config.json"]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["hf", "hf_step_000002", "last"]
    assert (tmp_path / "hf_step_000002" / "config.json").read_text() == "step 2"
    assert (tmp_path / "last" / "global_step_4" / "actor").is_dir()
    # Called again after a kill right before the marker: nothing is lost.
    assert publish_grpo(stage, tmp_path) == "4 steps"
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["hf", "hf_step_000002", "last"]


def test_a_published_checkpoint_is_not_trained_again(tmp_path):
    plan = planned(load("nano", []), tmp_path)
    Path(tmp_path / "zero" / "hf").mkdir(parents=True)
    Path(tmp_path / "zero" / "last" / "global_step_28").mkdir(parents=True)
    assert plan.commands(plan.definition.stage("zero")) == []


def test_the_control_of_the_nano_pipeline_gives_zero_on_the_way(tmp_path):
    command = command_of(tmp_path, "zero", "steps.zero=2", "steps.grpo=3")
    assert {"trainer.total_training_steps=5", "trainer.save_freq=2", "trainer.hf_freq=2"} < set(command)
    assert "trainer.total_training_steps=3" in command_of(tmp_path, "grpo", "steps.zero=2", "steps.grpo=3")
    pairs = command_of(tmp_path, "pairs", "steps.zero=2")
    assert pairs[pairs.index("--zero") + 1] == str(tmp_path / "zero" / "hf_step_000002")
    evaluated = command_of(tmp_path, "evaluation")
    zero, control = (
        f"{name}={tmp_path / 'zero' / hf}" for name, hf in (("zero", "hf_step_000016"), ("grpo-only", "hf"))
    )
    assert {zero, control} < set(evaluated)
    assert load("nano", []).stage("pairs").needs == ("data", "zero")


@pytest.mark.parametrize("step", ["last", "", "-3", "1e3", "٣"])
def test_a_step_is_a_number(tmp_path, step):
    with pytest.raises(UserError, match="after @ stands the number of a step"):
        load("nano", [f"pairs.zero=zero@{step}"])


@pytest.mark.parametrize("settings", [["pairs.zero=zero@29"], ["pairs.zero=zero@0"], ["zero.steps=10"]])
def test_a_step_that_is_never_reached_is_refused_before_any_training(settings):
    with pytest.raises(UserError, match=r"refers to zero@\d+, but zero has the steps 1 to (28|10)\."):
        load("nano", settings)


def test_a_stage_without_steps_has_none():
    with pytest.raises(UserError, match=r"refers to cold_start@5, but cold_start has no steps\."):
        load("nano", ["grpo.model=cold_start@5"])


def test_what_is_no_stage_before_the_sign_is_a_model_from_outside(tmp_path):
    pairs = command_of(tmp_path, "pairs", "pairs.zero=/models/a@16")
    assert pairs[pairs.index("--zero") + 1] == "/models/a@16"
    with pytest.raises(UserError, match="refers to 'nil@16', which is no stage of it"):
        load("nano", ["pairs.zero=nil@16"])
