"""The device-independent verl fixes: the bug is there without them, and gone with them."""

import importlib
import subprocess
import sys

import pytest
import torch
import verl.models.transformers.qwen2_vl as qwen2_vl
import verl.utils.tensordict_utils as tensordict_utils
from tensordict import TensorDict

from specs_verl.plugin import fixes as verl_fixes

MODULES = [
    "verl.utils.tensordict_utils",
    "verl.models.transformers.qwen2_vl",
    "verl.utils.import_utils",
    "verl.utils.checkpoint.fsdp_checkpoint_manager",
]


def position_ids_of_equal_length():
    """What TransferQueue makes of two M-RoPE position tensors (4, 3): ragged along the wrong dimension."""
    rows = [torch.arange(12).reshape(4, 3), torch.arange(100, 112).reshape(4, 3)]
    return rows, torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def test_equal_lengths_come_out_as_they_went_in():
    rows, nested = position_ids_of_equal_length()
    data = TensorDict({"position_ids": nested}, batch_size=[2])
    tensordict_utils.maybe_fix_3d_position_ids(data)
    fixed = data["position_ids"]
    assert fixed._ragged_idx == 2
    # values of a tensor ragged in dimension 2 are (4, 3 + 3): the rows side by side
    assert torch.equal(fixed.values(), torch.cat(rows, dim=1))


def test_unequal_lengths_are_left_alone():
    rows = [torch.arange(12).reshape(4, 3), torch.arange(100, 120).reshape(4, 5)]
    nested = tensordict_utils.nested_tensor_from_tensor_list(rows, ragged_idx=2)
    nested._ragged_idx = 1  # what pickling leaves behind
    data = TensorDict({"position_ids": nested}, batch_size=[2])
    tensordict_utils.maybe_fix_3d_position_ids(data)
    assert data["position_ids"]._ragged_idx == 2
    assert torch.equal(data["position_ids"].values(), torch.cat(rows, dim=1))


IS_THERE = "from verl.models.transformers.monkey_patch import is_trl_available; print(is_trl_available())"


def stock_or_ours(folder, code: str, plugins: str) -> subprocess.CompletedProcess:
    """A process in which verl is alone, or has the plugin, with a trl in the folder."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "VERL_USE_EXTERNAL_PLUGINS": plugins}
    environment["VERL_PLATFORM"] = "cpu" if plugins != "none" else "nvidia"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


def trl_in(folder, text: str) -> None:
    (folder / "trl").mkdir()
    (folder / "trl" / "__init__.py").write_text(text)


def test_stock_verl_still_has_the_bugs(tmp_path):
    # When this fails, verl has mended one: narrow verl_fixes.AFFECTED and delete the fix.
    trl_in(tmp_path, "")
    code = f"""
import torch
from tensordict import TensorDict
import verl.utils.tensordict_utils as tu
rows = [torch.arange(12).reshape(4, 3), torch.arange(100, 112).reshape(4, 3)]
data = TensorDict({{"position_ids": torch.nested.as_nested_tensor(rows, layout=torch.jagged)}}, batch_size=[2])
try:
    tu.maybe_fix_3d_position_ids(data)
    p = data["position_ids"]
    print("right" if p.values().shape == (4, 6) else "wrong")
except Exception as error:
    print("wrong", type(error).__name__)
{IS_THERE}
"""
    run = stock_or_ours(tmp_path, code, "none")
    positions, value_head = run.stdout.splitlines()[-2:]
    assert positions.startswith("wrong") and value_head == "True", run.stdout + run.stderr


@pytest.mark.parametrize(("trl", "counts"), [("", False), ("class AutoModelForCausalLMWithValueHead: pass", True)])
def test_a_trl_without_value_head_counts_as_none(tmp_path, trl, counts):
    trl_in(tmp_path, trl)
    run = stock_or_ours(tmp_path, IS_THERE, "specs_verl")
    assert run.stdout.split()[-1] == str(counts), run.stderr


class _VisionOutput:
    """Like transformers 5: an object with pooler_output, not a tensor."""

    def __init__(self, features):
        self.pooler_output = features


class _Visual(torch.nn.Module):
    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(24, 8))

    def forward(self, pixels, grid_thw):
        return _VisionOutput(pixels @ self.weight)


class _Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = _Visual()
        self.embed = torch.nn.Embedding(10, 8)
        vision = type("Vision", (), {"in_channels": 3, "temporal_patch_size": 2, "patch_size": 2})
        self.config = type("Config", (), {"vision_config": vision})

    def get_input_embeddings(self):
        return self.embed


def test_text_only_micro_batch_gets_plain_embeddings_and_a_zero_gradient_for_the_tower():
    model, ids = _Model(), torch.tensor([[1, 2, 3]])
    embeddings, mask = qwen2_vl._get_input_embeds(model, ids, torch.ones(1, 3))
    assert torch.equal(embeddings, model.embed(ids))
    assert mask.shape == (1, 3)
    embeddings.sum().backward()
    # the tower takes part (its gradient exists, so FSDP ranks stay in step) and contributes nothing
    assert torch.equal(model.visual.weight.grad, torch.zeros(24, 8))


def test_an_export_with_lora_is_the_merged_model():
    """Against peft's own merge_and_unload, and under the names that the plain model has."""
    from types import SimpleNamespace

    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    layers = {"q_proj": torch.nn.Linear(4, 6), "norm": torch.nn.LayerNorm(6), "down": torch.nn.Linear(6, 2, bias=False)}
    plain = torch.nn.ModuleDict(layers)
    names = list(plain.state_dict())
    wrapped = get_peft_model(plain, LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "down"]))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:  # zero at first: adapters would add nothing
            torch.nn.init.normal_(parameter)
    module = SimpleNamespace(get_fsdp_full_state_dict=lambda model, **options: dict(model.state_dict()))
    verl_fixes.fix_lora_export(module)
    found = module.get_fsdp_full_state_dict(wrapped, offload_to_cpu=True)
    expected = wrapped.merge_and_unload().state_dict()
    assert sorted(found) == sorted(names) == sorted(expected)
    for name in names:
        torch.testing.assert_close(found[name], expected[name])
    assert module.get_fsdp_full_state_dict(torch.nn.Linear(2, 2)).keys() == {"weight", "bias"}


def test_other_verl_versions_are_left_alone(monkeypatch):
    patched = []
    monkeypatch.setattr(verl_fixes, "version", lambda name: "0.11.0")
    monkeypatch.setattr(verl_fixes, "on_import", lambda *arguments: patched.append(arguments))
    verl_fixes.install()
    assert patched == []
    monkeypatch.setattr(verl_fixes, "version", lambda name: "0.9.1")
    verl_fixes.install()
    assert [name for name, _ in patched] == MODULES


def test_patched_modules_exist_in_the_installed_verl():
    for name in MODULES:
        assert importlib.import_module(name)
