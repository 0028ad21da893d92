"""Weights of single RL steps stay when verl deletes the checkpoints that they came with."""

import os
import shutil
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from verl.trainer.ppo.checkpoint_callback import build_checkpoint_callback
from verl.utils.checkpoint.checkpoint_manager import BaseCheckpointManager

from specs_verl.doctor import recipe
from specs_verl.errors import UserError


def config_of(**trainer):
    with initialize_config_module("verl.trainer.config", version_base=None):
        overrides = [f"trainer.{name}={value}" for name, value in trainer.items()]
        return compose("ppo_trainer", overrides=["+specs=nano_grpo", *overrides])


def trained(tmp_path, config, steps):
    """What verl does on disk: a checkpoint at every save, its own retention, the callback that the recipe names."""
    callback = build_checkpoint_callback(config)
    manager = object.__new__(BaseCheckpointManager)
    manager.previous_saved_paths = []
    for step in range(1, steps + 1):
        if step % config.trainer.save_freq and step != steps:
            continue
        folder = tmp_path / f"global_step_{step}"
        (folder / "actor" / "huggingface").mkdir(parents=True)
        (folder / "actor" / "huggingface" / "model.safetensors").write_text(f"weights {step}")
        (folder / "actor" / "optimizer.pt").write_text("moments")
        manager.register_checkpoint(str(folder / "actor"), config.trainer.max_actor_ckpt_to_keep)
        trainer = SimpleNamespace(total_training_steps=steps)
        callback.on_save(trainer=trainer, global_step=step, checkpoint_dir=str(folder), async_save=False)


def test_weights_of_every_n_steps_and_of_the_last_stay_without_their_states(tmp_path):
    trained(tmp_path, config_of(save_freq=2, hf_freq=4), steps=11)
    kept = {folder.name: folder for folder in tmp_path.glob("hf_step_*")}
    assert sorted(kept) == ["hf_step_000004", "hf_step_000008", "hf_step_000011"]
    for name, folder in kept.items():
        assert (folder / "model.safetensors").read_text() == f"weights {int(name[-6:])}"
        assert [file.name for file in folder.iterdir()] == ["model.safetensors"]
    # The recipe keeps two states: of steps 10 and 11.
    assert sorted(file.parts[-3] for file in tmp_path.glob("*/actor/optimizer.pt")) == [
        "global_step_10",
        "global_step_11",
    ]
    linked = kept["hf_step_000011"] / "model.safetensors"
    assert os.path.samefile(linked, tmp_path / "global_step_11" / "actor" / "huggingface" / "model.safetensors")


def test_nothing_is_kept_unless_asked(tmp_path):
    trained(tmp_path, config_of(save_freq=2), steps=4)
    assert not list(tmp_path.glob("hf_step_*"))


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    def refused(*arguments):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    trained(tmp_path, config_of(save_freq=2, hf_freq=2), steps=2)
    shutil.rmtree(tmp_path / "global_step_2")
    assert (tmp_path / "hf_step_000002" / "model.safetensors").read_text() == "weights 2"


@pytest.mark.parametrize(
    ("hf_freq", "save_freq", "fine"), [(-1, 25, True), (50, 25, True), (10, 25, False), (5, -1, False)]
)
def test_weights_are_kept_only_of_steps_at_which_verl_saves(hf_freq, save_freq, fine):
    config = OmegaConf.create({"trainer": {"hf_freq": hf_freq, "save_freq": save_freq}})
    if fine:
        return recipe.kept_weights(config)
    with pytest.raises(UserError, match=f"hf_freq={hf_freq} must be a multiple of trainer.save_freq={save_freq}"):
        recipe.kept_weights(config)
