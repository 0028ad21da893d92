"""A checkpoint directory is complete, or one sentence says what is missing."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from data_prep.nano import base_checkpoint
from specs_verl.errors import UserError
from specs_verl.files.checkpoints import check_checkpoint
from specs_verl.files.shapes import shape_fingerprint


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


@pytest.fixture
def weights(tmp_path):
    """Makes a checkpoint with one tensor."""

    def make(name, tensor, config='{"model_type": "nano"}', key="a"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        (folder / "tokenizer.json").write_text("{}")
        save_file({key: tensor}, folder / "model.safetensors")
        return folder

    return make


def test_the_shape_of_a_checkpoint_is_all_but_the_values_of_its_weights(weights):
    first = shape_fingerprint(weights("first", np.zeros((2, 3), np.float32)))
    assert shape_fingerprint(weights("values", np.ones((2, 3), np.float32))) == first
    others = {
        "rows": weights("rows", np.zeros((3, 2), np.float32)),
        "type": weights("type", np.zeros((2, 3), np.float16)),
        "key": weights("key", np.zeros((2, 3), np.float32), key="b"),
        "config": weights("config", np.zeros((2, 3), np.float32), '{"model_type": "nano", "dtype": "float32"}'),
        "template": weights("template", np.zeros((2, 3), np.float32)),
    }
    (others["template"] / "chat_template.jinja").write_text("{{ messages }}")
    assert [name for name, folder in others.items() if shape_fingerprint(folder) == first] == []


def test_the_floating_type_counts_only_where_nobody_says_another(weights):
    config = '{"text_config": {"dtype": "float32"}, "dtype": "float32"}'
    said = weights("said", np.zeros(2, np.float32), config)
    unsaid = weights("unsaid", np.zeros(2, np.float16), '{"text_config": {}}')
    assert shape_fingerprint(said) != shape_fingerprint(unsaid)
    assert shape_fingerprint(said, dtype_matters=False) == shape_fingerprint(unsaid, dtype_matters=False)
    whole = weights("whole", np.zeros(2, np.int8), config)  # such weights are none that an engine casts
    assert shape_fingerprint(said, dtype_matters=False) != shape_fingerprint(whole, dtype_matters=False)


def test_weights_that_cannot_be_looked_into_have_no_shape(weights):
    folder = weights("pickled", np.zeros(2, np.float32))
    (folder / "pytorch_model.bin").touch()
    assert shape_fingerprint(folder) is None
