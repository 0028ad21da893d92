"""Other models, other things to train: log-probabilities and gradients equal those of separate forward passes."""

import pytest
import tiny_vlm as tiny
import torch
from engine_setup import Setup
from separate import expected, gradients, relative_distance
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer


def compare(folder, model_dir, rows, trained, *overrides: str) -> None:
    """Log-probabilities and gradients of the engine against transformers' model.

    Args:
        trained: whether the parameter of this name is to be trained.
    """
    setup = Setup(model_dir, rows, folder, *overrides)
    if setup.engine.has_vision:
        model, processor = (
            AutoModelForImageTextToText.from_pretrained(model_dir),
            AutoProcessor.from_pretrained(model_dir),
        )
    else:
        model, processor = AutoModelForCausalLM.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained(name))
    setup.pack(shared_prefix=True)
    weights = torch.linspace(-1, 1, len(setup.row.targets))
    theirs = expected((model.train(), processor), setup)
    (theirs * weights).sum().backward()
    with setup.engine.train_mode():
        ours = setup.engine.token_log_probs(setup.row)
        (ours * weights).sum().backward()
        assert (ours - theirs).abs().max() < 1e-5
        assert relative_distance(gradients(setup.engine.module), gradients(model)) < 1e-5


ROWS = (tiny.row(1), tiny.row(2, images=2), tiny.row(3, images=0))
TEXT_ROWS = tuple(tiny.row(number, images=0) for number in range(3))


def not_visual(name: str) -> bool:
    return "visual" not in name


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_other_vision_language_models(tmp_path, family):
    compare(tmp_path, tiny.make_model(tmp_path / "model", family=family), ROWS, not_visual)


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_text_only_models(tmp_path, family):
    compare(tmp_path, tiny.make_model(tmp_path / "model", family=family), TEXT_ROWS, not_visual)


def test_tied_embeddings(tmp_path):
    compare(tmp_path, tiny.make_model(tmp_path / "model", tied=True), ROWS, not_visual)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_whole_tower_trains(tmp_path, family):
    settings = ("model.freeze_vision_tower=false", "model.freeze_aligner=false")
    compare(tmp_path, tiny.make_model(tmp_path / "model", family=family), ROWS, lambda name: True, *settings)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"])
def test_only_the_aligner_trains(tmp_path, family):
    model = tiny.make_model(tmp_path / "model", family=family)
    compare(tmp_path, model, ROWS, lambda name: not_visual(name) or "merger" in name, "model.freeze_aligner=false")


def test_only_the_tower_trains(tmp_path, model_dir):
    settings = ("model.freeze_vision_tower=false", "model.freeze_aligner=true")
    compare(tmp_path, model_dir, ROWS, lambda name: "merger" not in name, *settings)


@pytest.mark.parametrize("tied", [False, True])
def test_a_head_in_pieces(tmp_path, tied):
    model = tiny.make_model(tmp_path / "model", tied=tied)
    compare(tmp_path, model, ROWS, not_visual, "model.head_chunk_tokens=7", "model.enable_gradient_checkpointing=true")


def test_gradient_checkpointing(tmp_path, model_dir):
    compare(tmp_path, model_dir, ROWS, not_visual, "model.enable_gradient_checkpointing=true")
