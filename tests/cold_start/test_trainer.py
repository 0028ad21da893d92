"""Whole runs in this process: what they report, write, resume and refuse."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_vlm as tiny
import torch
from engine_setup import compose_config, one_process
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from specs_verl.cold_start import trainer
from specs_verl.cold_start.__main__ import CONFIG
from specs_verl.errors import UserError
from specs_verl.progress import Steps

REPORTED = {
    "step", "loss", "sft_loss", "dpo_loss", "rewards/chosen", "rewards/rejected", "rewards/margin", "rewards/accuracy",
    "logps/chosen", "logps/rejected", "grad_norm", "lr", "pairs_per_s", "tokens_per_s", "mfu",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(model_dir, tmp_path_factory):
    """A model, 14 pairs of which two share a prompt, and a cache folder of their own."""
    folder = tmp_path_factory.mktemp("world")
    rows = [
        *tiny.rows(9),
        *(tiny.row(20 + n, images=2) for n in range(2)),
        *(tiny.row(30 + n, images=0) for n in range(2)),
    ]
    rows.append(dict(rows[3], chosen="another good one", rejected="another bad one"))
    tiny.write_pairs(folder / "train.parquet", rows)
    tiny.write_pairs(folder / "val.parquet", tiny.rows(5, pairs_seed=1))
    return folder, model_dir


@pytest.fixture
def train(world, tmp_path):
    """Run a training, return its metrics; `out` may be given to go on with an earlier one."""
    folder, model = world

    def run(*overrides: str, out: Path = tmp_path / "out") -> list[dict]:
        from specs_verl.cold_start.trainer import Trainer

        one_process()
        config = compose_config(
            f"model.path={model}",
            f"data.train_files={folder / 'train.parquet'}",
            f"trainer.default_local_dir={out}",
            f"reference.cache_dir={folder / 'cache'}",
            "data.train_batch_size=4",
            "data.max_token_len_per_gpu=600",
            "trainer.total_training_steps=6",
            "optim.lr=1e-3",
            "optim.lr_warmup_steps_ratio=0.0",
            *overrides,
        )
        Trainer(config).run()
        return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]

    run.out = tmp_path / "out"
    return run


def numbers(metrics: list[dict]) -> list[list[float]]:
    timed = ("pairs_per_s", "tokens_per_s", "mfu", "seconds")
    return [[value for name, value in sorted(line.items()) if name not in timed] for line in metrics]


def assert_same(first: list[dict], second: list[dict], tolerance: float = 1e-6) -> None:
    assert len(first) == len(second)
    for one, other in zip(numbers(first), numbers(second), strict=True):
        assert one == pytest.approx(other, rel=tolerance, abs=tolerance)


def test_a_run_reports_and_exports(train, world, monkeypatch, tmp_path):
    shares, show = [], Steps.show

    def noted(self, step, done, total, note="", share=None):
        shares.append(share)
        show(self, step, done, total, note, share)

    monkeypatch.setattr(Steps, "show", noted)
    metrics = train(f"reference.cache_dir={tmp_path / 'empty'}")
    # 14 pairs in batches of 4 make 4 forward passes, 6 steps the work of 3 each: 22 in all
    assert shares == pytest.approx([n / 22 for n in (1, 2, 3, 4, 7, 10, 13, 16, 19, 22)])
    assert metrics[0].keys() >= REPORTED
    assert [line["step"] for line in metrics] == [1, 2, 3, 4, 5, 6]
    # before the first update the policy is its own reference: rewards 0, DPO loss log 2
    assert metrics[0]["rewards/margin"] == pytest.approx(0, abs=1e-4)
    assert metrics[0]["dpo_loss"] == pytest.approx(0.693147, abs=1e-5)
    assert metrics[0]["loss"] == pytest.approx(metrics[0]["dpo_loss"] + metrics[0]["sft_loss"], rel=1e-6)
    assert metrics[-1]["loss"] < metrics[0]["loss"]

    source, result = world[1], train.out / "hf"
    before, after = (load_file(folder / "model.safetensors") for folder in (source, result))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == name.startswith("visual."), name
    AutoModelForImageTextToText.from_pretrained(result)
    assert AutoProcessor.from_pretrained(result).chat_template == AutoProcessor.from_pretrained(source).chat_template
    assert (result / "generation_config.json").read_text() == (source / "generation_config.json").read_text()
    assert {file.name for file in result.iterdir()} == {file.name for file in Path(source).iterdir()}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.0, 0.5, 1.0, 0.8535534, 0.5, 0.1464466]),  # (1 + cos(pi * k / 4)) / 2
    ],
)
def test_learning_rate_schedules(train, schedule, expected):
    settings = (f"optim.lr_scheduler_type={schedule}", "optim.lr_warmup_steps_ratio=0.34", "optim.lr=1e-3")
    assert [line["lr"] / 1e-3 for line in train(*settings)] == pytest.approx(expected, abs=1e-6)


def test_a_finished_run_is_not_repeated(train, capsys):
    train()
    changed = (train.out / "hf" / "model.safetensors").stat().st_mtime_ns
    train()
    assert "nothing to do" in capsys.readouterr().out
    assert (train.out / "hf" / "model.safetensors").stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    "form",
    [
        ["data.shared_prefix=false"],
        ["data.max_token_len_per_gpu=100000"],
        ["model.head_chunk_tokens=10"],
        ["engine.param_offload=true", "engine.optimizer_offload=true"],  # sharded by FSDP2, which one process is not
    ],
    ids=["plain rows", "one row", "head in pieces", "offload"],
)
def test_the_form_of_the_computation_does_not_change_the_numbers(train, form, tmp_path):
    assert_same(train(), train(*form, out=tmp_path / "other"), tolerance=2e-5)


def test_mixed_precision_is_close_to_float32(train, tmp_path):
    exact = train("trainer.total_training_steps=3", "optim.lr=1e-4")
    bf16 = ["engine.mixed_precision.param_dtype=bf16", "model.enable_gradient_checkpointing=true"]
    rounded = train("trainer.total_training_steps=3", "optim.lr=1e-4", *bf16, out=tmp_path / "bf16")
    for one, other in zip(exact, rounded, strict=True):
        assert one["loss"] != other["loss"]
        assert one["loss"] == pytest.approx(other["loss"], rel=0.01)


def test_a_data_set_class_of_ones_own(train, tmp_path):
    (tmp_path / "every_other.py").write_text(
        "from specs_verl.cold_start.preference_dataset import PreferenceDataset\n"
        "class EveryOther(PreferenceDataset):\n"
        "    def __init__(self, *arguments, **named):\n"
        "        super().__init__(*arguments, **named)\n"
        "        self.pairs = self.pairs[::2]\n"
    )
    own = [f"data.custom_cls.path={tmp_path / 'every_other.py'}", "data.custom_cls.name=EveryOther"]
    # 14 pairs; of these 7, in batches of 4: 2 steps per epoch instead of 4
    assert len(train(*own, "trainer.total_training_steps=null")) == 2


def steps_done(monkeypatch) -> list[int]:
    """The numbers of the steps that trainers do from now on."""
    from specs_verl.cold_start.trainer import Trainer

    done: list[int] = []
    one_step = Trainer._one_step

    def counted(self):
        values = one_step(self)
        done.append(self.step)
        return values

    monkeypatch.setattr(Trainer, "_one_step", counted)
    return done


def test_a_resumed_run_is_the_uninterrupted_run(train, tmp_path, monkeypatch):
    straight = train("trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")
    # as a kill after step 5 would leave it: checkpoints of steps 2 and 4, metrics up to 5, no result
    broken = tmp_path / "broken"
    shutil.copytree(train.out, broken)
    shutil.rmtree(broken / "hf")
    (broken / "complete.json").unlink()
    shutil.rmtree(broken / "checkpoints" / "step_000006")
    (broken / "checkpoints" / ".step_000006").mkdir()
    lines = (broken / "metrics.jsonl").read_text().splitlines(keepends=True)
    (broken / "metrics.jsonl").write_text("".join(lines[:5]) + lines[5][:20])
    done = steps_done(monkeypatch)
    resumed = train("trainer.save_freq=2", "trainer.max_ckpt_to_keep=null", out=broken)
    assert done == [5, 6], "steps 1 to 4 are in the checkpoint"
    assert numbers(resumed) == numbers(straight)
    ends = [load_file(folder / "hf" / "model.safetensors") for folder in (train.out, broken)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_checkpoint_of_another_run_is_refused(train):
    train("trainer.save_freq=2")
    (train.out / "complete.json").unlink()
    with pytest.raises(UserError, match=r"step_000006 belongs to a run with another loss"):
        train("trainer.save_freq=2", "loss.beta=0.3")


def test_references_are_computed_once(train, world, monkeypatch, tmp_path):
    from specs_verl.cold_start.engine import PairEngine

    first = train()
    monkeypatch.setattr(PairEngine, "reference_log_probs", lambda *_: pytest.fail("computed again"))
    swept = train("loss.beta=0.5", "loss.sft_weight=0.5", out=tmp_path / "sweep")
    assert swept[0]["logps/chosen"] == pytest.approx(first[0]["logps/chosen"], rel=1e-6)


def test_a_killed_reference_pass_goes_on_where_it_was(train, monkeypatch, tmp_path):
    from specs_verl.cold_start import reference_pass
    from specs_verl.cold_start.engine import PairEngine

    compute, calls = PairEngine.reference_log_probs, []

    def killed_in_the_third_batch(self, rows):
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(self, rows)

    own = f"reference.cache_dir={tmp_path / 'references'}"
    monkeypatch.setattr(reference_pass, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(PairEngine, "reference_log_probs", killed_in_the_third_batch)
    with pytest.raises(KeyboardInterrupt):
        train(own)
    resumed = train(own)
    assert len(calls) == 3 + 2, "14 pairs in batches of 4: two of four were done"
    monkeypatch.undo()
    assert_same(resumed, train(out=tmp_path / "straight"))


def test_an_image_that_cannot_be_decoded_is_named(train, tmp_path):
    rows = tiny.rows(5)
    cut = rows[3]["images"][0]["bytes"]
    rows[3]["images"][0]["bytes"] = cut[: len(cut) // 2]  # its header, and with it its size, can still be read
    file = tiny.write_pairs(tmp_path / "cut.parquet", rows)
    with pytest.raises(UserError, match=r"cut\.parquet, row 3: image 0 cannot be decoded \(.*truncated"):
        train(f"data.train_files={file}")


def test_another_reference_policy(train, world, tmp_path, monkeypatch):
    build, built = trainer.build_worker, []
    monkeypatch.setattr(trainer, "build_worker", lambda *args: built.append(args) or build(*args))
    other = tiny.make_model(tmp_path / "other_model", seed=1)
    first = train(f"reference.path={other}", "model.vision_cache_gib=0")[0]  # its features go to the disk
    assert abs(first["rewards/chosen"]) > 1e-2
    assert not (train.out / ".vision").exists(), "features of both towers are gone"
    assert len(built) == 2
    again = train(f"reference.path={other}", out=tmp_path / "again")[0]
    assert again["rewards/chosen"] == pytest.approx(first["rewards/chosen"], rel=1e-6)
    assert len(built) == 3, "all log-probabilities are known: the reference is not loaded again"
    # beta * (log pi - log pi_ref), whose first term is that of any run on these weights
    itself = train()[0]
    assert first["logps/chosen"] == pytest.approx(itself["logps/chosen"], rel=1e-6)
    assert abs(itself["rewards/chosen"]) < 1e-4, "another reference makes another run, also in the same folder"


def test_validation_and_early_stop(train, world):
    metrics = train(
        f"data.val_files={world[0] / 'val.parquet'}",
        "trainer.test_freq=1",
        "trainer.early_stop_patience=2",
        "trainer.early_stop_min_delta=1000",
    )
    assert len(metrics) == 3  # the first value is an improvement on nothing, the next two are none
    assert metrics[0]["val/loss"] == pytest.approx(metrics[0]["val/dpo_loss"] + metrics[0]["val/sft_loss"], rel=1e-6)
    assert (train.out / "hf" / "config.json").is_file()


def test_hugging_face_checkpoints_on_the_way(train):
    train("trainer.hf_freq=2")
    for name in ("hf_step_000002", "hf_step_000004"):
        AutoModelForImageTextToText.from_pretrained(train.out / name)
    assert not (train.out / "hf_step_000006").exists()


def test_a_frozen_tower_is_not_rounded_where_the_configuration_names_another_type(train, world, tmp_path):
    # as verl saves a model after RL: weights in float32, and a configuration that says bfloat16
    source = tmp_path / "rl"
    shutil.copytree(world[1], source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    train(f"model.path={source}", "trainer.total_training_steps=1")
    before, after = (load_file(folder / "model.safetensors") for folder in (source, train.out / "hf"))
    assert (
        {tensor.dtype for tensor in after.values()} == {tensor.dtype for tensor in before.values()} == {torch.float32}
    )
    assert all(torch.equal(before[name], after[name]) for name in before if "visual" in name)
    train(f"model.path={source}", "trainer.total_training_steps=1", "trainer.hf_dtype=bfloat16", out=tmp_path / "half")
    assert load_file(tmp_path / "half" / "hf" / "model.safetensors")["lm_head.weight"].dtype == torch.bfloat16


LORA = ("model.lora_rank=4", "model.lora_alpha=8")


def test_lora_is_merged_into_the_export(train, world):
    metrics = train(*LORA, "trainer.save_freq=3")
    assert metrics[0]["dpo_loss"] == pytest.approx(0.693147, abs=1e-5)
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    before, after = (load_file(folder / "model.safetensors") for folder in (world[1], train.out / "hf"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("_proj" in name and "visual" not in name for name in changed)


def test_lora_export_computes_what_the_adapter_computed(train, world, tmp_path):
    # one more run from the export: its policy before the first step is the one that was exported
    validation = (f"data.val_files={world[0] / 'val.parquet'}", "trainer.test_freq=6")
    trained = train(*LORA, *validation)[-1]
    again = train(f"model.path={train.out / 'hf'}", *validation, "optim.lr=0", out=tmp_path / "again")[-1]
    assert again["val/logps/chosen"] == pytest.approx(trained["val/logps/chosen"], rel=1e-5)


def test_the_reference_of_lora_is_the_model_without_adapter(train, world, tmp_path, monkeypatch):
    # the cache is empty and the run is resumed: the references must not be those of the adapted model
    saving = (*LORA, "trainer.save_freq=3", "trainer.max_ckpt_to_keep=null")
    straight = train(*saving)
    (train.out / "complete.json").unlink()
    shutil.rmtree(train.out / "checkpoints" / "step_000006")
    done = steps_done(monkeypatch)
    resumed = train(*saving, f"reference.cache_dir={tmp_path / 'empty'}")
    assert done == [4, 5, 6]
    assert numbers(resumed) == numbers(straight)


@pytest.mark.parametrize("loss", sorted(file.stem for file in (CONFIG / "loss").glob("*.yaml")))
def test_every_loss_trains(train, loss):
    metrics = train(f"loss={loss}", "trainer.total_training_steps=3", "optim.lr=1e-4")
    assert metrics[-1]["loss"] < metrics[0]["loss"]


def test_a_loss_that_is_not_finite_stops_the_run(train):
    with pytest.raises(UserError, match=r"Step \d: the (loss|gradient norm) is .*train.parquet, row \d+"):
        train("optim.lr=1e30")
    assert not (train.out / "hf").exists()


def test_a_damaged_initial_policy_is_named(train, tmp_path, world):
    broken = tmp_path / "broken_model"
    shutil.copytree(world[1], broken)
    from safetensors.torch import save_file

    weights = load_file(broken / "model.safetensors")
    weights["lm_head.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="reference policy gives log-probabilities that are not finite"):
        train(f"model.path={broken}")


def test_a_full_disk_keeps_what_is_there(train, monkeypatch):
    from specs_verl.cold_start.engine import PairEngine

    saving = ("trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")
    train(*saving)
    (train.out / "complete.json").unlink()
    for step in (4, 6):
        shutil.rmtree(train.out / "checkpoints" / f"step_00000{step}")

    def no_space(self, folder, **_):
        (Path(folder) / "model_world_size_1_rank_0.pt").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PairEngine, "save_checkpoint", no_space)
    with pytest.raises(UserError, match=r"No space left on device.*continues from .*step_000002"):
        train(*saving)
    assert [file.name for file in (train.out / "checkpoints").iterdir()] == ["step_000002"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.beta=-1", "loss.beta"),
        ("data.too_long=cut", "data.too_long"),
        ("trainer.resume_mode=never", "trainer.resume_mode"),
        ("trainer.early_stop_patience=1", "trainer.early_stop_patience"),
        ("data.val_files=${data.train_files} trainer.early_stop_patience=1", "early_stop_patience .*test_freq"),
        ("trainer.hf_dtype=bf16", "trainer.hf_dtype=bf16: use float32, bfloat16, float16 or null"),
        ("data.drop_last=true", "do not fill one batch"),
        ("engine.strategy=fsdp", "needs a GPU"),
        ("data.custom_cls={path:pkg://specs_verl.cold_start.table,name:Nothing}", "data.custom_cls: Nothing of pkg"),
    ],
)
def test_bad_settings(train, override, message):
    with pytest.raises(UserError, match=message):
        train(*override.split(), "data.train_batch_size=100")
