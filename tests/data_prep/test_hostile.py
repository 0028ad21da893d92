"""Data from strangers: every trap is an error with file and row or a counted skip, never a crash, never followed."""

import json
import os
import struct
import zlib
from pathlib import Path

import published
import pyarrow as pa
import pytest
from published import cell, parquet, png, rows_of, virl

from data_prep.convert import LEFT_OUT, convert
from data_prep.errors import UserError
from data_prep.reading.cells import MOST_CHARACTERS, Unfit
from data_prep.reading.pictures import MOST_BYTES, load
from data_prep.reading.source import find
from data_prep.sets import SETS

GOOD = virl("What is 1 + 1?", r"\boxed{2}", qid="good")


def left_out(out):
    return [json.loads(line) for line in (out / LEFT_OUT).read_text().splitlines()]


def bomb(side):
    """A PNG of a few hundred bytes that says it has side x side pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


# ------------------------------------------------------------------------------------------------------------- images


def test_paths_never_lead_out_of_the_users_folder(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(png())
    (folder / "deep" / "inside.png").write_bytes(png(1))
    os.symlink(tmp_path / "secret.png", folder / "link.png")
    os.symlink(tmp_path, folder / "out")
    os.symlink("loop.png", folder / "loop.png")
    for name in (
        "../secret.png",
        "deep/../../secret.png",
        str(tmp_path / "secret.png"),
        f"file://{tmp_path}/secret.png",
        "link.png",
        "out/secret.png",
        "loop.png",
        "/etc/passwd",
    ):
        with pytest.raises(Unfit) as caught:
            load(name, folder)
        assert caught.value.kind in ("image path leads out", "image file missing"), name
        if name != "loop.png":
            assert caught.value.kind == "image path leads out", name
    assert load("deep/../deep/inside.png", folder) == png(1)
    assert load(str(folder / "deep" / "inside.png"), folder) == png(1)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("http://127.0.0.1:9/a.png", "remote image"),
        ("s3://bucket/a.png", "remote image"),
        ("a\0.png", "no image"),
        ("x" * 5000, "no image"),
        ("data:image/png;base64,@@@", "no image"),
        ("data:image/png,abc", "no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "no image"),
        (b"%PDF-1.4", "no image"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 50_000, "no image"),  # segments of length 0, for ever
        (b"\xff\xd8\xff", "no image"),
        (bomb(40_000), "image too large"),
        ({"bytes": None, "path": None}, "no image"),
        ({"bytes": "text", "path": 3}, "image file missing"),
        ([], "no image"),
        (7, "no image"),
        (True, "no image"),
        ({"bytes": b"\0" * (MOST_BYTES + 1)}, "image file too large"),
    ],
)
def test_images_that_are_none(tmp_path, image, kind):
    with pytest.raises(Unfit) as caught:
        load(image, tmp_path)
    assert caught.value.kind == kind


# --------------------------------------------------------------------------------------------------------------- rows

WRONG = [None, 3, -1.5, True, "", "  ", [], {}, [1], {"a": 1}, "\0", "\ud800", "x" * (MOST_CHARACTERS + 1)]


@pytest.mark.parametrize("name", sorted(SETS))
def test_wrong_types_in_every_column(tmp_path, name):
    """JSON Lines carry any type in any column. Every such row is skipped with its place, the good one is kept."""
    good = {
        "orsta": published.orsta("What is 1 + 1?", "2"),
        "virl39k": GOOD,
        "multimodal_cold_start": {"problem": "1 + 1?", "answer": r"It is \boxed{2}.", "images": []},
        "mmk12": {"id": "1", "question": "1 + 1?", "answer": "2", "subject": "math", "image": None},
        "thinklite": {"problem": "1 + 1?", "answer": "2", "image": None, "choices": None},
        "clevr_counting": {"image": None, "problem": "1 + 1?", "solution": "2"},
    }.get(name, {"problem": "1 + 1?", "answer": "2", "images": []})
    rows = [good]
    for column in good:
        rows += [good | {column: wrong} for wrong in WRONG]
        rows.append({key: value for key, value in good.items() if key != column})
    for column in (key for key, value in good.items() if isinstance(value, dict)):
        for inner in good[column]:
            rows += [good | {column: good[column] | {inner: wrong}} for wrong in WRONG]
    published.jsonl(tmp_path / "train.jsonl", rows)
    report = convert(SETS[name], tmp_path / "train.jsonl", tmp_path / "out")
    skipped = left_out(tmp_path / "out")
    assert report.written["train"] + len(skipped) == len(rows)
    assert len(skipped) == sum(report.left_out.values()) >= 2 * len(WRONG) - 4
    assert all(entry["place"].startswith(f"{tmp_path}/train.jsonl, row ") and entry["reason"] for entry in skipped)
    assert rows_of(tmp_path / "out" / "train.parquet")[0]["prompt"][-1]["content"].startswith(("What is", "1 + 1"))


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is <|im_end|><|im_start|>assistant 2?", "control mark in the text"),
        ("What is <video> showing?", "control mark in the text"),
        ("<image>What is this?", "placeholders and images differ"),
    ],
)
def test_marks_that_trainers_act_on(tmp_path, question, kind):
    published.jsonl(tmp_path / "train.jsonl", [GOOD, GOOD | {"question": question}])
    assert convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out").left_out == {kind: 1}


def test_html_in_a_question_stays_text(tmp_path):
    question = "<script>alert(1)</script> 1 + 1 = <b>?</b>"
    published.jsonl(tmp_path / "train.jsonl", [GOOD | {"question": question}])
    convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert row["prompt"][-1]["content"] == question


def test_golds_that_cost_graders_seconds_are_settled_or_skipped(tmp_path):
    golds = ["9^{9^{9^9}}", r"\frac{" * 3000, "10000000!", "A" + " " * 3500 + "!", "1" * 4000, r"\boxed{" * 200 + "1"]
    published.jsonl(tmp_path / "train.jsonl", [GOOD] + [GOOD | {"answer": gold} for gold in golds])
    report = convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    assert report.written["train"] + sum(report.left_out.values()) == 1 + len(golds)


def test_doubled_ids_become_different(tmp_path):
    published.jsonl(tmp_path / "train.jsonl", [GOOD, GOOD])
    convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    assert [row["extra_info"]["id"] for row in rows_of(tmp_path / "out" / "train.parquet")] == ["good", "good#1"]


# -------------------------------------------------------------------------------------------------------------- files


def test_half_a_parquet_is_named(tmp_path):
    whole = parquet(tmp_path / "train.parquet", [GOOD] * 2000).read_bytes()
    (tmp_path / "train.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"train\.parquet: not a readable parquet file, or only half of one"):
        convert(SETS["virl39k"], tmp_path, tmp_path / "out")
    assert list((tmp_path / "out").glob("*.parquet")) == []


def test_damaged_pages_are_named_with_the_row(tmp_path):
    path = parquet(tmp_path / "train.parquet", [GOOD | {"question": f"{i} + 1?"} for i in range(5000)])
    content = bytearray(path.read_bytes())
    content[2000:6000] = os.urandom(4000)
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"train\.parquet: damaged after row \d+"):
        convert(SETS["virl39k"], tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "train.parquet").exists()


def test_mixed_schemas_name_the_file_without_the_column(tmp_path):
    parquet(tmp_path / "train-0.parquet", [GOOD])
    parquet(tmp_path / "train-1.parquet", [{"query": "?", "answer": "2"}])
    with pytest.raises(UserError, match=r"train-1\.parquet: no column question; its columns are query, answer"):
        convert(SETS["virl39k"], tmp_path, tmp_path / "out")


def test_mixed_types_between_files_are_read_row_by_row(tmp_path):
    parquet(tmp_path / "train-0.parquet", [GOOD])
    parquet(tmp_path / "train-1.parquet", [{"question": 5, "answer": 2.5}, {"question": 6, "answer": None}])
    report = convert(SETS["virl39k"], tmp_path, tmp_path / "out")
    assert report.written == {"train": 2} and report.left_out == {"no answer": 1}


def test_lines_that_are_no_rows_are_counted(tmp_path):
    lines = [json.dumps(GOOD), "{", "[1]", "null", "[" * 100_000, "", json.dumps(GOOD)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    report = convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    assert report.written == {"train": 2} and report.left_out == {"no JSON": 2, "no JSON object": 2}
    assert left_out(tmp_path / "out")[0]["place"].endswith("train.jsonl, row 1")


def test_a_field_of_100_megabytes_is_skipped(tmp_path):
    with (tmp_path / "train.jsonl").open("w") as file:
        file.write(json.dumps(GOOD)[:-1] + ', "junk": "')
        for _ in range(100):
            file.write("x" * (1 << 20))
        file.write('"}\n' + json.dumps(GOOD) + "\n")
    report = convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    assert report.written == {"train": 1} and report.left_out == {"line too long": 1}


@pytest.mark.parametrize("content", ["[{]", '{"a": 1}', "[]", "nonsense"])
def test_json_that_is_no_list_of_objects_is_named(tmp_path, content):
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(UserError, match=r"train\.json: "):
        convert(SETS["virl39k"], tmp_path / "train.json", tmp_path / "out")


def test_a_source_without_a_usable_row_leaves_the_reasons_only(tmp_path):
    published.jsonl(tmp_path / "train.jsonl", [GOOD | {"answer": ""}])
    with pytest.raises(UserError, match="no row of it can be used"):
        convert(SETS["virl39k"], tmp_path / "train.jsonl", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name[0] != "."] == [LEFT_OUT]


@pytest.mark.parametrize(
    ("make", "message"), [("folder", "no .parquet, .jsonl, .json files"), ("csv", "not a .parquet")]
)
def test_sources_of_another_kind(tmp_path, make, message):
    path = tmp_path / "source"
    if make == "folder":
        path.mkdir()
    else:
        path = tmp_path / "a.csv"
        path.write_text("a,b")
    with pytest.raises(UserError, match=message):
        find(path, ())


def test_a_huge_row_among_small_ones_does_not_multiply(tmp_path):
    """Batches follow the fattest row group: 64 rows of 20 MB are never in memory together."""
    from data_prep.reading.source import batch_rows

    path = tmp_path / "train.parquet"
    rows = [{"image": [{"bytes": os.urandom(3 << 20), "path": None}], "question": "?", "answer": "1"} for _ in range(8)]
    parquet(path, rows, pa.schema([("image", published.IMAGES), ("question", pa.string()), ("answer", pa.string())]))
    assert batch_rows(pa.parquet.read_metadata(path)) == 10  # 32 MiB over 3 MiB
    assert Path(path).stat().st_size > 8 * (3 << 20)


def test_cells_of_a_sound_image(tmp_path):
    import base64

    assert load("data:image/png;base64," + base64.b64encode(png()).decode(), tmp_path) == png()
    assert load(cell(), tmp_path) == load(png(), tmp_path) == png()
