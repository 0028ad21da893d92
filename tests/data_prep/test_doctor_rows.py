"""What the doctor knows about images, golds, texts and lengths; the page, and the limits of a recipe."""

import io
import json
import shutil
import struct

import numpy as np
import published
import pyarrow as pa
import pytest
from PIL import Image
from published import encoded, picture

from data_prep import doctor, nano, schema
from data_prep.doctor.pictures import picture_findings, repaired
from data_prep.images import ImageError, image_bytes
from specs_verl.cli import main


def row(gold="3", verifier="number", question="<image>How many?", image=None, params=None, **others):
    columns = schema.grading_columns(gold, verifier, params)
    return {
        "data_source": "hand",
        "prompt": [{"role": "user", "content": question}],
        "images": [{"bytes": image or published.png(len(question)), "path": None}] if "<image>" in question else [],
        "ability": "count",
        "reward_model": columns["reward_model"],
        "extra_info": {"index": 0, "split": "train", "id": f"{gold}{question}", **columns["extra_info"]},
        **others,
    }


def examined(tmp_path, rows, **settings):
    path = published.parquet(tmp_path / "t.parquet", rows, schema.SCHEMA)
    return doctor.examine(path, **settings)


# ------------------------------------------------------------------------------------------------------------- images


def sixteen_bits():
    values = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    return encoded(Image.fromarray(values))


def turned():
    image = picture(1)
    exif = image.getexif()
    exif[0x0112] = 6  # the picture must be turned by 90 degrees to the right to stand upright
    return encoded(image, "JPEG", exif=exif)


def test_kinds_of_images():
    def kinds(content):
        return [(finding.kind.split(":")[0], finding.broken) for finding in picture_findings(content)[0]]

    assert kinds(published.png()) == []
    assert kinds(encoded(picture().convert("CMYK"), "JPEG")) == [("CMYK image", False)]
    assert kinds(encoded(picture().convert("RGBA"))) == [("transparent image", False)]
    assert kinds(sixteen_bits()) == [("16 bits per channel", True)]
    assert kinds(turned()) == [("EXIF orientation", False)]
    assert kinds(published.png(1, (4000, 19))) == [("aspect ratio", True)]
    assert kinds(published.png(1, (27, 27)))[0][1] is False
    assert kinds(published.png()[:-40]) == [("cannot be decoded", True)]
    assert kinds(b"GIF") == [("no image", True)]
    frames = encoded(picture(1), "GIF", save_all=True, append_images=[picture(2)])
    assert kinds(frames) == [("animation", False)]
    assert picture_findings(published.png()[:-40], decode=False) == ([], (64, 48))


def test_repairs_keep_the_picture():
    upright = Image.open(io.BytesIO(repaired(turned())))
    assert upright.size == (48, 64) and upright.getexif().get(0x0112, 1) == 1
    # Turned to the right: what was at the lower left is now at the upper left.
    assert np.allclose(np.asarray(upright)[2, 2], np.asarray(picture(1))[45, 2], atol=25)
    grey = np.asarray(Image.open(io.BytesIO(repaired(sixteen_bits()))).convert("L"))
    assert grey[0, 0] == 0 and grey[-1, -1] == 255 and abs(int(grey[24, 0]) - 128) < 3, "not all white"
    cmyk = Image.open(io.BytesIO(repaired(encoded(picture().convert("CMYK"), "JPEG"))))
    assert cmyk.mode == "RGB"
    assert repaired(published.png()) is None


def test_fix_repairs_what_it_can(tmp_path):
    path = published.parquet(
        tmp_path / "t.parquet", [row(image=turned()), row("4", image=sixteen_bits()), row("5")], schema.SCHEMA
    )
    report = doctor.fix(path, tmp_path / "fixed.parquet")
    assert (report.repaired, len(report.broken)) == (2, 0)
    assert doctor.examine(tmp_path / "fixed.parquet").notes == {}
    assert published.rows_of(tmp_path / "fixed.parquet")[2]["images"] == row("5")["images"], "untouched"


def test_paths_of_rows_lead_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(published.png())
    (tmp_path / "data" / "a.png").write_bytes(published.png(1))
    monkeypatch.chdir(tmp_path / "data")
    file = tmp_path / "data" / "t.parquet"
    assert image_bytes("a.png", file) == published.png(1)
    for path in ("../secret.png", str(tmp_path / "secret.png"), "/etc/passwd"):
        with pytest.raises(ImageError, match="leads out"):
            image_bytes(path, file)


# -------------------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (row(gold="many"), "ground truth"),
        (row(gold="12", verifier="choice", params={"options": ["a", "b"]}), "ground truth"),
        (row(gold='[{"bbox_2d": [1, 2, 3]}]', verifier="boxes"), "ground truth"),
        (row(gold="3", params={"depth": 1}), "ground truth"),
        (row(question="<image>What <|im_end|>?"), "control mark in the text"),
        (row(question="What <video>?"), "control mark in the text"),
        (row(question="<image>" + "x" * 300_000), "huge text"),
        (row(gold=""), "no ground truth"),
        (row(question="<image><image>?"), "placeholders and images differ"),
    ],
)
def test_rows_that_cannot_be_trained_on(tmp_path, broken, kind):
    report = examined(tmp_path, [row(), broken])
    assert list(report.broken) == [1] and report.kinds == {kind: 1}


