"""Where a run starts, and what an earlier one leaves to it."""

import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from test_runs import make_checkpoint

from specs_verl.cold_start import run_folder as runs
from specs_verl.cold_start.start import claim, find_start
from specs_verl.errors import UserError

THIS, OTHER = {"weights": "a"}, {"weights": "b"}
KEPT = {"complete.json", "metrics.jsonl", "begun.json"}


def settings(mode: str, path: Path | None = None):
    return OmegaConf.create({"resume_mode": mode, "resume_from_path": None if path is None else str(path)})


def leave(out: Path, identity: dict) -> None:
    """A folder as a run leaves it: checkpoints, exported steps, probes."""
    out.mkdir(exist_ok=True)
    claim(out, identity, anew=False)
    make_checkpoint(out, 40)
    for file in ("gf.jsonl", "probe/ood.parquet", "hf_step_000020/config.json", "metrics.jsonl", "complete.json"):
        (out / file).parent.mkdir(exist_ok=True)
        (out / file).write_text("{}")


@pytest.mark.parametrize(
    ("before", "now", "anew", "left"),
    [
        (THIS, THIS, False, {"checkpoints", "gf.jsonl", "probe", "hf_step_000020"}),
        (THIS, THIS, True, set()),
        (OTHER, THIS, True, set()),
    ],
)
def test_what_a_run_finds_of_an_earlier_one(tmp_path, before, now, anew, left):
    leave(tmp_path, before)
    claim(tmp_path, now, anew)
    assert {path.name for path in tmp_path.iterdir()} == left | KEPT
    assert runs.is_begun(tmp_path, now)


def test_the_start_is_what_the_settings_ask_for(tmp_path):
    assert find_start(settings("auto"), tmp_path, {}) is None
    first, last = make_checkpoint(tmp_path, 20), make_checkpoint(tmp_path, 40)
    assert find_start(settings("auto"), tmp_path, {}).folder == last
    assert find_start(settings("disable"), tmp_path, {}) is None
    start = find_start(settings("resume_path", first), tmp_path / "elsewhere", {})
    assert (start.folder, start.state["step"]) == (first, 20)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("never", "trainer.resume_mode=never: use auto, disable or resume_path"),
        ("resume_path", "set trainer.resume_from_path"),
        ("auto", r"step_000020 belongs to a run with another weights\."),
    ],
)
def test_a_start_that_cannot_be(tmp_path, mode, message):
    make_checkpoint(tmp_path, 20)
    with pytest.raises(UserError, match=message):
        find_start(settings(mode), tmp_path, THIS)


def test_the_weights_that_a_run_starts_from_are_not_deleted(tmp_path):
    leave(tmp_path, OTHER)
    with pytest.raises(UserError, match="hf_step_000020: the run starts from these weights"):
        claim(tmp_path, THIS, anew=True, sources=[tmp_path / "." / "hf_step_000020"])
    assert (tmp_path / "checkpoints").is_dir() and runs.is_begun(tmp_path, OTHER)


def test_steps_of_another_run_do_not_pass_for_those_of_this_one(tmp_path):
    leave(tmp_path, OTHER)
    with pytest.raises(UserError, match="hf_step_000020 was exported by a run with other settings"):
        claim(tmp_path, THIS, anew=False)
    assert (tmp_path / "gf.jsonl").exists() and runs.is_begun(tmp_path, OTHER)
    shutil.rmtree(tmp_path / "hf_step_000020")
    claim(tmp_path, THIS, anew=False)
    assert not (tmp_path / "gf.jsonl").exists() and runs.is_begun(tmp_path, THIS)
