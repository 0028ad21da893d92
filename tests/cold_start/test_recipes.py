"""Recipes of the cold start and of the supervised stage: they compose, and their numbers are the papers'."""

import pytest
from engine_setup import compose_config
from verl.utils.config import omega_conf_to_dataclass

from specs_verl.plugin import recipes

NAMES = [name for name in recipes.names() if name.endswith(("cold_start", "sft"))]


def composed(name: str, *overrides: str):
    given = ["model.path=none", "data.train_files=none", "trainer.default_local_dir=none"]
    return compose_config(f"+specs={name}", *given, *overrides)


def test_there_are_recipes():
    assert {"nano_cold_start", "nano_sft", "qwen2_5_vl_7b_cold_start", "qwen2_5_vl_7b_rise_sft"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_composes_and_the_command_line_wins(name):
    config = composed(name, "optim.lr=0.5", "data.train_batch_size=7")
    assert (config.optim.lr, config.data.train_batch_size) == (0.5, 7)
    assert omega_conf_to_dataclass(config.optim).lr == 0.5
    assert (config.loss.preference == "none") == name.endswith("sft")


def test_specs():
    config = composed("qwen2_5_vl_7b_cold_start")
    # lambda 1, batch 64, lr 1e-6, 16,384 tokens, one epoch; LLaMA-Factory's beta and normalisation
    assert (config.loss.sft_weight, config.loss.beta, config.loss.sft_normalization) == (1.0, 0.1, "pair")
    assert (config.data.train_batch_size, config.optim.lr, config.data.max_length) == (64, 1e-6, 16_384)
    assert config.trainer.total_epochs == 1


def test_rl_with_cold_start():
    config = composed("qwen2_5_vl_7b_rl_with_cold_start_sft")
    # 3 epochs, batch 64, lr 1e-5 cosine, weight decay 0.1, tower frozen, aligner trained
    assert (config.trainer.total_epochs, config.data.train_batch_size) == (3, 64)
    assert (config.optim.lr, config.optim.lr_scheduler_type, config.optim.weight_decay) == (1e-5, "cosine", 0.1)
    assert (config.model.freeze_vision_tower, config.model.freeze_aligner) == (True, False)


def test_rise_trains_the_models_own_answers_first():
    config = composed("qwen2_5_vl_7b_rise_sft")
    assert (config.data.stage_column, list(config.data.stages)) == ("stage", [1, 2])
