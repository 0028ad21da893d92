"""Each image goes through the frozen tower once, as long as its features fit somewhere."""

import pytest
import tiny_vlm as tiny
import torch
from engine_setup import Setup

from specs_verl.cold_start.feature_cache import FeatureCache
from specs_verl.cold_start.vision import patches_as_product


def entry(number: int, deep: int = 0):
    """100 float32 numbers, and as many per deep-stack layer."""
    return torch.full((10, 10), float(number)), tuple(torch.full((10, 10), number + 0.5) for _ in range(deep))


def same(found, wanted) -> bool:
    return torch.equal(found[0], wanted[0]) and all(map(torch.equal, found[1], wanted[1]))


def test_memory_is_bounded_and_the_oldest_leaves():
    cache = FeatureCache(memory_bytes=800)
    for number in range(2):
        cache.put(bytes([number]), entry(number))
    cache.get(bytes([0]))  # now 1 is the one used longest ago
    cache.put(bytes([2]), entry(2))
    assert cache.get(bytes([1])) is None
    assert same(cache.get(bytes([0])), entry(0)) and same(cache.get(bytes([2])), entry(2))


def test_what_leaves_memory_goes_to_disk_while_there_is_room(tmp_path):
    cache = FeatureCache(memory_bytes=1200, folder=tmp_path / "cache", disk_bytes=2400)
    for number in range(4):
        cache.put(bytes([number]), entry(number, deep=2))
    found = [cache.get(bytes([number])) for number in range(4)]
    assert same(found[0], entry(0, deep=2)) and same(found[1], entry(1, deep=2))
    assert found[2] is None, "the disk was full"
    assert same(found[3], entry(3, deep=2))
    assert sorted(file.suffix for file in (tmp_path / "cache").iterdir()) == [".pt", ".pt"]


@pytest.mark.parametrize("content", [b"", b"PK no archive", None])
def test_damaged_features_are_computed_again(tmp_path, content, capsys):
    cache = FeatureCache(memory_bytes=0, folder=tmp_path / "cache", disk_bytes=2400)
    cache.put(b"a", entry(1))
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-200] if content is None else content)
    assert cache.get(b"a") is None
    assert "cannot be read" in capsys.readouterr().out
    cache.put(b"a", entry(2))
    assert same(cache.get(b"a"), entry(2))


def test_features_on_disk_belong_to_one_tower(model_dir, tmp_path):
    settings = ("model.vision_cache_disk_gib=1", f"model.vision_cache_dir={tmp_path}")
    folders = [
        Setup(model, [tiny.row(1)], tmp_path, *settings).engine.features.cache.folder
        for model in (model_dir, model_dir, tiny.make_model(tmp_path / "other", seed=1))
    ]
    assert folders[0] == folders[1] != folders[2]


@pytest.mark.parametrize(("gib", "runs"), [(1.0, 3), (0.0, 6)])
def test_images_computed(model_dir, tmp_path, gib, runs):
    rows = [tiny.row(1), tiny.row(2, images=2)]
    setup = Setup(model_dir, rows, tmp_path, f"model.vision_cache_gib={gib}")
    first = setup.engine.token_log_probs(setup.pack())
    second = setup.engine.token_log_probs(setup.pack(shared_prefix=True))
    assert torch.equal(first, second)
    assert setup.engine.features.computed == runs


def test_a_tower_under_a_training_aligner_runs_once_per_image(model_dir, tmp_path):
    setup = Setup(model_dir, [tiny.row(1), tiny.row(2, images=2)], tmp_path, "model.freeze_aligner=false")
    first = setup.engine.token_log_probs(setup.pack())
    with torch.no_grad():
        setup.engine.core.visual.merger.mlp[2].weight.mul_(1.5)
    second = setup.engine.token_log_probs(setup.row)
    assert setup.engine.features.computed == 3
    assert (first - second).abs().max() > 1e-3, "the aligner that is used is the one that trains"
    second.sum().backward()
    trained = {name for name, p in setup.engine.core.visual.named_parameters() if p.grad is not None}
    assert trained and all(name.startswith("merger.") for name in trained)


@pytest.mark.parametrize("bias", [False, True])
def test_a_patch_embedding_as_a_matrix_product(bias):
    embed = torch.nn.Module()
    embed.proj = torch.nn.Conv3d(3, 8, kernel_size=(2, 14, 14), stride=(2, 14, 14), bias=bias)
    patches = torch.randn(5, 3, 2, 14, 14)
    expected = embed.proj(patches)
    patches_as_product(embed)
    assert "forward" in vars(embed.proj), "replaced"
    torch.testing.assert_close(embed.proj(patches), expected)


def test_an_overlapping_convolution_is_left_alone():
    embed = torch.nn.Module()
    embed.proj = torch.nn.Conv3d(3, 8, kernel_size=(2, 14, 14), stride=(2, 7, 7))
    patches_as_product(embed)
    assert "forward" not in vars(embed.proj)
