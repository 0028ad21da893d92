"""Every model on every hardware with every method: verl's own checks, and memory; what does not fit is refused.

Hydra composes each method once; models and hardware are then put in their places, which is all that
`specs/model=NAME specs/hardware=NAME` does (test_choosing_on_the_command_line).
"""

import json
from contextlib import contextmanager
from functools import cache

import pytest
import verl  # noqa: F401  (loads the plugin, which puts the recipes on Hydra's search path)
from hydra import compose, initialize_config_dir, initialize_config_module
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from specs_verl.cold_start.__main__ import CONFIG
from specs_verl.errors import UserError
from specs_verl.estimate import fits
from specs_verl.estimate.memory import GIB

RECIPES = CONFIG.parent / "specs"
MODELS, HARDWARE = (sorted(file.stem for file in (RECIPES / part).glob("*.yaml")) for part in ("model", "hardware"))
RL = ("zero", "grpo", "rl_with_cold_start_grpo")
COLD_STARTS = ("cold_start", "rise_sft", "rl_with_cold_start_sft")
NO_PLACE = {("qwen2_5_vl_32b", "1x80g"), ("qwen2_5_vl_72b", "1x80g")}
FITTING = [(m, h) for m in MODELS for h in HARDWARE if (m, h) not in NO_PLACE]


@cache
def method(name: str):
    if name in RL:
        with initialize_config_module("verl.trainer.config", version_base=None):
            config = compose("ppo_trainer", overrides=[f"+specs={name}", "data.train_files=train.parquet"])
    else:
        given = ["model.path=none", "data.train_files=none", "trainer.default_local_dir=none"]
        with initialize_config_dir(str(CONFIG), version_base=None):
            config = compose("cold_start", overrides=[f"+specs={name}", *given])
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    return config


def placed(name: str, model: str, hardware: str):
    """The one configuration of a method with these parts; composing and copying verl's takes seconds."""
    config = method(name)
    for part, chosen in (("model", model), ("hardware", hardware)):
        config.specs[part] = OmegaConf.load(RECIPES / part / f"{chosen}.yaml")
    return config


@contextmanager
def changed(config, key: str, value: object):
    """One setting of the user's, taken back afterwards."""
    folder, _, name = key.rpartition(".")
    node = OmegaConf.select(config, folder)
    before = OmegaConf.to_container(node, resolve=False)[name]
    node[name] = value
    try:
        yield config
    finally:
        node[name] = before


def test_the_page_about_hardware_names_every_part():
    page = (CONFIG.parents[2] / "examples" / "hardware.md").read_text(encoding="utf-8")
    assert [name for name in (*MODELS, *HARDWARE) if f"| {name} |" not in page] == []


def test_the_worlds_have_the_numbers_of_the_recipes():
    """A pipeline gives steps, lengths and pixels; the recipes alone, run by hand, have the same."""
    world = OmegaConf.load(CONFIG.parent / "pipelines" / "worlds" / "gpu.yaml")
    for name, steps in (("zero", world.steps.zero), ("grpo", world.steps.grpo)):
        config = method(name)
        assert config.trainer.total_training_steps == steps
        assert config.data.max_pixels == world.max_pixels
        assert (config.data.max_prompt_length, config.data.max_response_length) == (
            world.lengths.prompt,
            world.lengths.response,
        )
    pipeline = OmegaConf.load(CONFIG.parent / "pipelines" / "rl_with_cold_start.yaml")
    for name in ("rl_with_cold_start_sft", "rl_with_cold_start_grpo"):
        assert method(name).data.max_pixels == pipeline.max_pixels


@pytest.mark.parametrize("name", RL)
def test_the_largest_image_leaves_room_for_the_question(name):
    data = method(name).data
    # a token of Qwen2.5-VL is 28x28 pixels; 256 tokens of text at least
    assert data.max_pixels // 28**2 + 256 <= data.max_prompt_length


@pytest.mark.parametrize("name", RL)
@pytest.mark.parametrize(("model", "hardware"), FITTING)
def test_rl_passes_verls_checks_and_fits(name, model, hardware):
    config = placed(name, model, hardware)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    for part in ("actor", "rollout"):  # verl's dataclasses, which refuse keys that they do not know
        omega_conf_to_dataclass(config.actor_rollout_ref[part])
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert gpus % rollout.tensor_model_parallel_size == gpus % actor.fsdp_config.ulysses_sequence_parallel_size == 0
    # the longest prompt and response fit the engine, and a micro-batch of the GPUs that share a sequence
    longest = config.data.max_prompt_length + config.data.max_response_length
    together = actor.ppo_max_token_len_per_gpu * actor.fsdp_config.ulysses_sequence_parallel_size
    assert longest == rollout.max_model_len <= together
    need = fits.check_rl(config)
    assert 0 < need.peak <= 79 * GIB and need.cache_tokens >= longest


