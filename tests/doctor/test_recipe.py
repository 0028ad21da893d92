"""What a composed RL recipe asks for is refused before Ray starts where it cannot be had."""

from copy import deepcopy
from functools import cache

import pytest
import verl  # noqa: F401  (loads the plugin, which puts the recipes on Hydra's search path)
from hydra import compose, initialize_config_module
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from specs_verl.doctor import preflight, recipe
from specs_verl.errors import UserError
from specs_verl.plugin import recipes

RL = [name for name in recipes.names() if not name.endswith(("cold_start", "sft"))]
GPU = ["zero", "grpo", "rl_with_cold_start_grpo"]
SDPA = "+specs/parts/attention=sdpa"


@cache
def composed(name: str, *overrides: str):
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer", overrides=[f"+specs={name}", "data.train_files=train.parquet", *overrides])


@pytest.mark.parametrize("name", GPU)
def test_a_gpu_recipe_without_flash_attn_says_what_to_do(name):
    with pytest.raises(UserError) as refused:
        recipe.attention(composed(name), "cuda", flash=False)
    for part in ("use_remove_padding=True", "flash_attention_2", "pip install flash-attn==2.8.3", SDPA):
        assert part in str(refused.value)
    recipe.attention(composed(name), "cuda", flash=True)
    recipe.attention(composed(name), "cpu", flash=False)


@pytest.mark.parametrize("name", GPU)
def test_the_switch_to_sdpa_needs_no_flash_attn(name):
    config = composed(name, SDPA)
    recipe.attention(config, "cuda", flash=False)
    part = config.actor_rollout_ref
    assert (part.model.use_remove_padding, part.model.override_config.attn_implementation) == (False, "sdpa")
    # padded micro-batches are bounded in rows: a budget of tokens counts no padding
    assert not any(
        (part.actor.use_dynamic_bsz, part.ref.log_prob_use_dynamic_bsz, part.rollout.log_prob_use_dynamic_bsz)
    )
    assert part.actor.ppo_micro_batch_size_per_gpu == part.rollout.log_prob_micro_batch_size_per_gpu == 1


def test_half_a_switch_is_refused():
    half = composed("qwen2_5_vl_7b_grpo", "actor_rollout_ref.model.use_remove_padding=False")
    with pytest.raises(UserError, match="attn_implementation=flash_attention_2 need"):
        recipe.attention(half, "cuda", flash=False)
    other = composed("qwen2_5_vl_7b_grpo", "++actor_rollout_ref.model.override_config.attn_implementation=sdpa")
    with pytest.raises(UserError, match=r"model\.use_remove_padding=True need"):
        recipe.attention(other, "cuda", flash=False)


@pytest.mark.parametrize("name", [name for name in RL if "qwen" not in name])
def test_the_micro_batches_of_a_recipe_divide_its_rows(name):
    recipe.micro_batches(composed(name))


@pytest.mark.parametrize(
    ("n", "gpus", "said"),
    [
        # 16 x 10 = 160 = 2.5 x 64
        (10, 1, r"actor\.ppo_micro_batch_size_per_gpu=64 must divide .* 16 prompts x 10 responses / 1 .* = 160"),
        # 16 x 4 = 64, half a micro-batch of 128
        (4, 1, r"rollout\.log_prob_micro_batch_size_per_gpu=128 must divide .* = 64"),
        # 16 x 8 / 3
        (8, 3, r"16 prompts x 8 responses / 3 processes = 42\.6667"),
    ],
)
def test_rows_that_cannot_be_dealt_out_are_refused(n, gpus, said):
    config = deepcopy(composed("nano_grpo"))
    config.actor_rollout_ref.rollout.n, config.trainer.n_gpus_per_node = n, gpus
    with pytest.raises(UserError, match=said):
        recipe.micro_batches(config)
    by_tokens = config.actor_rollout_ref
    by_tokens.actor.use_dynamic_bsz = by_tokens.rollout.log_prob_use_dynamic_bsz = True
    recipe.micro_batches(config)


def test_the_reference_counts_where_it_is_asked():
    config = deepcopy(composed("nano_rl_with_cold_start_grpo"))
    config.actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu = 128
    with pytest.raises(UserError, match=r"ref\.log_prob_micro_batch_size_per_gpu=128"):
        recipe.micro_batches(config)
    config.actor_rollout_ref.actor.use_kl_loss = False
    recipe.micro_batches(config)


@pytest.mark.parametrize("name", [name for name in RL if "qwen" not in name])
def test_steps_decide_when_a_run_ends(name):
    config = composed(name)
    assert config.trainer.total_training_steps is not None
    # Geometry3K: 2,101 rows in batches of 128 are 16 steps an epoch; 10 epochs ended at step 160 of 700
    recipe.steps(config, max(2101, config.data.train_batch_size))


