"""A checkpoint directory is complete, or one sentence says what is missing."""

import json

import pytest

from data_prep.nano import base_checkpoint
from specs_verl.errors import UserError
from specs_verl.files.checkpoints import check_checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "nano"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model-1-of-2.safetensors").touch()
    (folder / "model-2-of-2.safetensors").touch()
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_complete_one_passes(checkpoint):
    assert check_checkpoint(checkpoint) == {"model_type": "nano"}
    assert check_checkpoint(base_checkpoint())["model_type"] == "qwen2_5_vl"


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (["config.json"], r"no config\.json there.*Set model\.path\."),
        (["model-1-of-2.safetensors", "model-2-of-2.safetensors"], "no weights there"),
        (["model-2-of-2.safetensors"], r"model-2-of-2\.safetensors of the checkpoint are missing"),
        (["tokenizer.json"], "no tokenizer there"),
    ],
)
def test_what_is_missing_is_said(checkpoint, missing, sentence):
    for name in missing:
        (checkpoint / name).unlink()
    with pytest.raises(UserError, match=sentence):
        check_checkpoint(checkpoint, said_by="model.path")


def test_no_directory_and_a_damaged_config(checkpoint, tmp_path):
    with pytest.raises(UserError, match="no such checkpoint directory"):
        check_checkpoint(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is a file"):
        check_checkpoint(checkpoint / "config.json")
    (checkpoint / "config.json").write_text('{"model_type": ')
    with pytest.raises(UserError, match=r"config\.json: damaged"):
        check_checkpoint(checkpoint)
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "config.json").write_text("{}")
    assert check_checkpoint(checkpoint, tokenizer=False) == {}
