"""Choosing the exported step by probes: which step wins, when training stops, and what a killed run does again."""

import json
import os
import shutil
from pathlib import Path

import pytest
import tiny_vlm as tiny
from engine_setup import compose_config, one_process
from safetensors.torch import load_file

from specs_verl.cold_start.best_step import BestStep
from specs_verl.errors import UserError

SCORES = {0: 0.0, 1: 0.1, 2: 0.5, 3: 0.4, 4: 0.3, 5: 0.2, 6: 0.1}


class TableProbe:
    """Answers from the table above, and remembers which weights it was shown."""

    def __init__(self, settings, out, source):
        self.settings, self.out = settings, out

    def score(self, step, checkpoint):
        assert (checkpoint / "config.json").is_file()
        with (self.out / "asked").open("a") as file:
            file.write(f"{step} ")
        if step:
            shutil.copyfile(checkpoint / "model.safetensors", self.out / f"seen_{step}")
        return {"gf": SCORES[step], "id": 0.9}


@pytest.fixture(scope="module")
def train(model_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("probing")
    tiny.write_pairs(folder / "train.parquet", tiny.rows(8))

    def run(out: Path, *overrides: str) -> list[dict]:
        from specs_verl.cold_start.trainer import Trainer

        one_process()
        config = compose_config(
            f"model.path={model_dir}", f"data.train_files={folder / 'train.parquet'}",
            f"trainer.default_local_dir={out}", f"reference.cache_dir={folder / 'cache'}", "data.train_batch_size=4",
            "data.max_token_len_per_gpu=600", "trainer.total_training_steps=6", "optim.lr=1e-3",
            f"probe.custom_cls.path={__file__}", "probe.custom_cls.name=TableProbe", "trainer.stop_by=gf",
            "probe.freq=1", *overrides,
        )  # fmt: skip
        Trainer(config).run()
        return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]

    return run


def weights(file: Path) -> dict:
    return {name: tensor.tolist() for name, tensor in load_file(file).items()}


def test_the_best_step_is_exported_and_training_stops(train, tmp_path):
    metrics = train(tmp_path, "probe.patience=2")
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]  # 3 and 4 were no better than 2
    assert [line["probe/gf"] for line in metrics] == [0.1, 0.5, 0.4, 0.3]
    assert weights(tmp_path / "hf" / "model.safetensors") == weights(tmp_path / "seen_2")
    assert weights(tmp_path / "hf" / "model.safetensors") != weights(tmp_path / "seen_4")
    assert not list(tmp_path.glob("hf_step_*"))
    lines = [json.loads(line) for line in (tmp_path / "gf.jsonl").read_text().splitlines()]
    assert [(line["step"], line["gf"], line["id"]) for line in lines] == [(n, SCORES[n], 0.9) for n in range(5)]
    assert all(line["seconds"] >= 0 for line in lines)


def test_probes_keep_to_their_steps_and_hf_freq_keeps_its_own(train, tmp_path, monkeypatch):
    from specs_verl.cold_start import checkpoint

    writes, write = [], checkpoint._write_hf

    def noted(engine, state, draft, *rest):
        writes.append(draft.name)
        write(engine, state, draft, *rest)

    monkeypatch.setattr(checkpoint, "_write_hf", noted)
    train(tmp_path, "probe.freq=4", "trainer.hf_freq=2")
    assert writes == [f".hf_step_00000{n}" for n in (2, 4, 6)], "4 was asked for by both"
    assert (tmp_path / "asked").read_text() == "0 4 6 "  # every fourth, and the last
    assert sorted(folder.name for folder in tmp_path.glob("hf_step_*")) == [f"hf_step_00000{n}" for n in (2, 4, 6)]
    assert weights(tmp_path / "hf" / "model.safetensors") == weights(tmp_path / "seen_4")


