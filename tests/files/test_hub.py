"""Checkpoints by their name on the hub, with huggingface_hub's own code on a cache folder made here."""

from pathlib import Path

import huggingface_hub.constants
import pytest

from specs_verl.errors import UserError
from specs_verl.files.hub import is_hub_name, local_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that holds one snapshot of owner/tiny-model; the network is off."""
    folder = tmp_path / "hub" / "models--owner--tiny-model"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return snapshot


def test_a_name_becomes_the_directory_of_its_snapshot(cache):
    assert Path(local_checkpoint("owner/tiny-model")) == cache


def test_what_the_cache_lacks_is_one_sentence(cache):
    with pytest.raises(UserError, match=r"owner/other is no directory.*Give the directory of a checkpoint"):
        local_checkpoint("owner/other")


@pytest.mark.parametrize("path", ["runs/zero", "/runs/zero", "./runs/zero", "~/zero", "a/b/c", "zero", "runs/no such"])
def test_paths_are_left_alone(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    assert not is_hub_name(path)
    assert local_checkpoint(path) == path
