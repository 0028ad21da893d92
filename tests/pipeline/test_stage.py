"""Stages: done once, resumed when killed, refused when made with other settings."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from data_prep.files import locked
from specs_verl.errors import UserError
from specs_verl.pipeline.stage import Outcome, Stage, chained_keys, completed, remove_from, run_stages


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


def stages(log, first=1, second=2, fail_second=False):
    def make(name, value, fail=False):
        def work(folder, display):
            log.append(name)
            (folder / "out.txt").write_text(str(value))
            if fail:
                raise RuntimeError("killed")
            return Outcome(f"{name} made {value}", peak_bytes=2 * 1024**3)

        return Stage(name, name.upper(), {"value": value}, work)

    return [make("one", first), make("two", second, fail_second)]


def test_runs_in_order_and_then_skips(tmp_path):
    log, display = [], Recorder()
    run_stages(stages(log), tmp_path, display)
    assert log == ["one", "two"]
    assert completed(tmp_path / "one")["peak_gib"] == 2.0
    run_stages(stages(log), tmp_path, display)
    assert log == ["one", "two"]
    assert display.events == ["start ONE", "end one made 1", "start TWO", "end two made 2", "skip ONE", "skip TWO"]


def test_a_failed_stage_is_entered_again_and_nothing_before_it(tmp_path):
    log = []
    with pytest.raises(RuntimeError):
        run_stages(stages(log, fail_second=True), tmp_path, Recorder())
    assert completed(tmp_path / "two") is None
    run_stages(stages(log), tmp_path, Recorder())
    assert log == ["one", "two", "two"]
    assert completed(tmp_path / "two") is not None


def test_until_stops_there(tmp_path):
    log = []
    run_stages(stages(log), tmp_path, Recorder(), until="one")
    assert log == ["one"]
    with pytest.raises(UserError, match="no stage 'three'"):
        run_stages(stages(log), tmp_path, Recorder(), until="three")


def test_other_settings_are_refused_and_named(tmp_path):
    run_stages(stages([]), tmp_path, Recorder())
    with pytest.raises(UserError, match=r"two was made with other settings \(value: 2 -> 5\).*--redo two"):
        run_stages(stages([], second=5), tmp_path, Recorder())


def test_a_half_done_stage_of_other_settings_is_refused_as_well(tmp_path):
    with pytest.raises(RuntimeError):
        run_stages(stages([], fail_second=True), tmp_path, Recorder())
    with pytest.raises(UserError, match="value: 2 -> 5"):
        run_stages(stages([], second=5), tmp_path, Recorder())


def test_a_change_early_on_invalidates_what_follows():
    before, after = chained_keys(stages([])), chained_keys(stages([], first=7))
    assert before[0] != after[0] and before[1] != after[1]
    later = chained_keys(stages([], second=7))
    assert before[0] == later[0] and before[1] != later[1]


def test_redo_removes_from_there_on(tmp_path):
    log = []
    run_stages(stages(log), tmp_path, Recorder())
    remove_from(stages(log), tmp_path, "two")
    assert (tmp_path / "one" / "out.txt").exists() and not (tmp_path / "two").exists()
    run_stages(stages(log, second=9), tmp_path, Recorder())
    assert log == ["one", "two", "two"]
    with pytest.raises(UserError, match="no stage 'nine'"):
        remove_from(stages(log), tmp_path, "nine")


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match="another process is writing"):
        run_stages(stages([]), tmp_path, Recorder())


def test_a_killed_process_leaves_no_marker_and_no_lock(tmp_path):
    code = """
import sys, time
from pathlib import Path
from specs_verl.pipeline.stage import Outcome, Stage, run_stages
sys.path.insert(0, sys.argv[2])
from test_stage import Recorder
def work(folder, display):
    (folder / "begun").touch()
    time.sleep(600)
run_stages([Stage("one", "ONE", {"value": 1}, work)], Path(sys.argv[1]), Recorder())
"""
    here = os.path.dirname(__file__)
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here])
    while not (tmp_path / "one" / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert completed(tmp_path / "one") is None
    run_stages(stages([])[:1], tmp_path, Recorder())
    assert completed(tmp_path / "one")["note"] == "one made 1"


def test_the_marker_says_what_it_was_made_with(tmp_path):
    run_stages(stages([]), tmp_path, Recorder())
    marker = json.loads((tmp_path / "two" / "complete.json").read_text())
    assert marker["settings"] == {"value": 2} and marker["note"] == "two made 2"
