"""What is refused before anything is loaded."""

import json

import pytest

from specs_verl.cold_start.inputs import require_checkpoint
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


def test_a_shard_that_the_index_names_is_missing(tmp_path):
    folder = checkpoint(tmp_path / "model", {}, "model-1-of-2.safetensors")
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model-2-of-2\.safetensors of the checkpoint are missing"):
        require_checkpoint(folder, "model.path")