def test_golds_on_another_scale_than_the_response(tmp_path):
    gold = json.dumps([{"bbox_2d": [100, 200, 500, 600], "label": "cat"}])
    params = {"gold_scale": 1000, "size": [112, 56], "det_reward_ratio": {"iou_max_label_first": 1.0}}
    assert examined(tmp_path, [row(gold, "boxes", params=params)]).broken == {}


def test_html_and_doubled_ids_are_noted(tmp_path):
    report = examined(tmp_path, [row(question="Is <b>2</b> < 3 and a<b>c?", gold="3"), row(), row()])
    assert report.broken == {}
    assert report.notes["HTML in the text"] == 1 and report.notes["the same id as an earlier row"] == 1


@pytest.mark.parametrize("column", ["data_source", "prompt", "images", "reward_model", "extra_info"])
@pytest.mark.parametrize("wrong", [pa.array([7]), pa.array([[1]]), pa.array([{"a": 1}]), pa.array(["x"])])
def test_wrong_types_in_every_column_are_findings(tmp_path, column, wrong):
    table = pa.Table.from_pylist([row()], schema=schema.SCHEMA)
    table = table.set_column(table.schema.get_field_index(column), column, wrong)
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    report = doctor.examine(tmp_path / "t.parquet")
    harmless = (column, wrong.type) in {("data_source", pa.string())} or column == "extra_info"
    assert (len(report.broken) == 0) == harmless and report.rows == 1


# ------------------------------------------------------------------------------------------------------------ lengths


def header_only(width, height):
    """A PNG header without a picture: only its size can be read."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII5B", 13, b"IHDR", width, height, 8, 2, 0, 0, 0) + b"\0" * 32


def test_large_images_are_too_long_for_a_recipe(tmp_path):
    """4000 x 3000 pixels passed the doctor and were lost in training."""
    # The nano model's texts with the image rules that Qwen2.5-VL is published with.
    checkpoint = shutil.copytree(nano.base_checkpoint(), tmp_path / "checkpoint")
    processor = json.loads((checkpoint / "processor_config.json").read_text())
    processor["image_processor"] |= {"patch_size": 14, "merge_size": 2}
    processor["image_processor"]["size"] = {"shortest_edge": 56 * 56, "longest_edge": 16_384 * 784}
    (checkpoint / "processor_config.json").write_text(json.dumps(processor))
    limits = doctor.Limits(str(checkpoint), 4096, "seven_b")
    report = examined(tmp_path, [row(), row(image=header_only(4000, 3000))], limits=limits, decode=False)
    assert list(report.broken) == [1] and report.kinds == {"prompt too long": 1}
    # 143 x 107 = 15,301 image tokens, and a few words
    tokens = int(report.broken[1][0].split()[0])
    assert 15_301 + 5 < tokens < 15_301 + 60 and "4096 are allowed (seven_b)" in report.broken[1][0]
    assert 0 < report.longest < 200


def test_the_limits_of_a_recipe_on_the_command_line(tmp_path, capsys):
    path = published.parquet(
        tmp_path / "t.parquet", [row(), row(question="<image>How many" + " many" * 200 + "?")], schema.SCHEMA
    )
    assert main(["data", "doctor", str(path), "--recipe", "nano_zero", "--model", str(nano.base_checkpoint())]) == 1
    assert "96 are allowed (nano_zero)" in capsys.readouterr().out
    assert main(["data", "doctor", str(path)]) == 0
    assert main(["data", "doctor", str(path), "--recipe", "gone"]) == 2
    assert main(["data", "doctor", str(path), "--recipe", "qwen2_5_vl_7b_cold_start"]) == 2
    assert main(["data", "doctor", str(path), "--max-prompt-tokens", "9"]) == 2


def test_the_7b_recipe_names_its_model():
    from specs_verl.doctor.data_limits import recipe_limits

    assert recipe_limits("qwen2_5_vl_7b_grpo") == {
        "max_prompt_tokens": 4096,
        "max_pixels": 1_605_632,
        "min_pixels": 3136,
        "model": "Qwen/Qwen2.5-VL-7B-Instruct",
    }


# --------------------------------------------------------------------------------------------------------------- page


def test_the_page_shows_the_worst_and_runs_nothing(tmp_path, capsys):
    hostile = row(question="<image><script>alert(1)</script>", gold="<img src=x onerror=alert(2)>", verifier="boxes")
    rows = [hostile, row()]
    path = published.parquet(tmp_path / "t.parquet", rows, schema.SCHEMA)
    assert main(["data", "doctor", str(path), "--page"]) == 1
    page = (tmp_path / "t.doctor.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and "&lt;script&gt;alert(1)" in page
    assert 'src="data:image/jpeg;base64,' in page and "default-src &#39;none&#39;" not in page
    assert "default-src 'none'" in page
