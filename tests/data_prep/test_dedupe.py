"""Duplicates and contamination: hashes and overlaps by hand, pairs that must go, pairs that must stay."""

import json

import numpy as np
import published
import pytest
from PIL import Image
from published import encoded, picture

from data_prep import schema
from data_prep.dedupe.decide import Thresholds
from data_prep.dedupe.deduplicate import deduplicate
from data_prep.dedupe.pictures import distance, near_pairs, picture_print
from data_prep.dedupe.texts import grams, overlap, words
from data_prep.errors import UserError
from specs_verl.cli import main

LONG = "In the figure the triangle ABC has a right angle at C and the sides AC and BC are 3 and 4. How long is AB?"


def row(question, gold, image=None, identifier=""):
    columns = schema.grading_columns(gold, "math")
    return {
        "data_source": "hand",
        "prompt": [
            {"role": "system", "content": "Think first. " * 20},
            {"role": "user", "content": ("<image>" if image else "") + question},
        ],
        "images": [{"bytes": image, "path": None}] if image else [],
        "ability": "math",
        "reward_model": columns["reward_model"],
        "extra_info": {"id": identifier or f"{question[-12:]} {gold}", **columns["extra_info"]},
    }


def file(tmp_path, name, rows):
    return published.parquet(tmp_path / name, rows, schema.SCHEMA)


def ids(path):
    return [row["extra_info"]["id"] for row in published.rows_of(path)]


def removed(out):
    return [json.loads(line) for line in (out / "removed.jsonl").read_text().splitlines()]


# --------------------------------------------------------------------------------------------------------- arithmetic


def test_overlap_by_hand():
    one = words("One two, three four FIVE six seven <image>eight nine!")
    assert one == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    # 9 words: 2 grams of 8. Another last word leaves the first one; another first word leaves the second one.
    assert overlap(grams(one), grams([*one[:8], "ten"])) == 0.5
    # 10 words have 3 grams, two of them shared: 2 over the smaller set of 2.
    assert overlap(grams(one), grams([*one, "ten"])) == 1.0
    assert overlap(grams(words("How many?")), grams(words("how many"))) == 1.0
    assert overlap(grams(words("How many?")), grams(words("How much?"))) == 0.0
    assert overlap(grams([]), grams([])) == 1.0 and overlap(grams([]), grams(["a"])) == 0.0


def test_near_pairs_are_all_pairs_within_the_distance():
    random = np.random.default_rng(0)
    ours = np.unique(random.integers(0, 2**63, 300, dtype=np.uint64))
    flips = np.array(
        [sum(1 << int(bit) for bit in random.choice(64, n % 9, replace=False)) for n in range(300)], np.uint64
    )
    theirs = np.unique(ours[: len(flips)] ^ flips[: len(ours)])
    for most in (0, 1, 4, 7):
        expected = {
            (i, j)
            for i, a in enumerate(ours.tolist())
            for j, b in enumerate(theirs.tolist())
            if bin(a ^ b).count("1") <= most
        }
        found = list(near_pairs(ours, theirs, most))
        assert len(found) == len(set(found)) and set(found) == expected


