"""The cache of reference log-probabilities: found only under its own key, merged, never half written."""

import threading

import pytest

from specs_verl.cold_start.reference import ReferenceCache

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
    assert {file.name for file in tmp_path.iterdir()} == {"key.npz", ".lock"}


def test_runs_add_at_the_same_time(tmp_path):
    first, second = list(ENTRIES.items())
    other = threading.Thread(target=ReferenceCache(tmp_path, "key").add, args=[dict([second])])

    class Slow(ReferenceCache):
        def load(self):
            known = super().load()
            if not other.is_alive():
                other.start()  # has read the file, or waits for its turn, when this one writes
                other.join(0.2)
            return known

    Slow(tmp_path, "key").add(dict([first]))
    other.join()
    assert ReferenceCache(tmp_path, "key").load() == ENTRIES
