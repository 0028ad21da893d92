"""The commands of the training stages, their progress files and the checkpoint they publish."""

import json
import subprocess
from dataclasses import replace

import pytest
import verl  # noqa: F401  (loads the plugin)
from hydra import compose, initialize_config_module

from specs_verl.errors import UserError
from specs_verl.pipeline.training import (
    ColdStartJob,
    GrpoJob,
    cold_start_command,
    grpo_command,
    last_record,
    publish_checkpoint,
)


@pytest.fixture
def job(tmp_path):
    return GrpoJob(
        "nano_grpo", tmp_path / "model", tmp_path / "a.parquet", tmp_path / "b.parquet", 7, 3, ["data.seed=9"]
    )


def test_the_grpo_command_composes_and_later_overrides_win(job, tmp_path):
    command = grpo_command(tmp_path / "stage", job)
    assert command[1:4] == ["-m", "verl.trainer.main_ppo", "+specs=nano_grpo"]
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer", overrides=[argument for argument in command[3:] if not argument.startswith("hydra.")]
        )
    assert config.trainer.total_training_steps == 7
    assert config.actor_rollout_ref.rollout.seed == 3
    assert config.data.seed == 9
    assert config.trainer.default_local_dir == str(tmp_path / "stage" / "checkpoints")


def test_a_stage_that_continues_another_starts_from_its_last_state_until_it_has_its_own(job, tmp_path):
    state = tmp_path / "zero" / "last" / "global_step_16"
    state.mkdir(parents=True)
    further = replace(job, steps=46, continues=tmp_path / "zero")
    command = grpo_command(tmp_path / "stage", further)
    assert {"trainer.resume_mode=resume_path", f"trainer.resume_from_path={state}"} < set(command)
    assert "trainer.total_training_steps=46" in command
    own = tmp_path / "stage" / "checkpoints"
    own.mkdir(parents=True)
    (own / "latest_checkpointed_iteration.txt").write_text("25")
    assert not any("resume" in argument for argument in grpo_command(tmp_path / "stage", further))


def test_without_a_last_state_nothing_is_continued(job, tmp_path):
    with pytest.raises(UserError, match=r"zero/last: no state to continue from"):
        grpo_command(tmp_path / "stage", replace(job, continues=tmp_path / "zero"))


def test_the_cold_start_command_names_pairs_and_folder(tmp_path):
    job = ColdStartJob("nano_cold_start", tmp_path / "model", tmp_path / "pairs.parquet", 3, ["optim.lr=1"])
    command = cold_start_command(tmp_path / "stage", job)
    composed = subprocess.run([*command, "--cfg", "job"], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert composed.returncode == 0, composed.stderr
    assert "seed: 3" in composed.stdout
    assert f"data.train_files={tmp_path / 'pairs.parquet'}" in command
    assert command[-1] == "optim.lr=1"


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
    source, target = tmp_path / "huggingface", tmp_path / "hf"
    source.mkdir()
    (source / "config.json").write_text("new")
    target.mkdir()
    (target / "old.txt").write_text("old")
    publish_checkpoint(source, target)
    assert sorted(file.name for file in target.iterdir()) == ["config.json"]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["hf", "huggingface"]