def test_copies_are_near_and_others_far():
    prints = [picture_print(encoded(picture(seed, (240, 180)))) for seed in range(12)]
    for seed, found in enumerate(prints):
        image = picture(seed, (240, 180))
        for copy in (
            encoded(image, "JPEG", quality=30),
            encoded(image.resize((120, 90))),
            encoded(image, "WEBP", quality=50),
            encoded(image.convert("RGBA")),
        ):
            assert distance(found.hash, picture_print(copy).hash) <= 4
    others = [distance(a.hash, b.hash) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(others) > 10


def test_images_without_structure_have_no_hash():
    blank = encoded(Image.new("RGB", (50, 50), "white"))
    assert picture_print(blank).hash is None and picture_print(b"junk").hash is None
    assert picture_print(blank).digest != picture_print(encoded(Image.new("RGB", (60, 50), "white"))).digest


# -------------------------------------------------------------------------------------------------------------- files


def test_what_goes_and_what_stays_within_a_set(tmp_path):
    one, copy = published.png(1, (240, 180)), encoded(picture(1, (240, 180)), "JPEG", quality=40)
    blank, other_blank = (encoded(Image.new("RGB", (w, 50), "white")) for w in (50, 60))
    rows = [
        row(LONG, "5", one, "first"),
        row(LONG, "5", one, "same file"),
        row(LONG, "5", copy, "saved again"),
        row(LONG.replace("How long is AB?", "What is the length of AB?"), "5", copy, "said otherwise"),
        row(LONG.replace("How long is AB?", "How long is AC?"), "3", one, "another question"),
        row("How many?", "3", one, "a short one"),
        row("How many?", "4", published.png(2, (240, 180)), "another image"),
        row(LONG, "6", one, "another answer"),
        row(LONG, "5", None, "text only"),
        row(LONG + " Give a number.", "5", None, "text again"),
        row("What is 1 + 1?", "2", None, "short text"),
        row("what is 1+1", "2", None, "short text again"),
        row("How many?", "3", blank, "blank"),
        row("How many?", "3", other_blank, "blank of another size"),
    ]
    path = file(tmp_path, "train.parquet", rows)
    outcome = deduplicate([path], tmp_path / "out")
    gone = {
        "same file": "duplicate",
        "saved again": "duplicate",
        "said otherwise": "duplicate",
        "another answer": "duplicate with another answer",
        "text again": "duplicate",
        "short text again": "duplicate",
    }
    assert {entry["id"]: entry["reason"] for entry in removed(tmp_path / "out")} == gone
    assert ids(tmp_path / "out" / "train.parquet") == [
        r["extra_info"]["id"] for r in rows if r["extra_info"]["id"] not in gone
    ]
    assert outcome.removed == {"duplicate": 5, "duplicate with another answer": 1}
    assert {entry["because_of"] for entry in removed(tmp_path / "out")} == {"first", "text only", "short text"}


def test_earlier_files_are_preferred_and_bytes_are_the_same_twice(tmp_path):
    """Orsta overlaps ViRL39K."""
    orsta = file(tmp_path, "orsta/train.parquet", [row(LONG, "5", published.png(1), "o1"), row("?", "1", None, "o2")])
    virl = file(
        tmp_path, "virl/train.parquet", [row(LONG, "5", encoded(picture(1), "JPEG"), "v1"), row("??", "2", None, "v2")]
    )
    for out in ("a", "b"):
        deduplicate([orsta, virl], tmp_path / out)
        assert (ids(tmp_path / out / "orsta.parquet"), ids(tmp_path / out / "virl.parquet")) == (["o1", "o2"], ["v2"])
    for name in ("orsta.parquet", "removed.jsonl", "removed.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_contamination_by_image_by_question_or_both(tmp_path):
    benchmark = [
        {
            "question": "Benchmark: " + LONG,
            "answer": "5",
            "image": {"bytes": published.png(1, (240, 180)), "path": None},
        },
        {"question": "How many?", "answer": "3", "image": {"bytes": published.png(2, (240, 180)), "path": None}},
    ]
    published.parquet(tmp_path / "mathvista" / "testmini.parquet", benchmark)
    rows = [
        row(LONG, "5", encoded(picture(1, (240, 180)), "JPEG"), "both"),
        row("Which colour is it?", "red", encoded(picture(1, (240, 180)), "JPEG"), "image"),
        row(LONG, "5", published.png(3, (240, 180)), "question"),
        row("How many?", "3", published.png(4, (240, 180)), "nothing: a question that everybody asks"),
    ]
    path = file(tmp_path, "train.parquet", rows)
    deduplicate([path], tmp_path / "out", against=[tmp_path / "mathvista"])
    assert {entry["id"]: entry["reason"] for entry in removed(tmp_path / "out")} == {
        "both": "benchmark image and question",
        "image": "benchmark image",
        "question": "benchmark question",
    }
    assert removed(tmp_path / "out")[0]["because_of"].endswith("testmini.parquet, row 0")
    deduplicate([path], tmp_path / "strict", [tmp_path / "mathvista"], Thresholds(needs_both=True))
    assert [entry["id"] for entry in removed(tmp_path / "strict")] == ["both"]


def test_one_image_with_thousands_of_questions_is_quick(tmp_path):
    image = published.png(1)
    rows = [
        row(f"How many of kind {i} are there in this very picture, all in all?", str(i), image, str(i))
        for i in range(1500)
    ]
    path = file(tmp_path, "train.parquet", rows)
    assert deduplicate([path], tmp_path / "out").files == {"train.parquet": 1500}


def test_the_command_and_its_page(tmp_path, capsys):
    rows = [row("<script>alert(1)</script> " + LONG, "5", published.png(1), name) for name in ("a", "<b>")]
    path = file(tmp_path, "train.parquet", rows)
    assert main(["data", "dedupe", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "removed: 1 x duplicate" in capsys.readouterr().out
    page = (tmp_path / "out" / "removed.html").read_text()
    assert "<script" not in page and "&lt;b&gt;" in page and page.count("data:image/jpeg") == 2
    assert main(["data", "dedupe", str(path), "--out", str(tmp_path / "out"), "--image-distance", "40"]) == 2
    assert main(["data", "dedupe", str(tmp_path / "gone.parquet"), "--out", str(tmp_path / "out")]) == 2


def test_benchmarks_without_questions_are_the_users_error(tmp_path):
    published.parquet(tmp_path / "b.parquet", [{"a": 1}])
    path = file(tmp_path, "train.parquet", [row(LONG, "5")])
    with pytest.raises(UserError, match=r"b\.parquet: no column prompt, question"):
        deduplicate([path], tmp_path / "out", [tmp_path / "b.parquet"])
