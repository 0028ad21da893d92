"""Which prompts are shown, and what is done to text and pictures on the way to the page."""

import io

import pandas as pd
from PIL import Image

from specs_verl.measure.samples import LONGEST_SIDE, choose, clean_text, picture


def graded(*rows):
    return pd.DataFrame(
        [
            {"row": index, "sample": 0, "right": right, "format": form, "task": task}
            for index, (right, form, task) in enumerate(rows)
        ]
    )


def test_outcomes_take_turns_and_tasks_within_them():
    first = graded((0, 0, "a"), (0, 1, "a"), (0, 1, "b"), (1, 0, "a"), (1, 1, "a"), (0, 0, "a"), (1, 1, "b"))
    last = graded((1, 1, "a"), (1, 1, "a"), (1, 1, "b"), (1, 1, "a"), (0, 1, "a"), (0, 0, "a"), (1, 1, "b"))
    chosen = choose(first, last, 7)
    # fixed: rows 0, 1 (task a) and 2 (task b), tasks in turn 0, 2, 1; formed: 3; lost: 4; hard: 5; kept: 6
    assert [row for row, _ in chosen] == [0, 3, 4, 5, 6, 2, 1]
    assert chosen[2][1] == "right before, wrong after"  # failures are shown as well
    assert choose(first, last, 3) == chosen[:3]
    assert choose(first, last[last["row"] > 5], 7) == [(6, "right and well formed before and after")]


def test_text_loses_what_could_act_on_a_terminal_or_turn_a_line_round():
    assert clean_text("a\x1b[31mb\u202ec\r\nd\te\x00") == "a\ufffd[31mb\ufffdc\nd\te\ufffd"
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    assert clean_text(family + "é√中") == family + "é√中"


def test_long_text_is_cut_in_the_middle():
    text = clean_text("a" * 700 + "b" * 700, limit=1000)
    assert text == "a" * 500 + "\n[... 400 characters left out ...]\n" + "b" * 500


def file_of(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_pictures():
    tiny = picture(file_of(Image.new("RGBA", (84, 84))), "tiny")
    assert (tiny.width, tiny.height, tiny.pixelated) == (168, 168, True)  # twice its size, pixels kept sharp
    assert tiny.uri.startswith("data:image/png;base64,")
    large = picture(file_of(Image.new("RGB", (2000, 1000)), "JPEG"), "large")
    assert (large.width, large.height) == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert large.uri.startswith("data:image/jpeg;base64,")


def test_what_is_no_picture_is_left_out():
    assert picture(b"<svg onload=alert(1)>", "x") is None
    assert picture(file_of(Image.new("RGB", (50, 50)))[:60], "cut short") is None
    assert picture(file_of(Image.new("1", (10_000, 9000))), "90 million pixels in a few kB") is None
    whole = file_of(Image.effect_noise((300, 300), 50))
    broken = whole[:60_000] + whole[60_000:].replace(b"IDAT", b"\0\0\0\0", 1)
    assert broken != whole  # Pillow raises a SyntaxError for the name of a chunk
    assert picture(broken, "a broken chunk") is None
