"""The builder: killed and continued it ends at the same weights; its directory loads and appears at once."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_prep.nano import measure as measuring
from data_prep.nano import train as builder
from data_prep.nano.train import Recipe, batches, lr_factor, train

SMALL = Recipe(steps=10, batch=4, warmup=2)


def test_lr_factor_by_hand():
    recipe = Recipe(steps=100, warmup=10, last_lr=0.1)
    # warm-up (step + 1) / 10; flat to step 50; then 1 - 0.9 * (2 * 75 / 100 - 1) = 0.55 at step 75
    assert [lr_factor(recipe, step) for step in (0, 4, 9, 10, 50)] == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0])
    assert lr_factor(recipe, 75) == pytest.approx(0.55)


class _Lengths:
    """Stands for a policy where only text lengths matter."""

    def encode(self, text: str) -> str:
        return text


def test_batches_continue_where_they_stopped():
    whole = list(batches(SMALL, _Lengths(), 0))
    # 10 steps are a whole pool of 8 and a part of the next one
    assert len(whole) == 10
    assert whole[3:] == list(batches(SMALL, _Lengths(), 3)) and whole[9:] == list(batches(SMALL, _Lengths(), 9))
    assert all(len(batch) == SMALL.batch for batch in whole)


class Killed(Exception):
    pass


def test_killed_build_continues_to_the_same_weights(tmp_path, monkeypatch):
    train(SMALL, tmp_path / "whole")
    monkeypatch.setattr(builder, "SAVE_EVERY_S", 0)
    real, calls = builder.loss_of, []

    def dies_at_sixth(policy, batch):
        calls.append(1)
        if len(calls) == 6:
            raise Killed
        return real(policy, batch)

    monkeypatch.setattr(builder, "loss_of", dies_at_sixth)
    with pytest.raises(Killed):
        train(SMALL, tmp_path / "resumed")
    assert not (tmp_path / "resumed").exists()
    train(SMALL, tmp_path / "resumed")
    assert len(calls) == 6 + 5  # the sixth call died; five of ten steps were kept, the other five done
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]


def test_state_of_another_recipe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(builder, "export", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        train(Recipe(steps=1, batch=2), tmp_path / "base")
    with pytest.raises(SystemExit, match="other options"):
        train(Recipe(steps=2, batch=2), tmp_path / "base")


def test_exported_directory_loads_in_float32(tmp_path):
    train(Recipe(steps=2, batch=2), tmp_path / "base")
    stored = load_file(tmp_path / "base" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert json.loads((tmp_path / "base" / "config.json").read_text())["dtype"] == "float32"
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "base")
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration" and model.dtype == torch.float32
    assert type(AutoProcessor.from_pretrained(tmp_path / "base")).__name__ == "Qwen2_5_VLProcessor"


@pytest.mark.parametrize("module", [builder, measuring])
def test_help_tells_what_the_command_does(module, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["prog", "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 0
    assert module.__doc__.splitlines()[0] in capsys.readouterr().out
