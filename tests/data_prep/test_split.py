"""Pass rates, the band, and splits that keep images together."""

import published
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published import encoded, picture

from data_prep import schema
from data_prep.difficulty import pass_rates
from data_prep.errors import UserError
from data_prep.split import assigned, groups, split
from specs_verl.cli import main


def row(number, image=None, verifier="math", question=None):
    columns = schema.grading_columns(str(number), verifier)
    return {
        "data_source": "hand",
        "prompt": [{"role": "user", "content": ("<image>" if image else "") + (question or f"What is {number}?")}],
        "images": [{"bytes": image, "path": None}] if image else [],
        "ability": "math",
        "reward_model": columns["reward_model"],
        "extra_info": {"id": f"r{number}", "split": "train", "source": "hand", **columns["extra_info"]},
    }


def file(tmp_path, rows, name="train.parquet"):
    return published.parquet(tmp_path / name, rows, schema.SCHEMA)


def samples(tmp_path, responses):
    """A run of `specs sample` in two shards: [(row, response), ...]"""
    columns = [("row", pa.int64()), ("row_id", pa.string()), ("sample", pa.int32()), ("response", pa.string())]
    rows = [{"row": r, "row_id": str(r), "sample": i, "response": text} for i, (r, text) in enumerate(responses)]
    for part, name in ((rows[:3], "shard-00000"), (rows[3:], "shard-00001")):
        published.parquet(tmp_path / "run" / "shards" / f"{name}.parquet", part, pa.schema(columns))
    return tmp_path / "run"


RESPONSES = [(0, "<answer>0</answer>"), (0, "<answer>7</answer>"), (1, "<answer>1</answer>"), (1, "<answer>1</answer>")]
RESPONSES += [(2, "no idea"), (2, r"\boxed{3}")]


def test_the_band_of_a_sampling_run(tmp_path, capsys):
    data = file(tmp_path, [row(number) for number in range(4)])
    run = samples(tmp_path, RESPONSES)
    # row 0: one of two right; row 1: both; row 2: none; row 3 has no samples
    assert pass_rates(run, data) == {0: 0.5, 1: 1.0, 2: 0.0}
    out = tmp_path / "band.parquet"
    assert main(["data", "difficulty", str(data), "--samples", str(run), "--out", str(out)]) == 0
    (kept,) = published.rows_of(out)
    assert (kept["extra_info"]["id"], kept["extra_info"]["pass_rate"]) == ("r0", 0.5)
    printed = capsys.readouterr().out
    for line in ("kept: 1 rows", "1 x too easy", "1 x too hard", "1 x no samples", "pass rate 0.5: 1"):
        assert line in printed


def test_graded_rows_are_taken_as_they_are(tmp_path):
    graded = [{"row": 5, "right": True}, {"row": 5, "right": False}, {"row": 6, "right": True}]
    assert pass_rates(published.parquet(tmp_path / "rollouts.parquet", graded), "unused") == {5: 0.5, 6: 1.0}
    rated = [{"row": 5, "pass_rate": 0.25}]
    assert pass_rates(published.parquet(tmp_path / "rates.parquet", rated), "unused") == {5: 0.25}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "no samples there"),
        (lambda path: published.parquet(path / "a.parquet", [{"row": 1}]), "needs the columns row and right"),
        (lambda path: samples(path, [*RESPONSES, (9, "?")]), "a sample of row 9"),
        (lambda path: samples(path, [*RESPONSES, (0, "?")]), "not in the order"),
    ],
)
def test_samples_of_something_else(tmp_path, make, message):
    data = file(tmp_path, [row(number) for number in range(4)], "data/train.parquet")
    with pytest.raises(UserError, match=message):
        pass_rates(make(tmp_path), data)


def test_an_empty_band_is_an_error_and_leaves_nothing(tmp_path):
    data = file(tmp_path, [row(number) for number in range(4)])
    arguments = ["--samples", str(samples(tmp_path, RESPONSES)), "--out", str(tmp_path / "o.parquet")]
    assert main(["data", "difficulty", str(data), *arguments, "--band", "0.6", "0.9"]) == 2
    assert main(["data", "difficulty", str(data), *arguments, "--band", "0.9", "0.6"]) == 2
    assert not (tmp_path / "o.parquet").exists()


