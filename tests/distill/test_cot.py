"""Chain-of-thought patterns: what counts as written, and rejection sampling from a real server on loopback."""

from collections import Counter

import pytest
from chat_server import ChatServer

from specs_verl.distill.cot import PATTERNS, CotJob, accepted, distill_cot, parts
from specs_verl.errors import UserError

from . import building

ROW = building.row(0, 12)

REFLECTION = (
    "First attempt: I add five and six, so 5+6=11. The answer is 11.\n"
    "Re-evaluation: the second number is seven, not six.\n"
    "Solution: five and seven are twelve, \\boxed{12}."
)
CAPTION = "**Description:** five circles and seven squares are drawn.\n**Reasoning:** 5+7=12, hence \\boxed{12}."
CRITIC = (
    "Solution: five and seven are 12.\nCritique: both numbers were read off well.\nRevision: confirmed, so \\boxed{12}."
)


@pytest.mark.parametrize(
    ("pattern", "response", "expected"),
    [
        ("distilled", "Five and seven are twelve: \\boxed{12}", True),
        ("distilled", "\\boxed{12}", False),
        ("distilled", "Five and seven are \\boxed{13}", False),
        ("reflection", REFLECTION, True),
        ("reflection", REFLECTION.replace("11", "12").replace("5+6", "5+7"), False),  # nothing to reflect on
        ("reflection", REFLECTION.replace("Re-evaluation:", "Then:"), False),
        ("caption", CAPTION, True),
        ("caption", CAPTION.replace("five circles and seven squares are drawn", ""), False),
        ("self_critic", CRITIC, True),
        ("self_critic", CRITIC.replace("\\boxed{12}", "\\boxed{13}"), False),
        ("self_critic", CAPTION, False),
    ],
)
def test_a_pattern_needs_its_parts_and_the_right_answer(pattern, response, expected):
    assert accepted(pattern, ROW, response) is expected


def test_parts_must_stand_in_their_order():
    headings = PATTERNS["caption"].headings
    assert parts(CAPTION, headings) == ["five circles and seven squares are drawn.", "5+7=12, hence \\boxed{12}."]
    assert parts("Reasoning: 5+7=12, as one can see\nDescription: five circles and so on", headings) is None
    assert parts(CAPTION + "\n" + CAPTION, headings) is None


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    for name, value in (("ATTEMPTS", "3"), ("FIRST_PAUSE", "0.01"), ("TIMEOUT", "5")):
        monkeypatch.setenv(f"SPECS_ENDPOINT_{name}", value)


def test_a_teacher_is_sampled_until_it_gets_there(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 6)
    tries = Counter()

    def teacher(body):
        """Right at the fifth try; row 3 never. Rows 0, 2, 4 are asked for a caption, the others for plain reasoning."""
        text = body["messages"][-1]["content"][-1]["text"]
        index = int(text.partition("Question ")[2].partition("?")[0])
        assert ("Description:" in text) == (index % 2 == 0)
        tries[index] += 1
        value = 10 + index if tries[index] >= 5 and index != 3 else 1
        return CAPTION.replace("{12}", f"{{{value}}}").replace("5+7=12", f"it makes {value}")

    with ChatServer(teacher, faults=[503]) as server:
        job = CotJob((prompts,), f"{server.url}#t", str(tmp_path / "out"), ("caption", "distilled"), max_samples=12)
        report = distill_cot(job)
    rows = building.read(tmp_path / "out" / "sft.parquet")
    assert [(row["row"], row["origin"]) for row in rows] == [
        (index, "distilled" if index % 2 else "caption") for index in (0, 1, 2, 4, 5)
    ]
    # Two at a time: three draws until the fifth try; row 3 is given up after twelve.
    assert tries == {0: 6, 1: 6, 2: 6, 3: 12, 4: 6, 5: 6}
    assert report["counts"] == {
        "caption: samples": 18,
        "caption: kept": 3,
        "distilled: samples": 24,
        "distilled: kept": 2,
        "distilled: dropped, never accepted": 1,
    }
    for row in rows:
        assert row["messages"][0]["content"] == f"<image>Question {row['row']}?", (
            "the pattern's instruction is not learned"
        )
        assert accepted(row["origin"], row, row["response"])


def test_a_teacher_can_be_asked_as_the_row_asks(tmp_path):
    prompts = building.write_prompts(tmp_path / "p.parquet", 2)

    def teacher(body):
        text = body["messages"][-1]["content"][-1]["text"].strip()
        assert text in ("Question 0?", "Question 1?"), "nothing is added"
        return building.whole(10 + int(text[9]), 10 + int(text[9]))

    with ChatServer(teacher) as server:
        distill_cot(CotJob((prompts,), f"{server.url}#t", str(tmp_path / "out"), ("as_asked",), max_samples=2))
    rows = building.read(tmp_path / "out" / "sft.parquet")
    assert [row["response"] for row in rows] == [building.whole(10, 10), building.whole(11, 11)]


def test_an_unknown_pattern_is_named():
    with pytest.raises(UserError, match="poem; there are as_asked, distilled"):
        CotJob(("p",), "t", "o", patterns=("poem",))
