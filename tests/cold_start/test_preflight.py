"""What is refused before anything is loaded."""

import json
from contextlib import nullcontext

import pytest
from engine_setup import compose_config
from omegaconf import OmegaConf

from specs_verl.cold_start.inputs import check, check_precision, require_checkpoint
from specs_verl.errors import UserError


def checkpoint(folder, config: dict, *files: str):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    for file in files:
        (folder / file).touch()
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "qwen2_5_vl", "vision_config": {}},
        {"model_type": "qwen3_vl", "vision_config": {}},
        {"model_type": "llama"},
    ],
)
def test_what_can_be_trained(tmp_path, config):
    require_checkpoint(checkpoint(tmp_path / "model", config, "model.safetensors"), "model.path")


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        ({"model_type": "llava", "vision_config": {}}, ["model.safetensors"], "of type llava.*qwen2_5_vl.*model.path"),
        ({"model_type": "llama"}, [], "no weights"),
    ],
)
def test_what_cannot(tmp_path, config, files, message):
    with pytest.raises(UserError, match=message):
        require_checkpoint(checkpoint(tmp_path / "model", config, *files), "model.path")


def test_the_checkpoint_is_checked_before_memory_is_estimated_from_it(tmp_path):
    folder = checkpoint(tmp_path / "model", {}, "model.safetensors")
    (folder / "config.json").write_text("{")
    places = (f"model.path={folder}", "data.train_files=none", "trainer.default_local_dir=none")
    with pytest.raises(UserError, match=r"config\.json: damaged"):
        check(compose_config("+specs=qwen2_5_vl_7b_cold_start", *places), 8)


@pytest.mark.parametrize(
    ("dtype", "exported", "problem"),
    [
        ("bf16", None, None),
        ("fp32", "bfloat16", None),
        ("fp16", None, "engine.mixed_precision.param_dtype=fp16 is not supported"),
        ("bf16", "bf16", "trainer.hf_dtype=bf16: use float32, bfloat16, float16 or null"),
    ],
)
def test_dtypes(dtype, exported, problem):
    parts = {"engine": {"mixed_precision": {"param_dtype": dtype}}, "trainer": {"hf_dtype": exported}}
    with pytest.raises(UserError, match=problem) if problem else nullcontext():
        check_precision(OmegaConf.create(parts))


def test_a_shard_that_the_index_names_is_missing(tmp_path):
    folder = checkpoint(tmp_path / "model", {}, "model-1-of-2.safetensors")
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model-2-of-2\.safetensors of the checkpoint are missing"):
        require_checkpoint(folder, "model.path")
