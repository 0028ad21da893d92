"""`specs data doctor`: which rows are broken, and what --fix leaves."""

import argparse
import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep import doctor, nano, schema
from data_prep.doctor import command as command_module
from specs_verl.errors import UserError

sys.path.insert(0, str(Path(__file__).parents[1] / "sampling"))  # the chat server of the sampling tests


def png(width, height):
    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def spoiled(tmp_path):
    """Thirty nano rows, five broken, one doubled, one with a tiny image."""
    path = nano.write_data(tmp_path, n_train=30, n_test=8, seed=1)["train"]
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[3]["images"][0]["bytes"] = b"no image"
    rows[7]["images"][0]["bytes"] = png(4000, 2)
    rows[11]["images"] = [{"bytes": None, "path": "gone.png"}]
    rows[12]["prompt"][0]["content"] = "no placeholder"
    rows[20]["reward_model"]["ground_truth"] = ""
    rows[25] = rows[24]
    rows[26]["images"][0]["bytes"] = png(10, 30)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return path


BROKEN = {3: "no image Pillow knows", 7: "4000x2 is more than 200", 11: "gone.png", 12: "placeholders", 20: "is empty"}


def test_broken_rows_are_found_with_their_reason(spoiled):
    report = doctor.examine(spoiled)
    assert report.rows == 30 and set(report.broken) == set(BROKEN)
    for index, reason in BROKEN.items():
        assert reason in report.broken[index][0]
    assert sum(report.sources.values()) == 30
    assert report.notes == {
        "the same prompt and images as an earlier row": 1,
        "the same id as an earlier row": 1,
        "image shorter than 28 pixels (some processors refuse it)": 1,
    }


def test_fix_keeps_the_sound_rows_as_they_are(spoiled, tmp_path):
    before = pq.read_table(spoiled).to_pylist()
    doctor.fix(spoiled, tmp_path / "fixed.parquet")
    after = pq.read_table(tmp_path / "fixed.parquet")
    assert after.to_pylist() == [row for index, row in enumerate(before) if index not in BROKEN]
    assert after.schema.equals(pq.read_schema(spoiled))
    assert doctor.examine(tmp_path / "fixed.parquet").broken == {}
    left_out = [json.loads(line) for line in (tmp_path / "fixed.left_out.jsonl").read_text().splitlines()]
    assert [entry["row"] for entry in left_out] == sorted(BROKEN)
    assert all(BROKEN[entry["row"]] in entry["reasons"][0] for entry in left_out)


def test_nothing_is_written_when_no_row_is_sound(spoiled, tmp_path):
    table = pq.read_table(spoiled).slice(3, 1)
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(schema.DataError, match="no sound row"):
        doctor.fix(tmp_path / "bad.parquet", tmp_path / "fixed.parquet")
    assert sorted(path.name for path in tmp_path.iterdir() if "fixed" in path.name) == []


def command(*arguments):
    parser = argparse.ArgumentParser()
    command_module.add_arguments(parser)
    return command_module.run(parser.parse_args(list(map(str, arguments))))


def test_the_command_prints_and_fixes(spoiled, capsys):
    assert command(spoiled) == 1
    assert "30 rows, 26 images, 5 broken rows" in capsys.readouterr().out
    assert command(spoiled, "--fix") == 0
    assert "25 rows kept in" in capsys.readouterr().out
    assert command(spoiled.with_name("train.fixed.parquet")) == 0


def test_a_missing_file_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        command(tmp_path / "gone.parquet")


def test_a_row_that_would_send_a_variable_somewhere_is_broken_and_nobody_is_asked(tmp_path, monkeypatch):
    from chat_server import ChatServer

    path = nano.write_data(tmp_path, n_train=4, n_test=8, seed=1)["train"]
    table = pq.read_table(path)
    rows = table.to_pylist()
    with ChatServer(lambda body: "yes") as server:
        # An honest judge in the environment, and rows that name one of their own.
        monkeypatch.setenv("REWARD_FNS_JUDGE_URL", server.url)
        monkeypatch.setenv("REWARD_FNS_JUDGE_MODEL", "m")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
        theft = {"base_url": server.url, "model": "m", "api_key_variable": "AWS_SECRET_ACCESS_KEY"}
        for index, params in ((1, theft), (2, {"question": "What is shown?"})):
            for part in ("reward_model", "extra_info"):
                rows[index][part].update(verifier="judge", params=json.dumps(params))
            # two golds: the text of the list equals neither, so that the verifier would ask
            rows[index]["reward_model"]["ground_truth"] = '["a port", "a harbour"]'
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        report = doctor.examine(path)
    assert server.bodies == [] and server.keys == set()
    assert list(report.broken) == [1]
    assert "a row must not choose api_key_variable, base_url, model of verifier 'judge'" in report.text()
