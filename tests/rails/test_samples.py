"""Samples of a step for people: what is read from verl's fields, the page, and the trackers' tables."""

import io
import re
from types import SimpleNamespace

import pytest
from PIL import Image

from specs_verl.rails.page import write_page
from specs_verl.rails.samples import LONGEST_RESPONSE, Rollout, sampled_prompts
from specs_verl.rails.trackers import COLUMNS, code_block, publish, table

HOSTILE = "<script>alert(1)</script>\n![x](http://evil.example/x.png)\n```\n# headline\u202e"


def png(color, size=(20, 10)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def rollout(key, text="<think>x</think>", **grades):
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "image", "bytes": png("red"), "image": None},
                {"type": "image", "image": Image.new("RGB", (8, 8), "blue")},
                {"type": "image", "image": "/etc/passwd"},
                {"type": "text", "text": "How many? <b>"},
            ],
        }
    ]
    return Rollout(key, messages, "12", text, tokens=7, score=1.5, grades={"row_id": "r1", **grades})


@pytest.fixture
def prompts():
    return sampled_prompts(
        [
            rollout("p_10_0", "second", acc=0.0, status="wrong", pred="13"),
            rollout("p_2_0", HOSTILE, acc=1.0, format=1.0, score=1.5, status="right", pred="12", reward_seconds=0.25),
            rollout("q_0_0", "z" * (LONGEST_RESPONSE + 500)),
        ]
    )


def test_rows_hold_what_people_judge_by(prompts):
    first, other = prompts
    assert first.text == "user: [image][image][image]How many? <b>" and first.truth == "12" and first.row_id == "r1"
    # in the order of samples, 2 before 10
    assert [(r.verdict, r.extracted, r.parts) for r in first.responses] == [
        ("right", "12", {"acc": 1.0, "format": 1.0, "reward_seconds": 0.25}),
        ("wrong", "13", {"acc": 0.0}),
    ]
    # the row's own bytes, the decoded image as PNG; a path is not followed
    assert [Image.open(io.BytesIO(content)).size for content in first.images] == [(20, 10), (8, 8)]
    assert "[... 500 characters left out ...]" in other.responses[0].text


def test_the_page_shows_images_and_runs_nothing(prompts, tmp_path):
    file = write_page(tmp_path / "samples", 25, prompts, ["format <fell>"])
    html = file.read_text(encoding="utf-8")
    assert file.name == "step_000025.html"
    assert html.count("data:image/jpeg;base64,") == 4
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "<script" not in html
    assert "Alarm:</b> format &lt;fell&gt;" in html and "\u202e" not in html
    assert "extracted: <b>13</b>, reward 1.5" in html and "acc 1, format 1, reward_seconds 0.25" in html
    assert not re.search(r"""(src|href)=["']?http""", html)


def test_markdown_shows_hostile_text_as_it_is():
    lines = code_block(HOSTILE).split("\n")
    assert len(lines) == 4 and all(line.startswith("    ") for line in lines)
    assert code_block("") == "    "


def test_table_has_one_row_per_response(prompts):
    rows = list(table(25, prompts, lambda image: image.size, str))
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert [row[COLUMNS.index("verdict")] for row in rows] == ["right", "wrong", ""]
    assert rows[0][COLUMNS.index("image")] == (28, 10)  # 20 and 8 wide, side by side


def test_tensorboard_gets_pictures_and_text(prompts, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(tmp_path))
    used = publish({"console": object(), "tensorboard": SimpleNamespace(writer=writer)}, 25, prompts)
    writer.close()
    assert used == ["tensorboard"]
    found = events.EventAccumulator(str(tmp_path))
    found.Reload()
    image = found.Images("rails/samples/0")[0]
    assert (image.step, image.width, image.height) == (25, 28, 10)
    text = found.Tensors("rails/samples/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "    response: <script>" in text and all(
        line.startswith("    ") or line in ("", "---") for line in text.split("\n")
    )


def test_wandb_gets_a_table(prompts, tmp_path):
    wandb = pytest.importorskip("wandb")
    logged = {}
    tracker = SimpleNamespace(
        Image=wandb.Image, Table=wandb.Table, log=lambda data, step: logged.update({"step": step, **data})
    )
    assert publish({"wandb": tracker}, 25, prompts) == ["wandb"]
    assert logged["step"] == 25
    sent = logged["rails/samples"]
    assert sent.columns == COLUMNS and len(sent.data) == 3
    assert isinstance(sent.data[0][COLUMNS.index("image")], wandb.Image)