def test_a_killed_run_makes_no_probe_twice(train, tmp_path, monkeypatch):
    from specs_verl.cold_start.trainer import Trainer

    whole = Trainer._log

    def killed(self, report):
        whole(self, report)
        if report["step"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_log", killed)
        train(tmp_path, "trainer.save_freq=4")
    train(tmp_path, "trainer.save_freq=4")
    # the checkpoint is of step 4: step 5 is done and probed again, nothing before it
    assert (tmp_path / "asked").read_text() == "0 1 2 3 4 5 5 6 "
    assert weights(tmp_path / "hf" / "model.safetensors") == weights(tmp_path / "seen_2")


def test_a_finished_run_with_another_choice_is_another_run(train, tmp_path):
    for _ in range(2):
        train(tmp_path, "trainer.total_training_steps=2", "probe.freq=2")
    assert (tmp_path / "asked").read_text() == "0 2 "
    train(tmp_path, "trainer.total_training_steps=2", "trainer.stop_by=last")
    assert json.loads((tmp_path / "complete.json").read_text()).get("probe") is None
    assert not (tmp_path / "gf.jsonl").exists(), "of the run before"


def test_a_run_that_starts_anew_begins_with_nothing(train, tmp_path):
    settings = ("trainer.total_training_steps=3", "probe.freq=3", "trainer.save_freq=2")
    train(tmp_path, *settings)
    (tmp_path / "checkpoints" / "step_000002").rename(tmp_path / "checkpoints" / "step_000009")  # of a longer run
    train(tmp_path, *settings, "trainer.resume_mode=disable")
    assert (tmp_path / "asked").read_text() == "0 3 0 3 ", "the model before training is probed again"
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["step_000002"]


def test_the_last_step_is_probed_when_the_validation_ends_the_training(train, tmp_path):
    files = "data.val_files=${data.train_files}"
    early = ("trainer.test_freq=1", "trainer.early_stop_patience=1", "trainer.early_stop_min_delta=1000")
    metrics = train(tmp_path, files, *early, "probe.freq=4")
    assert len(metrics) == 2  # the second loss is no improvement of 1000 on the first
    assert (tmp_path / "asked").read_text() == "0 2 "
    assert weights(tmp_path / "hf" / "model.safetensors") == weights(tmp_path / "seen_2")


def test_a_run_that_is_killed_while_it_publishes_publishes_again(train, tmp_path, monkeypatch):
    from specs_verl.cold_start import probing

    def killed(draft, final):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(probing, "replace_folder", killed)
        train(tmp_path, "trainer.save_freq=6")
    train(tmp_path, "trainer.save_freq=6")
    assert (tmp_path / "asked").read_text() == "0 1 2 3 4 5 6 "
    assert weights(tmp_path / "hf" / "model.safetensors") == weights(tmp_path / "seen_2")
    assert not list(tmp_path.glob("hf_step_*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.stop_by=eye", "trainer.stop_by=eye: use last or gf"),
        ("probe.freq=0", "probe.freq=0"),
        ("probe.custom_cls.name=Nothing", "probe.custom_cls: Nothing of"),
    ],
)
def test_bad_settings(train, tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        train(tmp_path, override)


def test_best_step_by_hand(tmp_path):
    steps = BestStep(tmp_path, patience=2)
    assert steps.best is None and not steps.reached
    for step, score in ((0, 0.9), (5, 0.3), (10, 0.3), (15, 0.2)):
        steps.write(step, {"gf": score})
    assert steps.best == 5 and steps.reached  # step 0 is no result; of equals the first
    with pytest.raises(UserError, match="step 20 gave no finite number 'gf'"):
        steps.write(20, {"gf": float("nan")})
    with (tmp_path / "gf.jsonl").open("a") as file:
        file.write('{"step": 20, "g')
    again = BestStep(tmp_path, patience=2)
    again.restore(10, lambda step: step != 5)
    assert again.scores == {0: 0.9, 5: 0.3, 10: 0.3} and not again.reached
    assert again.best == 10  # the weights of 5 were removed for those of a step that is done again
    assert len((tmp_path / "gf.jsonl").read_text().splitlines()) == 3


def test_never_reached_without_patience(tmp_path):
    steps = BestStep(tmp_path, patience=0)
    for step in range(1, 9):
        steps.write(step, {"gf": -step})
    assert steps.best == 1 and not steps.reached
    assert os.path.getsize(tmp_path / "gf.jsonl") > 0


def test_the_probe_of_the_configuration_samples_the_exported_weights(train, model_dir, tmp_path, monkeypatch):
    """specs_verl.measure.probe, with an engine that answers every prompt right and in the asked format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    helpers = Path(__file__).parents[1] / "measure"  # answering_engine.py, for the worker processes
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(helpers), *filter(None, [os.environ.get("PYTHONPATH")])]))
    source = tmp_path / "source"
    shutil.copytree(model_dir, source)
    (source / "skill.json").write_text('{"right": 1.0, "formed": 1.0}')  # exported with every checkpoint
    row = {
        "data_source": "d",
        "prompt": [{"role": "user", "content": r"2 + 2? Use \boxed{}."}],
        "reward_model": {"ground_truth": "4"},
        "extra_info": {"id": "a", "format": "think_answer", "verifier": "number"},
    }
    pq.write_table(pa.Table.from_pylist([row] * 4), tmp_path / "id.parquet")
    train(
        tmp_path / "out", f"model.path={source}", "probe.custom_cls.path=pkg://specs_verl.measure.probe",
        "probe.custom_cls.name=GfProbe", f"probe.id_files={tmp_path / 'id.parquet'}", "probe.rows=4", "probe.freq=2",
        "probe.engine=answering_engine:AnsweringEngine", "trainer.total_training_steps=2",
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out" / "gf.jsonl").read_text().splitlines()]
    # The same answers before and after: no gain, so no factor; every response obeys.
    assert [(line["step"], line["gf"], line["id"], line["ood"]) for line in lines] == [(0, 0, 1, 1), (2, 0, 1, 1)]
    asked = pq.read_table(tmp_path / "out" / "probe" / "ood.parquet").to_pylist()
    assert len({row["extra_info"]["format"] for row in asked}) == 4
    assert (tmp_path / "out" / "hf" / "skill.json").is_file()
