"""Fingerprints of checkpoints: what they see, and what only the exact one does."""

import json

import pytest

from specs_verl.files import fingerprints


@pytest.fixture
def checkpoint(tmp_path):
    """Writes a checkpoint whose weights are zero but for one byte."""

    def write(name, size=1000, one=None):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"hidden_size": 4}))
        content = bytearray(size)
        if one is not None:
            content[one] = 1
        (tmp_path / name / "model.safetensors").write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize("exact", [False, True])
def test_one_byte_of_a_small_file_counts_and_the_name_of_the_folder_does_not(checkpoint, exact):
    folders = checkpoint("a"), checkpoint("b"), checkpoint("c", one=1)
    prints = [fingerprints.checkpoint_fingerprint(folder, exact) for folder in folders]
    assert prints[0] == prints[1] != prints[2]


def test_only_the_exact_one_reads_all_of_a_large_file(checkpoint, monkeypatch):
    # Blocks of 16 bytes at (1000 - 16) * i // 3 = 0, 328, 656 and 984: byte 100 lies in none of them, byte 330 does.
    monkeypatch.setattr(fingerprints, "BLOCK", 16)
    monkeypatch.setattr(fingerprints, "WHOLE_UP_TO", 64)
    monkeypatch.setattr(fingerprints, "BLOCKS", 4)
    plain, unread, read = checkpoint("plain"), checkpoint("unread", one=100), checkpoint("read", one=330)
    quick = {folder.name: fingerprints.checkpoint_fingerprint(folder) for folder in (plain, unread, read)}
    assert quick["plain"] == quick["unread"] != quick["read"]
    exact = {folder.name: fingerprints.checkpoint_fingerprint(folder, exact=True) for folder in (plain, unread, read)}
    assert len(set(exact.values())) == 3
