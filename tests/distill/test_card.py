"""The card as its reader sees it: every link leads to a picture, every table adds up."""

import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from specs_verl.distill import Distillation, Pairing, distill
from specs_verl.distill.select import Selection

from . import building

N_ROWS = 120


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A distillation in which everything happens that the card has a line for."""
    folder = tmp_path_factory.mktemp("card")
    rows = [building.row(index, 10 + index) for index in range(N_ROWS)]
    rows[7]["reward_model"]["ground_truth"] = "no number"
    large = io.BytesIO()
    Image.new("RGB", (900, 300), "red").save(large, "PNG")
    rows[0]["images"].append({"bytes": large.getvalue(), "path": None})
    rows[0]["prompt"][0]["content"] += " Compare <image>."
    prompts = str(folder / "p.parquet")
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    truths = range(10, 10 + N_ROWS)
    zero = [[building.whole(truth, truth), building.whole(1, 1)] for truth in truths]
    base = [[building.bare(truth), building.bare("5 ``` five")] for truth in truths]
    zero[3] = None  # could not be sampled
    zero[4] = [building.whole(1, 1)] * 2  # never right
    zero[5] = [building.whole(15, 15).replace("3+4", "<image> 3+4")] * 2  # image tokens
    base[6] = [building.bare(1)] * 2  # nothing to reject
    runs = [building.write_run(folder / name, prompts, samples) for name, samples in (("zero", zero), ("base", base))]
    job = Distillation((prompts,), *runs, str(folder / "out"), Pairing(), Selection(max_pairs=100), workers=1)
    return folder / "out", distill(job)


def table(text, title):
    """Rows of the table whose header begins with `title`: names to counts."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {title} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, count, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = int(count.split()[0])
    return rows


def test_every_picture_is_there_and_small(made):
    out, report = made
    text = (out / "README.md").read_text()
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(links) >= len(report["examples"]) == 5
    assert sorted(links) == sorted(f"card/{path.name}" for path in (out / "card").iterdir()), (
        "no link is dead, no file idle"
    )
    for link in links:
        assert not Path(link).is_absolute(), "the folder can be moved"
        with Image.open(out / link) as picture:
            assert max(picture.size) <= 256


def test_a_picture_belongs_to_the_row_it_stands_in(made):
    out, report = made
    for example in report["examples"]:
        picture = Image.open(out / "card" / f"row-{example['row']}-0.png")
        assert picture.getpixel((0, 0)) == (example["row"], 0, 90), "building.image_bytes: the red channel is the row"


def test_several_images_of_a_row_are_shown(tmp_path):
    first = building.row(0, 10)
    large = io.BytesIO()
    Image.new("RGB", (900, 300), "red").save(large, "PNG")
    first["images"].append({"bytes": large.getvalue(), "path": None})
    pq.write_table(pa.Table.from_pylist([first]), tmp_path / "p.parquet")
    prompts = str(tmp_path / "p.parquet")
    runs = [building.write_run(tmp_path / name, prompts, [[building.whole(10, 10)]]) for name in ("zero", "base")]
    distill(Distillation((prompts,), *runs, str(tmp_path / "out"), workers=1))
    assert Image.open(tmp_path / "out" / "card" / "row-0-1.png").size == (256, 85)


def test_prompts_add_up(made):
    out, report = made
    rows = table((out / "README.md").read_text(), "prompts")
    # 120 prompts; rows 3, 7, 4 and 5, 6 give no pair, 115 - 100 are left out by selection.
    assert rows == {
        "all": N_ROWS,
        "not sampled": 1,
        "ground truth cannot be read": 1,
        "nothing to choose": 2,
        "nothing to reject": 1,
        "left out by selection: balance": 15,
        "pairs": 100,
    }
    assert rows.pop("all") == sum(rows.values())
    assert report["pairs"] == 100 == pq.read_metadata(out / "pairs.parquet").num_rows


def test_samples_and_their_keep_rates(made):
    text = (made[0] / "README.md").read_text()
    # 119 sampled prompts x 2; right: one each but for rows 4, 5 (image tokens) and 7 (no gold): 116.
    assert table(text, "samples of the chosen source") == {
        "sampled": 238,
        "whole and right": 116,
        "well formed": 116,
        "kept by the judge": 116,
    }
    assert "| whole and right | 116 | 48.7 % |" in text and "| well formed | 116 | 100.0 % |" in text
    # Wrong: one each of 119 but for rows 5 and 7, one more for row 4: 118.
    assert "Not whole or not right: image tokens 2, wrong 118, unparsable gold 2." in text
    assert table(text, "samples of the rejected source") == {"sampled": 240, "whole and right": 118}


def test_what_is_in_it_adds_up(made):
    text = (made[0] / "README.md").read_text()
    assert sum(table(text, "corruption").values()) == sum(table(text, "data source").values()) == 100
    lengths = [line for line in text.splitlines() if re.match(r"\| \d+ to \d+ \|", line)]
    counts = [[int(cell.split()[0]) for cell in line.strip("| ").split("|")[1:]] for line in lengths]
    assert [sum(column) for column in zip(*counts, strict=True)] == [100, 100]
    bars = [line.count("#") for line in lengths]
    assert max(bars) >= 24, "the longest bar fills its column"


def test_the_card_says_what_sampling_took(made):
    out, _ = made
    # 119 prompts of zero and 120 of base, twice each, sampled in the one second that the run of hand-made samples says.
    lines = [line for line in (out / "README.md").read_text().splitlines() if "responses (" in line]
    assert [line.split(" responses")[0] for line in lines] == ["- 238", "- 240"]
    assert all("models/hand: sampled in 1 s" in line for line in lines)


def test_losses_are_named_with_their_place(made):
    text = (made[0] / "README.md").read_text()
    assert "- chosen: prompts: corrupt_image 1; single samples of other prompts: 0" in text
    assert "- rejected: prompts: none" in text and "    - made up" in text


def test_an_image_that_is_gone_does_not_stop_the_card(tmp_path):
    row = building.row(0, 10)
    row["images"] = [{"bytes": None, "path": "gone.png"}]
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "p.parquet")
    prompts = str(tmp_path / "p.parquet")
    runs = [building.write_run(tmp_path / name, prompts, [[building.whole(10, 10)]]) for name in ("zero", "base")]
    distill(Distillation((prompts,), *runs, str(tmp_path / "out"), workers=1))
    assert "(image 0: gone.png: no such image file)" in (tmp_path / "out" / "README.md").read_text()


def test_text_cannot_leave_its_fence(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 1)
    text = building.whole(10, 10).replace("3+4", "````python\n3+4")
    runs = [building.write_run(tmp_path / name, prompts, [[text]]) for name in ("zero", "base")]
    distill(Distillation((prompts,), *runs, str(tmp_path / "out"), Pairing(judge="none"), workers=1))
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.count("`````text") == 1 and card.rstrip().endswith("`````")