def test_one_image_is_never_on_both_sides(tmp_path):
    """Forty images with one to four questions each, some of them saved again in another format."""
    rows = []
    for seed in range(40):
        for question in range(1 + seed % 4):
            again = encoded(picture(seed), "JPEG", quality=60) if question == 1 else published.png(seed)
            rows.append(row(len(rows), again, "math" if seed % 2 else "number"))
    rows += [row(len(rows) + i, question="the same question") for i in range(4)]
    data = file(tmp_path, rows)
    counts = split([data], tmp_path / "a", {"test": 0.2, "validation": 0.1}, ("verifier",), seed=1)
    sides = {name: published.rows_of(tmp_path / "a" / f"{name}.parquet") for name in counts}
    image_of = {f"r{index}": index for index in range(len(rows))}
    seeds = [seed for seed in range(40) for _question in range(1 + seed % 4)] + ["text"] * 4
    where = {}
    for name, found in sides.items():
        for one in found:
            where.setdefault(seeds[image_of[one["extra_info"]["id"]]], set()).add(name)
            assert one["extra_info"]["split"] == name
    assert all(len(names) == 1 for names in where.values())
    assert sum(counts.values()) == len(rows)
    for name, share in (("test", 0.2), ("validation", 0.1)):
        for verifier in ("math", "number"):
            of_kind = [one for one in rows if one["reward_model"]["verifier"] == verifier]
            found = [one for one in sides[name] if one["reward_model"]["verifier"] == verifier]
            assert abs(len(found) - share * len(of_kind)) <= 2, "as close as groups of four allow"
    split([data], tmp_path / "b", {"test": 0.2, "validation": 0.1}, ("verifier",), seed=1)
    for name in counts:
        assert (tmp_path / "a" / f"{name}.parquet").read_bytes() == (tmp_path / "b" / f"{name}.parquet").read_bytes()
    split([data], tmp_path / "c", {"test": 0.2}, ("verifier",), seed=2)
    assert (tmp_path / "a" / "test.parquet").read_bytes() != (tmp_path / "c" / "test.parquet").read_bytes()


def test_groups_join_over_several_images():
    from data_prep.dedupe.pictures import PicturePrint
    from data_prep.dedupe.prints import RowPrint

    def found(text, *pictures):
        return RowPrint("", "", "", text, 9, None, tuple(PicturePrint(bytes([p]), None) for p in pictures))

    # 0 and 2 share image 1, 2 and 3 share image 3: one group. Texts matter for rows without images only.
    prints = [found(b"a", 1), found(b"a", 2), found(b"b", 1, 3), found(b"c", 3), found(b"t"), found(b"t"), found(b"u")]
    assert groups(prints) == [0, 1, 0, 0, 4, 4, 6]


def test_shares_by_hand():
    # 10 rows of one stratum, groups of one: 0.2 owes 2 rows to test.
    where = assigned(list(range(10)), [("x",)] * 10, {"test": 0.2}, seed=0)
    assert where.count("test") == 2
    # Two rows in one group of a stratum of two: 0.2 * 2 = 0.4 rows are owed, less than half a group: all to train.
    assert assigned([0, 0], [("x",)] * 2, {"test": 0.2}, seed=0) == ["train", "train"]


def test_the_command(tmp_path, capsys):
    data = file(tmp_path, [row(number) for number in range(40)])
    assert main(["data", "split", str(data), "--out", str(tmp_path / "out"), "--test", "0.25"]) == 0
    assert capsys.readouterr().out == "train: 30 rows\ntest: 10 rows\n"
    assert main(["data", "split", str(data), "--out", str(tmp_path / "out"), "--test", "1.5"]) == 2
    other = published.parquet(tmp_path / "o.parquet", [{"a": 1}])
    assert main(["data", "split", str(data), str(other), "--out", str(tmp_path / "out")]) == 2
    assert pq.read_metadata(tmp_path / "out" / "test.parquet").num_rows == 10
