"""Whole files or none: failures, kills, folders, locks and what the user reads when nothing can be written."""

import errno
import os
import signal
import subprocess
import sys
from itertools import repeat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import files
from data_prep.errors import UserError
from data_prep.files import locked, read_json, replacing, replacing_folder, sweep, write_json, write_text
from data_prep.tables import write_parquet, write_rows


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda h: (events.append(os.readlink(f"/proc/self/fd/{h}")), fsync(h)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    write_text(tmp_path / "a.txt", "text")
    assert events[1:] == ["rename", str(tmp_path)]
    assert os.path.basename(events[0]).startswith(".a.txt.")
    events.clear()
    write_text(tmp_path / "progress.json", "{}", durable=False)
    assert events == ["rename"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for text in ("first", "second"):
        with replacing_folder(tmp_path / "hf") as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / f"{text}.txt").write_text(text)
    assert names(tmp_path / "hf" / "inner") == ["second.txt"]
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "hf") as draft:
        (draft / "third.txt").write_text("third")
        raise ZeroDivisionError
    assert names(tmp_path / "hf") == ["inner"]
    assert names(tmp_path) == ["hf"]


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    script = """
import os, signal, sys
from pathlib import Path
from data_prep.files import replacing, replacing_folder
with replacing(Path(sys.argv[1]) / "a.parquet") as a, replacing_folder(Path(sys.argv[1]) / "hf") as b:
    a.write_text("half"); (b / "half.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (tmp_path / ".keep").touch()
    (tmp_path / "kept.1").touch()
    assert len(names(tmp_path)) == 4
    assert not (tmp_path / "a.parquet").exists() and not (tmp_path / "hf").exists()
    sweep(tmp_path)
    assert names(tmp_path) == [".keep", "kept.1"]


def test_drafts_of_two_machines_do_not_meet(tmp_path, monkeypatch):
    """In a shared folder the same process number and count are drawn twice."""
    monkeypatch.setattr(files, "_drafts", repeat(7))
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"


def test_a_locked_folder_is_refused_to_another_process_and_free_after_a_kill(tmp_path):
    script = """
import sys
from data_prep.files import locked
with locked(sys.argv[1]):
    print("mine", flush=True); sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"mine\n"
        with pytest.raises(UserError, match="another process is writing"), locked(tmp_path):
            pass
        owner.kill()
    with locked(tmp_path):
        pass


def test_damaged_json_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"ä": 1})
    assert read_json(tmp_path / "a.json") == {"ä": 1}
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"a\.json: damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")


def test_a_full_disk_and_a_closed_place_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="the disk is full"), replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    # A file where a folder is needed is not a question of rights: no sentence hides it.
    (tmp_path / "file").touch()
    with pytest.raises((NotADirectoryError, FileExistsError)):
        write_text(tmp_path / "file" / "a", "text")
    with pytest.raises(UserError, match="cannot be written"), replacing(tmp_path / "a") as draft:
        raise OSError(errno.EROFS, "Read-only file system", str(draft))
    # What cannot be read elsewhere is another matter.
    with pytest.raises(PermissionError), replacing(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/source")


def test_tables_carry_metadata_and_rows_come_in_groups(tmp_path):
    schema = pa.schema([("n", pa.int64())])
    assert write_rows(tmp_path / "rows.parquet", schema, ({"n": n} for n in range(300))) == 300
    file = pq.ParquetFile(tmp_path / "rows.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [128, 128, 44]
    assert file.read().column("n").to_pylist() == list(range(300))
    assert write_rows(tmp_path / "none.parquet", schema, []) == 0
    assert pq.read_table(tmp_path / "none.parquet").schema == schema

    write_parquet(tmp_path / "table.parquet", pa.table({"n": [1]}), {"made_from": "d-1"})
    assert pq.read_schema(tmp_path / "table.parquet").metadata[b"made_from"] == b"d-1"


def test_rows_that_fail_leave_no_file(tmp_path):
    def rows():
        yield {"n": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_rows(tmp_path / "rows.parquet", pa.schema([("n", pa.int64())]), rows())
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"file is a file\. Choose another place"), locked(place):
            pytest.fail("a file was locked as a folder")