def test_epochs_that_end_first_are_refused():
    with pytest.raises(UserError, match=r"16 steps an epoch, and .*=10 of them end at step 160, before .*=700"):
        recipe.steps(composed("qwen2_5_vl_7b_grpo", "trainer.total_epochs=10"), 2101)
    # 44 x 16 = 704 steps are enough, 43 x 16 = 688 are not
    recipe.steps(composed("qwen2_5_vl_7b_grpo", "trainer.total_epochs=44"), 2101)
    with pytest.raises(UserError, match="end at step 688"):
        recipe.steps(composed("qwen2_5_vl_7b_grpo", "trainer.total_epochs=43"), 2101)
    with pytest.raises(UserError, match="127 rows, fewer than one batch"):
        recipe.steps(composed("qwen2_5_vl_7b_grpo"), 127)
    with pytest.raises(UserError, match="100 rows, fewer than one batch"):
        recipe.steps(composed("qwen2_5_vl_7b_grpo", "data.train_max_samples=100"), 2101)
    with pytest.raises(UserError, match="total_training_steps is not set"):
        recipe.steps(composed("qwen2_5_vl_7b_grpo", "trainer.total_training_steps=null"), 2101)


def test_a_run_that_ended_early_fails(tmp_path, capsys):
    config = composed("qwen2_5_vl_7b_grpo", f"trainer.default_local_dir={tmp_path}")
    done, failed = (JobReturn(status=status) for status in (JobStatus.COMPLETED, JobStatus.FAILED))
    (tmp_path / recipe.NEWEST).write_text("150")
    with pytest.raises(SystemExit) as left:
        preflight.RecipeCheck().on_run_end(config, done)
    assert left.value.code == 2
    assert "is of step 150, trainer.total_training_steps=700" in capsys.readouterr().err
    preflight.RecipeCheck().on_run_end(config, failed)  # its own error is shown
    (tmp_path / recipe.NEWEST).write_text("700")
    preflight.RecipeCheck().on_run_end(config, done)
    (tmp_path / recipe.NEWEST).unlink()
    with pytest.raises(UserError, match="is of step 0"):
        recipe.ended_as_asked(config)


def test_a_cluster_is_told_where_metrics_go(monkeypatch, tmp_path):
    # Ray starts the process that writes them, from the raylet's variables and in the raylet's folder
    key, here = (
        "ray_kwargs.ray_init.runtime_env.env_vars",
        {"VERL_FILE_LOGGER_PATH": "runs/metrics.jsonl", "HOME": "/x"},
    )
    monkeypatch.chdir(tmp_path)
    config = composed(GPU[0])
    recipe.cluster(config, None, here)
    assert OmegaConf.select(config, key) is None, "a Ray of one's own inherits them"
    recipe.cluster(config, "10.0.0.1:6379", {"HOME": "/x"})
    assert OmegaConf.select(config, key) is None
    recipe.cluster(config, "10.0.0.1:6379", here)
    assert OmegaConf.select(config, key) == {"VERL_FILE_LOGGER_PATH": f"{tmp_path}/runs/metrics.jsonl"}
    recipe.cluster(config, "10.0.0.1:6379", {"VERL_FILE_LOGGER_PATH": "/else", "TENSORBOARD_DIR": "/board"})
    assert OmegaConf.select(config, key) == {
        "VERL_FILE_LOGGER_PATH": f"{tmp_path}/runs/metrics.jsonl",  # what the configuration says wins
        "TENSORBOARD_DIR": "/board",
    }


def test_several_nodes_need_a_cluster():
    config = deepcopy(composed(GPU[0], "trainer.nnodes=2"))
    with pytest.raises(UserError, match=r"trainer\.nnodes=2, but no Ray cluster is joined"):
        recipe.cluster(config, None)
    recipe.cluster(config, "10.0.0.1:6379")
    recipe.cluster(composed(GPU[0]), None)


def test_a_run_that_joins_a_cluster_asks_ray_for_nothing_new():
    config = deepcopy(composed("nano_grpo"))
    recipe.cluster(config, None)
    assert config.ray_kwargs.ray_init.num_gpus == 1
    # another's cluster on this machine is left alone; RAY_ADDRESS says that this one is meant
    assert recipe.ray_address(config, None, "127.0.0.1:1") is None
    assert recipe.ray_address(config, "127.0.0.1:6379", "127.0.0.1:1") == "127.0.0.1:6379"
    assert recipe.ray_address(composed(GPU[0]), None, "127.0.0.1:1") == "127.0.0.1:1"
    recipe.cluster(config, "127.0.0.1:6379")
    # what ray.init refuses where it joins a cluster
    asked = config.ray_kwargs.ray_init
    assert (asked.num_cpus, asked.num_gpus, asked.object_store_memory) == (None, None, None)
    assert (asked.address, asked.include_dashboard) == ("127.0.0.1:6379", False)
