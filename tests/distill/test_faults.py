"""Everything that goes wrong at once, through the command line: nothing is lost, and the card counts each of it.

The teacher is a real HTTP server on loopback; the base model's samples are finished.
"""

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chat_server import ChatServer

from specs_verl.distill import Distillation, Pairing, cli, distill
from specs_verl.errors import UserError
from specs_verl.sampling.store import SampleRun

from . import building

N_ROWS = 24

# Rows whose every request fails for good, by what the server does; all others are answered.
ALWAYS = {1: 500, 2: 429, 3: "garbage", 4: "empty", 5: "slow", 6: 400}

# Rows of which one of two requests fails for good.
HALF = {7: 500, 8: "empty"}

CORRUPT, MISSING, NO_GOLD, IMAGE_TOKENS, CUT_OFF = 10, 11, 12, 13, 14


class Teacher(ChatServer):
    """Answers a row's question rightly, and fails by row rather than by the order of requests."""

    slow_seconds = 3.0

    def __init__(self):
        super().__init__(self.reply)
        self.seeds = {}

    def fault_of(self, body):
        row = self.row_of(body)
        seeds = self.seeds.setdefault(row, [])
        if body["seed"] not in seeds:
            seeds.append(body["seed"])
        if row in HALF and seeds.index(body["seed"]) == 0:
            return HALF[row]
        return ALWAYS.get(row)

    @staticmethod
    def row_of(body):
        (text,) = (part["text"] for part in body["messages"][-1]["content"] if part["type"] == "text")
        return int(text.partition("Question ")[2].partition("?")[0])

    def reply(self, body):
        row = self.row_of(body)
        text = building.whole(10 + row, 10 + row)
        return text.replace("3+4", "<|image_pad|> 3+4") if row == IMAGE_TOKENS else text

    def finish_reason(self, body):
        return "length" if self.row_of(body) == CUT_OFF else "stop"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One run of the command; returns its output directory and the requests that the teacher got."""
    folder = tmp_path_factory.mktemp("faults")
    rows = [building.row(index, 10 + index) for index in range(N_ROWS)]
    rows[CORRUPT]["images"][0]["bytes"] = b"no image at all"
    rows[MISSING]["images"][0] = {"bytes": None, "path": "gone.png"}
    rows[NO_GOLD]["reward_model"]["ground_truth"] = "many"
    prompts = str(folder / "p.parquet")
    pq.write_table(pa.Table.from_pylist(rows), prompts)
    base = building.write_run(folder / "base", prompts, [[building.bare(10 + index)] * 2 for index in range(N_ROWS)])
    with pytest.MonkeyPatch.context() as patch, Teacher() as server:
        for name, value in (("ATTEMPTS", "3"), ("FIRST_PAUSE", "0.01"), ("TIMEOUT", "1.5"), ("CONCURRENCY", "16")):
            patch.setenv(f"SPECS_ENDPOINT_{name}", value)
        parser = argparse.ArgumentParser()
        cli.add_arguments(parser)
        arguments = ["--prompts", prompts, "--out", folder / "out", "--recipe", "teacher", "--n", 2, "--workers", 1]
        arguments += ["--teacher", f"{server.url}#teacher", "--base-samples", base, "--quiet"]
        assert cli.run(parser.parse_args([str(argument) for argument in arguments])) == 0
        return folder / "out", list(server.bodies)


def test_the_other_rows_give_their_pairs(made):
    spoiled = {*ALWAYS, CORRUPT, MISSING, NO_GOLD, IMAGE_TOKENS, CUT_OFF}
    rows = building.read(made[0] / "pairs.parquet")
    assert {row["row"] for row in rows} == set(range(N_ROWS)) - spoiled


def test_every_request_was_tried_three_times_unless_it_was_refused(made):
    asked = {}
    for body in made[1]:
        asked.setdefault(Teacher.row_of(body), []).append(body["seed"])
    assert set(asked) == set(range(N_ROWS)) - {CORRUPT, MISSING}, "rows without their image are not asked about"
    counts = {row: len(seeds) for row, seeds in asked.items()}
    for row in range(N_ROWS):
        if row in (CORRUPT, MISSING):
            continue
        # Two samples: three attempts each where the server always fails, one each where it refuses or answers.
        expected = 2 if row not in ALWAYS or ALWAYS[row] == 400 else 6
        assert counts[row] == (expected if row not in HALF else 3 + 1), row


def test_each_loss_is_counted_in_the_card(made):
    out = made[0]
    report, card = building.report_of(out), (out / "README.md").read_text()
    assert report["losses"]["chosen"]["prompts"] == {"request_failed": 6, "corrupt_image": 1, "missing_image": 1}
    assert report["losses"]["chosen"]["samples"] == 2, "one each of rows 7 and 8"
    counted = "prompts: corrupt_image 1, missing_image 1, request_failed 6; single samples of other prompts: 2"
    assert f"- chosen: {counted}" in card
    funnel = report["funnel"]
    assert funnel["prompts"] == N_ROWS
    assert funnel["prompts: not sampled"] == len(ALWAYS) + 2
    assert funnel["prompts: ground truth cannot be read"] == 1
    assert funnel["prompts: nothing to choose"] == 2
    assert funnel["pairs"] == N_ROWS - len(ALWAYS) - 2 - 1 - 2
    assert (funnel["chosen: image tokens"], funnel["chosen: cut off"]) == (2, 2)
    # 24 rows without the eight that were not sampled, two samples each, less the two that failed.
    assert sum(count for name, count in funnel.items() if name.startswith("chosen: ") and "judge" not in name
               and "form" not in name) == 2 * 16 - 2  # fmt: skip


def test_each_loss_says_where_and_why(made):
    losses = {loss["row"]: loss for loss in SampleRun(made[0] / "samples" / "teacher").losses()}
    assert set(losses) == {*ALWAYS, *HALF, CORRUPT, MISSING}
    said = {1: "status 500", 2: "status 429", 3: "cannot be read", 4: "an empty answer", 5: "no answer", 6: "refused"}
    said |= {7: "status 500", 8: "an empty answer", CORRUPT: "no image Pillow knows", MISSING: "gone.png"}
    for row, words in said.items():
        assert words in losses[row]["reason"] and f"p.parquet, row {row}:" in losses[row]["reason"]


def test_a_slow_teacher_holds_nobody_up(made):
    """Row 5 takes three attempts of 1.5 s; the rows after it are asked about before it is given up."""
    asked = [Teacher.row_of(body) for body in made[1]]
    last_of_slow_row = len(asked) - 1 - asked[::-1].index(5)
    assert {row for row in asked[:last_of_slow_row] if row > 5} == set(range(6, N_ROWS)) - {CORRUPT, MISSING}


def test_a_row_that_cannot_be_graded_is_named(tmp_path):
    rows = [building.row(0, 10), building.row(1, 11)]
    for part in ("reward_model", "extra_info"):
        rows[1][part]["verifier"] = "telepathy"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    prompts = str(tmp_path / "p.parquet")
    samples = [[building.whole(10, 10)], [building.whole(11, 11)]]
    runs = [building.write_run(tmp_path / name, prompts, samples) for name in ("zero", "base")]
    for workers in (1, 2):
        with pytest.raises(
            UserError, match=r"p\.parquet, row 1: it cannot be graded .*No verifier is called 'telepathy'"
        ):
            distill(Distillation((prompts,), *runs, str(tmp_path / f"out{workers}"), workers=workers))


def test_images_given_by_path_are_found_from_the_pairs(tmp_path, monkeypatch):
    """A relative path is relative to the prompts' file; the pairs lie elsewhere."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    row = building.row(0, 10)
    picture = tmp_path / "data" / "images" / "0.png"
    picture.write_bytes(row["images"][0]["bytes"])
    row["images"] = [{"bytes": None, "path": "images/0.png"}]
    prompts = str(tmp_path / "data" / "p.parquet")
    pq.write_table(pa.Table.from_pylist([row]), prompts)
    runs = [building.write_run(tmp_path / name, prompts, [[building.whole(10, 10)]]) for name in ("zero", "base")]
    monkeypatch.chdir("/")
    distill(Distillation((prompts,), *runs, str(tmp_path / "out"), Pairing(), workers=1))
    (pair,) = building.read(tmp_path / "out" / "pairs.parquet")
    assert Path(pair["images"][0]["path"]) == picture and pair["images"][0]["bytes"] is None
    assert json.loads((tmp_path / "out" / "report.json").read_text())["pairs"] == 1
    assert (tmp_path / "out" / "card" / "row-0-0.png").is_file()
