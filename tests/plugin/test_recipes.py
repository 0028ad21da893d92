"""Every recipe composes with stock verl's configuration and passes verl's own checks; its numbers are the paper's."""

from functools import cache

import pytest
import verl  # noqa: F401  (loads the plugin, which puts the recipes on Hydra's search path)
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from specs_verl.plugin import recipes

COLD_STARTS = [name for name in recipes.names() if name.endswith(("cold_start", "sft"))]
RL = [name for name in recipes.names() if name not in COLD_STARTS]


@cache
def composed(name: str, *overrides: str):
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=[f"+specs={name}", "data.train_files=train.parquet", *overrides])


@pytest.mark.parametrize("name", RL)
def test_composes_and_passes_verls_checks(name):
    config = composed(name)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    # verl turns these into dataclasses in its workers; a key it does not know fails there, a minute later
    for part in ("actor", "rollout", "model"):
        if part != "model" or not config.actor_rollout_ref.model.path.startswith(("~", "Qwen")):
            omega_conf_to_dataclass(config.actor_rollout_ref[part])


@pytest.mark.parametrize("name", ["nano_grpo", "grpo"])
def test_the_command_line_wins(name):
    assert composed(name, "actor_rollout_ref.actor.optim.lr=0.5").actor_rollout_ref.actor.optim.lr == 0.5


def test_7b_numbers_are_those_of_the_paper():
    config = composed("qwen2_5_vl_7b_grpo")
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    # batch 128, n = 8, lr 1e-6, response up to 10,240, clip 0.2 / 0.28, no KL, vision tower frozen, 600-800 steps
    assert (config.data.train_batch_size, rollout.n, actor.optim.lr) == (128, 8, 1e-6)
    assert config.data.max_response_length == 10_240
    assert (actor.clip_ratio_low, actor.clip_ratio_high) == (0.2, 0.28)
    assert not actor.use_kl_loss and not config.algorithm.use_kl_in_reward
    assert actor.freeze_vision_tower
    assert 600 <= config.trainer.total_training_steps <= 800
    # the longest prompt and the longest response fit the engine and one micro-batch
    longest = config.data.max_prompt_length + config.data.max_response_length
    assert longest == rollout.max_model_len <= actor.ppo_max_token_len_per_gpu


def test_every_value_of_a_recipe_has_a_comment_above_it():
    """House rule of the YAML files: a reader never has to guess what a key is for.

    Pipelines and studies are apart: their keys are explained once, where kinds of stages are defined.
    """
    from importlib import resources

    missing = []

    def visit(folder):
        for entry in folder.iterdir():
            if entry.is_dir() and entry.name not in ("pipelines", "studies"):
                visit(entry)
            elif entry.name.endswith(".yaml"):
                missing.extend(uncommented(entry))

    visit(resources.files("specs_verl") / "config")
    assert missing == []


def uncommented(file) -> list[str]:
    lines = file.read_text().splitlines()
    found = []
    for number, line in enumerate(lines):
        text = line.strip()
        is_leaf = ":" in text and not text.startswith(("#", "-", "_target_")) and not text.endswith(":")
        if is_leaf and not lines[number - 1].strip().startswith("#"):
            found.append(f"{file.name}:{number + 1} {text}")
    return found


def test_unknown_recipes():
    known = recipes.names()
    assert recipes.unknown_recipe([f"+specs={known[0]}", "trainer.nnodes=2"]) is None
    assert "no recipe specs=nope" in recipes.unknown_recipe(["+specs=nope"])
    # with a config directory of the user's own the recipe may be in there: Hydra decides
    assert recipes.unknown_recipe(["+specs=mine", "--config-dir=conf"]) is None
    assert OmegaConf.is_config(composed(known[-1] if known[-1] in RL else RL[0]))
