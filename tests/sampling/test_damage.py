"""Damaged files of a sampling run: what can be made again is, what cannot is named."""

import json

import pytest

from specs_verl.errors import UserError
from specs_verl.sampling import sample

from .test_supervisor import texts


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path):
    path.write_bytes(b"")


def lost(path):
    path.unlink()


@pytest.mark.parametrize("damage", [cut, emptied, lost])
def test_a_damaged_shard_and_list_are_made_again_and_nothing_else(make_job, damage, capsys):
    job = make_job()
    run = sample(job)
    whole, skipped = texts(run), list(run.skipped())
    # 200 rows in shards of 32; row 17, in shard 0, is broken and listed
    before = {shard.name: shard.stat().st_mtime_ns for shard in run.shards()}
    damage(run.shard_path(2))
    (cut if damage is lost else damage)(run.skipped_path(0))
    again = sample(job)
    assert texts(again) == whole and list(again.skipped()) == skipped and again.complete
    after = {shard.name: shard.stat().st_mtime_ns for shard in again.shards()}
    assert {name for name in before if after[name] != before[name]} == {"shard-00000.parquet", "shard-00002.parquet"}
    said = capsys.readouterr().err
    assert "damaged, and made again: shard-00000.json, shard-00000.parquet, shard-00002.parquet, summary.json" in said


def test_a_damaged_summary_is_counted_again(make_job):
    run = sample(make_job())
    counts = {key: value for key, value in run.summary.items() if not key.startswith("seconds")}
    (run.path / "summary.json").write_text('{"samples": 1')
    again = sample(make_job()).summary
    assert {key: again[key] for key in counts} == counts


def test_a_damaged_manifest_is_named(make_job):
    run = sample(make_job())
    (run.path / "manifest.json").write_text("")
    with pytest.raises(UserError, match=r"manifest\.json: damaged"):
        sample(make_job())


def test_a_damaged_page_is_named_when_it_is_read(make_job):
    run = sample(make_job())
    shard = run.shard_path(1)
    content = bytearray(shard.read_bytes())
    content[8:2000] = bytes(1992)  # pages begin after the four bytes of the magic number; the footer stays
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"shard-00001\.parquet: damaged, it cannot be read"):
        list(run.samples())


def test_a_damaged_note_of_deaths_counts_as_none(make_job):
    run = sample(make_job())
    note = run.path / "claims" / "deaths-00001"
    note.write_text("")
    assert not run.is_suspect(1)
    run.note_death(1)
    assert json.loads(note.read_text()) == {"all": 1}


def test_an_output_that_is_a_file_or_closed_is_one_sentence(make_job, tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        sample(make_job("taken"))
    with pytest.raises(UserError, match="is a file"):
        sample(make_job("taken/below"))