@pytest.mark.parametrize("name", COLD_STARTS)
@pytest.mark.parametrize(("model", "hardware"), FITTING)
def test_cold_starts_fit(name, model, hardware):
    config = placed(name, model, hardware)
    need = fits.check_cold_start(config, config.trainer.nnodes * config.trainer.n_gpus_per_node)
    assert 0 < need.peak <= 79 * GIB
    assert (config.model.lora_rank > 0) == (config.optim.lr > 1e-5 or (name == "cold_start" and config.optim.lr > 1e-6))


@pytest.mark.parametrize(("model", "hardware"), sorted(NO_PLACE))
def test_what_has_no_place_is_refused_with_numbers(model, hardware):
    # 33.45e9 x 4 B = 124.6 GiB, 73.41e9 x 4 B = 273.5 GiB
    needed = {"qwen2_5_vl_32b": "125", "qwen2_5_vl_72b": "273"}[model]
    for name, check in (("grpo", fits.check_rl), ("cold_start", lambda config: fits.check_cold_start(config, 1))):
        with pytest.raises(UserError, match=rf"take {needed} GiB of a GPU .*, 79 GiB are there\. Take larger hardware"):
            check(placed(name, model, hardware))


def test_settings_of_ones_own_are_estimated_too():
    config = placed("grpo", "qwen2_5_vl_7b", "1x80g")
    # trained 7,615,616,512 x 16 B = 113.5 GiB of weights, gradients and moments, more than a GPU has
    needed = r"1 x 1 GPUs: 1[4-5]\d GiB of a GPU are needed in the update, 79 GiB are there"
    with changed(config, "actor_rollout_ref.model.lora_rank", 0), pytest.raises(UserError, match=needed):
        fits.check_rl(config)
    config = placed("grpo", "qwen2_5_vl_72b", "8x80g")
    # 73.4e9 x 2 B / 2 = 68 GiB of weights, vLLM's share is 55
    with (
        changed(config, "actor_rollout_ref.rollout.tensor_model_parallel_size", 2),
        pytest.raises(UserError, match="leaves a cache of 0 tokens beside the weights"),
    ):
        fits.check_rl(config)
    config = placed("grpo", "qwen2_5_vl_72b", "2x8x80g")
    too_small = "GiB of main memory are needed on a machine, 500 GiB are there"
    with changed(config, "specs.hardware.host_gib", 500), pytest.raises(UserError, match=too_small):
        fits.check_rl(config)


def test_a_checkpoint_of_another_size(tmp_path):
    sizes = {"num_hidden_layers": 64, "hidden_size": 5120}
    with changed(placed("grpo", "qwen2_5_vl_7b", "8x80g"), "actor_rollout_ref.model.path", str(tmp_path)) as config:
        (tmp_path / "config.json").write_text(json.dumps({"text_config": sizes}))
        with pytest.raises(UserError, match=r"64 layers of width 5120, more than Qwen2\.5-VL-7B-Instruct"):
            fits.check_rl(config)
        (tmp_path / "config.json").write_text(json.dumps({"text_config": {"num_hidden_layers": 2, "hidden_size": 64}}))
        assert fits.check_rl(config) is None  # nothing is known of it, and it is smaller


def test_choosing_on_the_command_line():
    with initialize_config_module("verl.trainer.config", version_base=None):
        chosen = ["+specs=qwen2_5_vl_7b_grpo", "specs/model=qwen3_vl_8b", "specs/hardware=1x80g"]
        config = compose("ppo_trainer", overrides=[*chosen, "data.train_files=train.parquet"])
    assert config.actor_rollout_ref.model.path == "Qwen/Qwen3-VL-8B-Instruct"
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (1, 1)
    assert (config.actor_rollout_ref.model.lora_rank, config.actor_rollout_ref.actor.optim.lr) == (64, 1e-5)
    # and it is the very configuration that the other tests look at
    expected = placed("grpo", "qwen3_vl_8b", "1x80g")
    for part in ("specs", "data", "actor_rollout_ref", "trainer"):
        assert OmegaConf.to_container(config[part], resolve=True) == OmegaConf.to_container(
            expected[part], resolve=True
        )
