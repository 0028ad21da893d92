"""The cache of reference log-probabilities: found only under its own key, merged, never half written."""

import json

import pytest

from specs_verl.cold_start.reference import ReferenceCache, weights_fingerprint

ENTRIES = {bytes(range(16)): (-1.5, -2.25), bytes(16): (-3.0, -4.0)}


def test_what_is_added_is_found(tmp_path):
    ReferenceCache(tmp_path, "key").add(ENTRIES)
    assert ReferenceCache(tmp_path, "key").load() == ENTRIES


def test_runs_add_to_each_other(tmp_path):
    first, second = list(ENTRIES.items())
    ReferenceCache(tmp_path, "key").add(dict([first]))
    ReferenceCache(tmp_path, "key").add(dict([second]))
    assert ReferenceCache(tmp_path, "key").load() == ENTRIES


def test_another_key_finds_nothing(tmp_path):
    ReferenceCache(tmp_path, "key").add(ENTRIES)
    assert ReferenceCache(tmp_path, "other").load() == {}


def test_a_file_under_a_wrong_name_is_not_trusted(tmp_path):
    ReferenceCache(tmp_path, "key").add(ENTRIES)
    (tmp_path / "key.npz").rename(tmp_path / "other.npz")
    assert ReferenceCache(tmp_path, "other").load() == {}


@pytest.mark.parametrize("damage", [b"", b"not a zip file", None])
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    cache = ReferenceCache(tmp_path, "key")
    cache.add(ENTRIES)
    cache.path.write_bytes(cache.path.read_bytes()[:300] if damage is None else damage)
    assert cache.load() == {}
    cache.add(ENTRIES)
    assert cache.load() == ENTRIES


def test_no_draft_is_left(tmp_path):
    ReferenceCache(tmp_path, "key").add(ENTRIES)
    assert [file.name for file in tmp_path.iterdir()] == ["key.npz"]


def test_weights_fingerprint_sees_one_byte_and_not_the_name_of_the_folder(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"hidden_size": 4}))
        (tmp_path / name / "model.safetensors").write_bytes(b"0" * 1000 + (b"1" if name == "c" else b"0"))
    prints = [weights_fingerprint(tmp_path / name) for name in "abc"]
    assert prints[0] == prints[1] != prints[2]
