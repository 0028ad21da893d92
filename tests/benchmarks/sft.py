"""Speed of the supervised stage against verl's SFT trainer and TRL's SFTTrainer, and whether their losses are the same.

    pip install -e '.[bench]'
    taskset -c 0 python tests/benchmarks/sft.py --data d112 --prompts 16 --repeats 1      # a first look, 3 minutes
    taskset -c 0 python tests/benchmarks/sft.py                                           # about 20 minutes, one core

Whole trainers, not bare loops: tokenisation, image processing, optimizer, logging; loading the model is left out. The
sides take turns in processes of their own with the same model (random Qwen2.5-VL of 44 million parameters), rows,
batches and hyper-parameters: float32, frozen tower, token-mean loss, constant learning rate, rows in file order, two
epochs. verl has no freeze for this trainer: here it is frozen by hand, to compare equal work. Besides the clock on the
wall the processor's own time is reported, which other programs on the machine disturb less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cold_start")]
from cold_start import Machine, data_sets  # noqa: E402
from cold_start_world import make_model, make_pairs  # noqa: E402
from tiny_vlm import write_pairs  # noqa: E402

LEARNING_RATE = 5e-5
BATCH = 4
SIDES = ("ours", "verl", "trl")
TIMES = ("first", "later", "first_cpu", "later_cpu")


class Clock:
    """Seconds, of the wall and of the processor, since it was made, at every mark."""

    def __init__(self) -> None:
        self._began = (time.perf_counter(), time.process_time())
        self.marks: list[tuple[float, float]] = []

    def mark(self) -> None:
        self.marks.append((time.perf_counter() - self._began[0], time.process_time() - self._began[1]))

    def per_row(self, rows: int) -> dict[str, float]:
        """Seconds per row in the first epoch and in the second; marks are the ends of steps."""
        half = len(self.marks) // 2
        (wall, cpu), (all_wall, all_cpu) = self.marks[half - 1], self.marks[-1]
        values = (wall, all_wall - wall, cpu, all_cpu - cpu)
        return {name: value / rows for name, value in zip(TIMES, values, strict=True)}


def make_conversations(pairs: Path) -> Path:
    """The prompts and chosen responses of a file of pairs, as conversations."""
    import pyarrow.parquet as pq

    file = pairs.with_name(f"{pairs.stem}-sft.parquet")
    if not file.exists():
        rows = [
            {
                "messages": [*row["prompt"], {"role": "assistant", "content": row["chosen"]}],
                "images": row["images"],
                "extra_info": row["extra_info"],
            }
            for row in pq.read_table(pairs).to_pylist()
        ]
        write_pairs(file, rows)
    return file


def run_ours(model: Path, file: Path, scratch: Path) -> tuple[Clock, list[float]]:
    from engine_setup import compose_config, one_process

    one_process()
    from specs_verl.cold_start.trainer import Trainer

    config = compose_config(
        f"model.path={model}",
        f"data.train_files={file}",
        f"trainer.default_local_dir={scratch / 'out'}",
        f"data.train_batch_size={BATCH}",
        "loss=sft",
        "loss.sft_normalization=token",
        "data.shuffle=false",
        "data.end_of_turn=template",
        "trainer.total_epochs=2",
        f"optim.lr={LEARNING_RATE}",
        "optim.lr_scheduler_type=constant",
        "optim.lr_warmup_steps_ratio=0.0",
        *Machine(gpu=False).overrides(),
    )
    clock: list[Clock] = []
    load, step = Trainer._load_pairs, Trainer._one_step

    def timed_load(self, *arguments):
        clock.append(Clock())  # from tokenisation on
        return load(self, *arguments)

    def timed_step(self):
        report = step(self)
        clock[0].mark()
        return report

    Trainer._load_pairs, Trainer._one_step = timed_load, timed_step
    Trainer(config).run()
    lines = [json.loads(line) for line in (scratch / "out" / "metrics.jsonl").read_text().splitlines()]
    return clock[0], [line["loss"] for line in lines]


def run_verl(model: Path, file: Path, scratch: Path) -> tuple[Clock, list[float]]:
    from engine_setup import one_process

    one_process()
    os.environ["LOCAL_RANK"] = "0"
    from hydra import compose, initialize_config_module
    from verl.trainer.sft_trainer import SFTTrainer
    from verl.utils import tensordict_utils as tu
    from verl.utils.distributed import initialize_global_process_group
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine
    from verl.workers.engine_workers import TrainingWorker

    from specs_verl.plugin.freeze import vision_tower

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "sft_trainer_engine",
            overrides=[
                f"model.path={model}",
                f"data.train_files={file}",
                f"data.train_batch_size={BATCH}",
                "data.micro_batch_size_per_gpu=4",
                "data.max_token_len_per_gpu=4096",
                "data.max_length=4096",
                "data.num_workers=0",
                "data.pad_mode=no_padding",
                "model.use_remove_padding=False",
                "model.enable_gradient_checkpointing=False",
                "+model.override_config.attn_implementation=sdpa",
                "engine.strategy=fsdp2",
                "engine.use_torch_compile=False",
                "+engine.mixed_precision={param_dtype:fp32,reduce_dtype:fp32,buffer_dtype:fp32}",
                f"optim.lr={LEARNING_RATE}",
                "optim.lr_scheduler_type=constant",
                "optim.weight_decay=0.0",
                "optim.lr_warmup_steps_ratio=0.0",
                "+optim.override_optimizer_config={fused:true}",
                "trainer.device=cpu",
                "trainer.total_epochs=2",
                "trainer.logger=[]",
                "trainer.resume_mode=disable",
                f"trainer.default_local_dir={scratch / 'out'}",
            ],
        )
    build, train = FSDPEngine._build_module, TrainingWorker.train_batch
    clock: list[Clock] = []
    losses: list[float] = []

    def build_frozen(self):
        module = build(self)
        vision_tower(module).requires_grad_(False)
        return module

    def timed(self, data):
        output = train(self, data)
        losses.append(float(tu.get(output, "metrics")["loss"]))
        clock[0].mark()
        return output

    FSDPEngine._build_module, TrainingWorker.train_batch = build_frozen, timed
    initialize_global_process_group()
    trainer = SFTTrainer(config)
    trainer.train_sampler.shuffle = False
    clock.append(Clock())
    trainer.fit()
    return clock[0], losses


def run_trl(model: Path, file: Path, scratch: Path) -> tuple[Clock, list[float]]:
    import pyarrow.parquet as pq
    import torch
    from datasets import Dataset, Features, Image, Sequence, Value
    from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    message = [{"role": Value("string"), "content": Value("string")}]
    features = Features({"images": Sequence(Image()), "prompt": message, "completion": message})
    rows = [
        {
            "images": row["images"],
            "prompt": [{"role": "user", "content": row["messages"][0]["content"].replace("<image>", "")}],
            "completion": [row["messages"][1]],
        }
        for row in pq.read_table(file).to_pylist()
    ]
    clock: list[Clock] = []
    losses: list[float] = []

    class Marks(TrainerCallback):
        def on_train_begin(self, *_, **__) -> None:
            clock.append(Clock())

        def on_step_end(self, *_, **__) -> None:
            clock[0].mark()

        def on_log(self, args, state, control, logs=None, **_) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    class InOrder(SFTTrainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    policy = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa")
    policy.model.visual.requires_grad_(False)
    trainer = InOrder(
        model=policy,
        args=SFTConfig(
            output_dir=str(scratch / "out"),
            per_device_train_batch_size=BATCH,
            num_train_epochs=2,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
        ),
        train_dataset=Dataset.from_list(rows, features=features),
        processing_class=AutoProcessor.from_pretrained(model),
        callbacks=[Marks()],
    )
    trainer.train()
    return clock[0], losses


def run_side(arguments: argparse.Namespace) -> None:
    """One measurement in this process; the result goes to a file."""
    import torch

    torch.set_num_threads(1)
    data = data_sets(arguments.prompts)[arguments.data[0]]
    model = make_model(arguments.folder / "model-44m")
    file = make_conversations(make_pairs(arguments.folder / f"{data.name}-{data.prompts}.parquet", model, data))
    run = {"ours": run_ours, "verl": run_verl, "trl": run_trl}[arguments.side]
    clock, losses = run(model, file, arguments.result.parent)
    arguments.result.write_text(json.dumps({**clock.per_row(data.prompts), "losses": losses}))


def measure(arguments: argparse.Namespace, name: str, side: str, repeat: int) -> dict:
    """One measurement in a process of its own."""
    scratch = arguments.folder / "runs" / f"sft-{name}-{side}-{repeat}"
    subprocess.run(["rm", "-rf", str(scratch)], check=True)
    scratch.mkdir(parents=True)
    command = [sys.executable, __file__, "--folder", str(arguments.folder), "--prompts", str(arguments.prompts)]
    command += ["--data", name, "--side", side, "--result", str(scratch / "result.json")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "VERL_PLATFORM": "cpu"}
    environment |= {"VERL_ENGINE_DEVICE": "cuda", "TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {side} failed:\n{done.stdout[-3000:]}{done.stderr[-6000:]}")
    result = json.loads((scratch / "result.json").read_text())
    print(f"  {name:7} {side:5} {result['first']:.3f} s/row first epoch, {result['later']:.3f} later", flush=True)
    return result


def report(name: str, results: dict[str, list[dict]]) -> None:
    """Print the table of one data set."""
    median = {
        side: {key: statistics.median(run[key] for run in runs) for key in TIMES} for side, runs in results.items()
    }
    for side in results:
        if side == "ours":
            continue
        ratio = {key: median[side][key] / median["ours"][key] for key in TIMES}
        difference = max(
            abs(ours - theirs)
            for ours, theirs in zip(results["ours"][0]["losses"], results[side][0]["losses"], strict=True)
        )
        print(
            f"{name}: {ratio['first']:.2f}x {side} in epoch 1, {ratio['later']:.2f}x later; by processor time "
            f"{ratio['first_cpu']:.2f}x and {ratio['later_cpu']:.2f}x; losses differ by at most {difference:.1e}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/cold_start_bench"), help="model, rows, results")
    parser.add_argument("--data", nargs="+", choices=["d112", "d448", "d448x2"], default=["d112", "d448", "d448x2"])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        run_side(arguments)
        return
    for name in arguments.data:
        results: dict[str, list[dict]] = {side: [] for side in SIDES}
        for repeat in range(arguments.repeats):
            for side in SIDES:
                results[side].append(measure(arguments, name, side, repeat))
        (arguments.folder / f"sft-{name}.json").write_text(json.dumps(results, indent=1))
        report(name, results)


if __name__ == "__main__":
    main()
