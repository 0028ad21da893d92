"""What a run leaves behind, checkpoints included: complete under its name, or not there."""

import json

import pytest
from engine_setup import compose_config
from omegaconf import OmegaConf

from specs_verl.cold_start import checkpoint
from specs_verl.cold_start import run_folder as runs
from specs_verl.cold_start.early_stop import EarlyStop
from specs_verl.errors import UserError


def make_checkpoint(out, step: int, complete: bool = True):
    folder = out / checkpoint.FOLDER / f"step_{step:06d}"
    folder.mkdir(parents=True)
    if complete:
        state = {"step": step, "processes": 1, "identity": {}, "early_stop": {"best": None, "waited": 0}}
        (folder / checkpoint.STATE).write_text(json.dumps(state))
    return folder


def test_latest_is_the_newest_complete_checkpoint(tmp_path):
    assert checkpoint.latest(tmp_path) is None
    make_checkpoint(tmp_path, 5)
    newest = make_checkpoint(tmp_path, 10)
    make_checkpoint(tmp_path, 15, complete=False)
    (tmp_path / checkpoint.FOLDER / ".step_000020").mkdir()
    assert checkpoint.latest(tmp_path) == newest


@pytest.mark.parametrize("damaged", ["", '{"step": 1', "[]", "{}", '{"step": 10, "processes": 1}'])
def test_a_damaged_state_is_named_and_the_older_checkpoint_taken(tmp_path, damaged, capsys):
    older, newer = make_checkpoint(tmp_path, 5), make_checkpoint(tmp_path, 10)
    (newer / checkpoint.STATE).write_text(damaged)
    assert checkpoint.latest(tmp_path) == older
    said = capsys.readouterr().err
    assert "step_000010: not a cold-start checkpoint, or a damaged one" in said and "Going on from an older one" in said
    (older / checkpoint.STATE).write_text("")
    assert checkpoint.latest(tmp_path) is None


@pytest.mark.parametrize("error", [EOFError("Ran out of input"), RuntimeError("PytorchStreamReader failed\nmore")])
def test_damaged_weights_are_named(tmp_path, monkeypatch, error):
    class Engine:
        def load_checkpoint(self, folder, del_local_after_load):
            raise error

    monkeypatch.setattr(checkpoint.dist, "get_world_size", lambda: 1)
    with pytest.raises(UserError, match=r"step_000005: damaged, it cannot be loaded .*Remove it"):
        checkpoint.load(Engine(), make_checkpoint(tmp_path, 5), {"processes": 1})


@pytest.mark.parametrize(("keep", "left"), [(1, [30]), (2, [20, 30]), (None, [10, 20, 30])])
def test_prune_keeps_the_newest(tmp_path, keep, left):
    for step in (10, 20, 30):
        make_checkpoint(tmp_path, step)
    (tmp_path / checkpoint.FOLDER / ".step_000040").mkdir()
    checkpoint.prune(tmp_path, 30, keep)
    assert sorted(f.name for f in (tmp_path / checkpoint.FOLDER).iterdir()) == [f"step_{step:06d}" for step in left]


@pytest.mark.parametrize(("keep", "left"), [(1, [20]), (2, [10, 20]), (None, [10, 20])])
def test_steps_of_a_course_that_was_left_push_out_none_of_this_one(tmp_path, keep, left):
    for step in (10, 20, 30, 40):  # 20 was saved last, after a start at step 10 again
        make_checkpoint(tmp_path, step, complete=step != 40)
    checkpoint.prune(tmp_path, 20, keep)
    assert sorted(f.name for f in (tmp_path / checkpoint.FOLDER).iterdir()) == [f"step_{step:06d}" for step in left]


def test_replace_folder_takes_the_place_of_an_older_one(tmp_path):
    for name, text in ((".hf", "new"), ("hf", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    checkpoint.replace_folder(tmp_path / ".hf", tmp_path / "hf")
    assert (tmp_path / "hf" / "file").read_text() == "new"
    assert [f.name for f in tmp_path.iterdir()] == ["hf"]


def test_a_folder_that_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="not a cold-start checkpoint"):
        checkpoint.read_state(tmp_path)


def test_metrics_of_steps_to_be_repeated_are_dropped(tmp_path):
    lines = [json.dumps({"step": step}) for step in (1, 2, 3)]
    (tmp_path / runs.METRICS).write_text("\n".join(lines) + '\n{"step": 4, "lo')
    runs.keep_metrics_up_to(tmp_path, 2)
    assert (tmp_path / runs.METRICS).read_text() == lines[0] + "\n" + lines[1] + "\n"


def test_complete_only_for_the_same_run_with_its_result(tmp_path):
    run = {"weights": "abc", "loss": {"beta": 0.1}}
    assert not runs.is_complete(tmp_path, run, None)
    runs.mark_complete(tmp_path, run, None)
    assert not runs.is_complete(tmp_path, run, None), "OUT/hf is missing"
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text("{}")
    assert runs.is_complete(tmp_path, run, None)
    assert not runs.is_complete(tmp_path, {**run, "loss": {"beta": 0.2}}, None)
    assert not runs.is_complete(tmp_path, run, "bfloat16"), "the same weights, otherwise saved"


def test_differences_are_named():
    assert runs.differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b", "c"]


@pytest.fixture(scope="module")
def plain():
    """The settings of a run that says nothing of its own."""
    return compose_config("model.path=none", "data.train_files=none", "trainer.default_local_dir=none")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("data.drop_last=true", ["data.drop_last"]),
        ("trainer.hf_dtype=bfloat16", []),  # of the last step: a finished training is exported anew, not done again
        ("trainer.hf_dtype=bfloat16 trainer.stop_by=gf", ["probe", "trainer.hf_dtype"]),
        ("data.max_pixels=50176", []),  # in the fingerprint of the data
        ("probe.rows=2", []),
    ],
)
def test_settings_that_make_another_run(plain, override, named):
    other = OmegaConf.merge(plain, OmegaConf.from_dotlist(override.split()))
    found = runs.differences(runs.identity(plain, {"weights": "a"}, 6), runs.identity(other, {"weights": "a"}, 6))
    assert found == named


def test_early_stop_waits_for_an_improvement():
    stop = EarlyStop(patience=2, min_delta=0.1)
    for loss, reached in ((1.0, False), (0.95, False), (0.8, False), (0.79, False), (0.81, True)):
        stop.see(loss)
        assert stop.reached is reached
    other = EarlyStop(patience=2, min_delta=0.1)
    other.restore(json.loads(json.dumps(stop.state())))
    assert (other.best, other.waited, other.reached) == (0.8, 2, True)


def test_no_patience_never_stops():
    stop = EarlyStop(patience=0, min_delta=0.0)
    for _ in range(5):
        stop.see(1.0)
    assert not stop.reached
