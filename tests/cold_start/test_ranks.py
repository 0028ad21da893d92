"""The recipes for GPUs with their own settings (bf16, checkpointing, resharding) on two processes of a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_vlm as tiny
from engine_setup import compose_config, one_process
from test_conversations import conversation
from transformers import AutoConfig, Qwen2_5_VLConfig

from specs_verl.estimate.training import ModelShape, Setup, estimate

HERE = Path(__file__).parent
COMPARED = ("loss", "nll", "grad_norm", "lr")
OF_PAIRS = ("loss", "sft_loss", "dpo_loss", "rewards/chosen", "rewards/margin", "rewards/accuracy", "grad_norm", "lr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """11 conversations, 10 pairs with 12 images, and these with three pairs that have none."""
    folder = tmp_path_factory.mktemp("ranks")
    tiny.write_pairs(folder / "sft.parquet", [conversation(n, images=n % 3, turns=1 + n % 2) for n in range(11)])
    rows = [*tiny.rows(8), *(tiny.row(20 + n, images=2) for n in range(2))]
    tiny.write_pairs(folder / "pairs.parquet", rows)
    tiny.write_pairs(folder / "mixed.parquet", [*rows, *(tiny.row(30 + n, images=0) for n in range(3))])
    return folder


def overrides(folder, model_dir, name: str, recipe: str, data: str, *more: str) -> list[str]:
    return [
        f"+specs=qwen2_5_vl_7b_{recipe}",
        f"model.path={model_dir}",
        f"data.train_files={folder / data}",
        f"trainer.default_local_dir={folder / name}",
        f"reference.cache_dir={folder / name}/references",
        "data.train_batch_size=5",
        "data.max_token_len_per_gpu=300",
        "optim.lr=1e-3",
        "model.enable_gradient_checkpointing=true",
        "trainer.total_epochs=2",
        *more,
    ]


FLOAT32 = ("engine.mixed_precision.param_dtype=fp32",)
BF16 = ("engine.mixed_precision.param_dtype=bf16", "trainer.save_freq=2", "trainer.max_ckpt_to_keep=null")
SFT = ("rl_with_cold_start_sft", "sft.parquet")
DPO = ("cold_start", "pairs.parquet")

TRAINING = ("model.freeze_vision_tower=false", "model.freeze_aligner=false")
TOWER = ("cold_start", "mixed.parquet", *FLOAT32, *TRAINING, "data.max_token_len_per_gpu=200", "trainer.total_epochs=1")


@pytest.fixture(scope="module")
def two(folder, model_dir):
    """What two processes did in several runs."""
    runs = {
        "exact": (*SFT, *FLOAT32),
        "bf16": (*SFT, *BF16),
        "pairs": (*DPO, *BF16[:1], "model.vision_cache_gib=0"),
        "kept": (*DPO, *BF16[:1], "engine.use_no_sync_for_gradient_accumulation=true"),
        "tower": TOWER,
    }
    plan = [
        {"name": name, "overrides": overrides(folder, model_dir, name, *settings)} for name, settings in runs.items()
    ]
    plan.insert(2, {"name": "resumed", "overrides": plan[1]["overrides"], "unfinished": True})
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(HERE / "ranks.py"), str(folder / "plan.json"), str(folder / "result.json")]
    left_out = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((folder / "result.json").read_text())


def numbers(run: dict, names: tuple[str, ...] = COMPARED) -> list[list[float]]:
    return [[line[name] for name in names] for line in run["metrics"]]


def alone(folder, model_dir, name: str, *settings: str) -> dict:
    """The same run on one process."""
    from specs_verl.cold_start.trainer import Trainer

    one_process()
    Trainer(compose_config(*overrides(folder, model_dir, name, *settings))).run()
    return {"metrics": [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]}


def test_a_training_aligner_on_two_processes_is_that_of_one(two, folder, model_dir):
    run = alone(folder, model_dir, "alone", *SFT, *FLOAT32)
    assert len(run["metrics"]) == 6
    for one, other in zip(numbers(run), numbers(two["exact"]), strict=True):
        assert other == pytest.approx(one, rel=2e-5, abs=2e-5)


def test_a_training_tower_on_two_processes_is_that_of_one(two, folder, model_dir):
    # a sharded tower must run on both processes even when only one of them has an image
    run = alone(folder, model_dir, "tower_alone", *TOWER)
    assert len(run["metrics"]) == 3
    for one, other in zip(numbers(run, OF_PAIRS), numbers(two["tower"], OF_PAIRS), strict=True):
        assert other == pytest.approx(one, rel=2e-5, abs=2e-5)


def test_bf16_is_near_and_a_resumed_run_is_the_same(two):
    for exact, rounded in zip(numbers(two["exact"]), numbers(two["bf16"]), strict=True):
        assert rounded != exact and rounded[0] == pytest.approx(exact[0], rel=0.02)
    assert numbers(two["resumed"]) == numbers(two["bf16"])


def test_an_image_goes_through_the_tower_once_whoever_meets_it(two):
    # 8 rows with one image and 2 with two; memory for none, two epochs and a reference pass
    assert sum(process["images"] for process in two["pairs"]["processes"]) == 12


def test_estimated_memory_is_what_is_there(two, model_dir):
    config = AutoConfig.from_pretrained(model_dir)
    for name, no_sync, frozen in (("pairs", False, True), ("kept", True, True), ("exact", False, False)):
        expected = estimate(
            ModelShape.of(config, freeze_aligner=frozen), Setup(processes=2, row_tokens=300, no_sync=no_sync)
        )
        for process in two[name]["processes"]:
            found = process["memory"]
            for part in ("weights", "Adam's two moments", "frozen vision half"):
                assert found[part] == pytest.approx(expected[part], rel=0.02), (name, part)
            if no_sync:
                assert found["unsharded gradients"] == pytest.approx(expected["unsharded gradients"], rel=0.02)
            else:
                assert found["unsharded gradients"] == 0
                assert found["gradients"] == pytest.approx(expected["gradients"], rel=0.02)


def test_the_parameters_of_a_7b_model_are_counted():
    # Qwen2.5-VL-7B: 8,292,166,656 parameters, of which 676,550,144 in the vision half
    text = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28}
    text |= {"num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    shape = ModelShape.of(config)
    assert (shape.trained, shape.whole) == (8_292_166_656 - 676_550_144, 676_550_144)
    parts = estimate(shape, Setup(processes=8, row_tokens=16384))
    # 4 bytes each of 7,615,616,512 / 8 weights, gradients and twice for Adam: 15.2 GB; the tower whole: 2.7 GB
    assert sum(parts[name] for name in ("weights", "gradients", "Adam's two moments")) == 16 * 7_615_616_512 // 8
    assert sum(parts.values()) < 60 * 2**30, "leaves a quarter of 80 GB to what is not counted"
    kept = estimate(shape, Setup(processes=8, row_tokens=16384, no_sync=True))
    assert sum(kept.values()) - sum(parts.values()) == 4 * 7_615_616_512


def test_a_full_disk_on_one_process_is_what_is_said(folder, model_dir, tmp_path):
    (tmp_path / "full.py").write_text(
        "import os\n"
        "from specs_verl.cold_start.engine import PairEngine\n"
        "from specs_verl.cold_start.preference_dataset import PreferenceDataset as Full\n"
        "if os.environ['RANK'] == '1':\n"
        "    def no_space(self, folder, **_):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    PairEngine.save_checkpoint = no_space\n"
    )
    own = [f"data.custom_cls.path={tmp_path / 'full.py'}", "data.custom_cls.name=Full", "trainer.save_freq=1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "specs_verl.cold_start", *overrides(folder, model_dir, "full", *DPO, *own)]
    left_out = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("cold start, process")]
    assert any("process 1 of 2" in line and "No space left on device" in line for line in said), done.stderr[-3000:]
    assert not any("Parent directory" in line for line in said)
