"""Running stages: done once, gone on with when killed, refused when made with other settings, redone when asked."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from data_prep.files import locked
from specs_verl.errors import UserError
from specs_verl.measure.page_runs import stage_rows
from specs_verl.pipeline import execution
from specs_verl.pipeline.definition import Definition
from specs_verl.pipeline.execution import planned, run_stages
from specs_verl.pipeline.kinds import Command, Kind
from specs_verl.pipeline.stage import Stage, completed
from specs_verl.pipeline.watch import CommandFailed

# Appends to a log, and writes its value; the exit code is its third argument.
SCRIPT = """
import sys
from pathlib import Path
folder, value, code = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with (folder.parent / "log").open("a") as log:
    log.write(folder.name + " ")
(folder / "out.txt").write_text(value)
sys.exit(code)
"""


class Recorder:
    """A display that remembers what it was told."""

    def __init__(self):
        self.events = []

    def stage(self, number, total, title):
        self.events.append(f"start {title}")

    def skipped(self, number, total, title, seconds):
        self.events.append(f"skip {title}")

    def progress(self, done, total, note=""):
        pass

    def finished(self, seconds, note):
        self.events.append(f"end {note}")


@dataclass
class Written:
    value: int = 0


def commands(stage, places):
    folder = places.folders[stage.name]
    code = stage.settings.get("code", 0)
    return [Command((sys.executable, "-c", SCRIPT, str(folder), str(stage.settings["value"]), str(code)))]


WRITTEN = Kind(
    Written,
    lambda settings: [],
    commands,
    lambda stage, folder: {"out": folder / "out.txt"},
    lambda stage, folder: f"{stage.name} made {(folder / 'out.txt').read_text()}",
)


@pytest.fixture(autouse=True)
def a_kind_of_our_own(monkeypatch):
    monkeypatch.setitem(execution.KINDS, "written", WRITTEN)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def make(tmp_path, base):
    """A pipeline of three stages: two needs one, side needs nothing."""

    def plan(one=1, two=2, side=3, seed=0, code=0):
        stages = (
            Stage("one", "written", "ONE", {"value": one}, uses_base=True),
            Stage("side", "written", "SIDE", {"value": side}, seeded=False),
            Stage("two", "written", "TWO", {"value": two, "code": code} if code else {"value": two}, ("one",)),
        )
        definition = Definition("test", "Test", seed, str(base), 0, 1, 1, (), 60, stages)
        return planned(definition, tmp_path / "run")

    return plan


def log(tmp_path):
    return (tmp_path / "run" / "log").read_text().split()


def test_runs_in_order_and_then_skips(tmp_path, make):
    display = Recorder()
    run_stages(make(), display)
    assert log(tmp_path) == ["one", "side", "two"]
    run_stages(make(), display)
    assert log(tmp_path) == ["one", "side", "two"]
    ends = ["start ONE", "end one made 1", "start SIDE", "end side made 3", "start TWO", "end two made 2"]
    assert display.events == [*ends, "skip ONE", "skip SIDE", "skip TWO"]


def test_a_failed_stage_is_entered_again_and_nothing_before_it(tmp_path, make):
    with pytest.raises(CommandFailed):
        run_stages(make(code=1), Recorder())
    assert completed(tmp_path / "run" / "two") is None
    with pytest.raises(CommandFailed):
        run_stages(make(code=1), Recorder())
    assert log(tmp_path) == ["one", "side", "two", "two"]


def test_until_stops_there_and_only_runs_one(tmp_path, make):
    run_stages(make(), Recorder(), until="one")
    assert log(tmp_path) == ["one"]
    run_stages(make(), Recorder(), only="two")
    assert log(tmp_path) == ["one", "two"]
    for argument in ("until", "only", "redo"):
        with pytest.raises(UserError, match="no stage 'three'"):
            run_stages(make(), Recorder(), **{argument: "three"})


def test_only_refuses_when_a_needed_stage_is_missing_and_takes_the_others_as_they_are(tmp_path, make):
    with pytest.raises(UserError, match="Stage two needs one, which is not complete"):
        run_stages(make(), Recorder(), only="two")
    run_stages(make(one=5), Recorder(), only="one")
    run_stages(make(), Recorder(), only="two")  # the settings of `one` are not repeated
    assert log(tmp_path) == ["one", "two"]
    with pytest.raises(UserError, match=r"one was made with other settings \(value: 5 -> 1\)"):
        run_stages(make(), Recorder())


def test_other_settings_are_refused_and_named(make):
    run_stages(make(), Recorder())
    with pytest.raises(UserError, match=r"two was made with other settings \(value: 2 -> 5\).*--redo two"):
        run_stages(make(two=5), Recorder())
    with pytest.raises(UserError, match=r"one was made with other settings \(seed, model or an earlier stage changed"):
        run_stages(make(seed=1), Recorder())


def test_a_half_done_stage_of_other_settings_is_refused_as_well(make):
    with pytest.raises(CommandFailed):
        run_stages(make(code=1), Recorder())
    with pytest.raises(UserError, match="value: 2 -> 5"):
        run_stages(make(two=5), Recorder())


def test_a_change_invalidates_what_needs_it_and_nothing_else(make, base):
    before, after = make().keys, make(one=7).keys
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}
    after = make(seed=1).keys
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}
    (base / "config.json").write_text('{"another": "model"}')
    after = make().keys
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}


def test_redo_does_what_needs_it_again(tmp_path, make):
    run_stages(make(), Recorder())
    run_stages(make(one=9), Recorder(), redo="one")
    assert log(tmp_path) == ["one", "side", "two", "one", "two"]


def test_redo_deletes_nothing_of_a_live_run(tmp_path, make):
    run_stages(make(), Recorder())
    with locked(tmp_path / "run"), pytest.raises(UserError, match="another process is writing"):
        run_stages(make(), Recorder(), redo="one")
    assert (tmp_path / "run" / "one" / "out.txt").exists()


@pytest.mark.parametrize("content", ["", '{"key": ', "[]", "{}"])
def test_a_damaged_marker_is_made_again(tmp_path, make, content):
    run_stages(make(), Recorder())
    marker = tmp_path / "run" / "two" / "stage.json"
    marker.write_text(content)
    run_stages(make(), Recorder())
    assert log(tmp_path) == ["one", "side", "two", "two"]
    assert json.loads(marker.read_text())["note"] == "two made 2"


def test_a_killed_process_leaves_no_marker_and_no_lock(tmp_path, make):
    code = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import test_execution
from specs_verl.pipeline import execution
from specs_verl.pipeline.definition import Definition
from specs_verl.pipeline.stage import Stage
test_execution.SCRIPT = "import sys, time; open(sys.argv[1] + '/begun', 'w'); time.sleep(600)"
execution.KINDS["written"] = test_execution.WRITTEN
folder = Path(sys.argv[1])
stages = (Stage("one", "written", "ONE", {"value": 1}, uses_base=True),)
definition = Definition("test", "Test", 0, str(folder / "base"), 0, 1, 1, (), 60, stages)
execution.run_stages(execution.planned(definition, folder / "run"), test_execution.Recorder())
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), os.path.dirname(__file__)])
    while not (tmp_path / "run" / "one" / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert completed(tmp_path / "run" / "one") is None
    run_stages(make(), Recorder())
    assert completed(tmp_path / "run" / "one")["note"] == "one made 1"


def test_the_record_says_what_was_run(tmp_path, make, base):
    run_stages(make(), Recorder())
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["inputs"]["model"]["path"] == str(base) and record["inputs"]["model"]["fingerprint"][:2] == "c-"
    assert record["versions"]["python"].startswith("3.") and "torch" in record["versions"]
    two = record["stages"]["two"]
    assert two["complete"] and two["settings"] == {"value": 2} and two["seconds"] >= 0 and two["peak_gib"] >= 0
    assert two["commands"] == [[sys.executable, "-c", SCRIPT, str(tmp_path / "run" / "two"), "2", "0"]]
    # The report page reads the same record.
    shown = [(name, note) for name, _, _, note in stage_rows(tmp_path / "run")]
    assert shown == [(name, f"{name} made {value}") for name, value in (("one", 1), ("side", 3), ("two", 2))]
