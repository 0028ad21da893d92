"""Speed of the cold-start trainer against TRL's DPOTrainer, and whether both compute the same losses.

    pip install -e '.[bench]'
    taskset -c 0 python tests/benchmarks/cold_start.py --folder /tmp/cold_start_bench     # about 20 minutes, one core
    python tests/benchmarks/cold_start.py --data d112 --repeats 1                         # a first look, 2 minutes
    python tests/benchmarks/cold_start.py --size 3b --prompts 64                          # one GPU of 80 GB, bf16

Whole trainers, not bare loops: tokenisation, image processing, reference log-probabilities, optimizer, logging. The
sides take turns in processes of their own, with the same model, pairs, batches and hyper-parameters (float32, frozen
tower, DPO + token-mean SFT, constant learning rate, data in file order). `trl-compact` is TRL with its LM head on
completion rows only, which it does on GPUs by itself and is forced to do on the CPU. Loading the model is left out on
every side. Besides the clock on the wall the processor's own time is reported, which other programs on the machine
disturb less. With --size 3b the model has the shape of Qwen2.5-VL-3B-Instruct: float32 weights, bf16 computation,
gradient checkpointing and flash-attn (where installed) on both sides; peak GPU memory is reported as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cold_start")]
from cold_start_world import SIZES, DataSet, make_model, make_pairs  # noqa: E402

LEARNING_RATE, BETA = 5e-5, 0.1


def data_sets(prompts: int) -> dict[str, DataSet]:
    """What is measured, by name; `p4` has four pairs per prompt."""
    return {
        "d448": DataSet("d448", image=448, images=1, prompts=prompts),
        "d112": DataSet("d112", image=112, images=1, prompts=prompts),
        "d448x2": DataSet("d448x2", image=448, images=2, prompts=prompts),
        "d448p4": DataSet("d448p4", image=448, images=1, prompts=prompts // 2, pairs_per_prompt=4),
        "g896": DataSet("g896", image=896, images=1, prompts=prompts, chosen=480, rejected=400),
    }


TIMES = ("first", "later", "first_cpu", "later_cpu")
GOALS = {"d448": (2.5, 4.0), "d112": (1.8, 2.5), "d448x2": (3.0, 5.0), "d448p4": (4.0, 6.0), "g896": (2.0, 2.0)}
"""Wanted ratio to stock TRL in the first epoch, reference pass included, and in later ones."""


@dataclass(frozen=True)
class Machine:
    """What differs between a core and a GPU."""

    gpu: bool

    @property
    def pairs_per_step(self) -> int:
        return 8 if self.gpu else 2

    @property
    def attention(self) -> str:
        return "flash_attention_2" if self.gpu and find_spec("flash_attn") else "sdpa"

    def overrides(self) -> list[str]:
        """Settings of our trainer beyond those of every run."""
        if not self.gpu:
            return ["data.max_token_len_per_gpu=4096", "data.image_workers=0"]
        precision = ["engine.mixed_precision.param_dtype=bf16", "model.enable_gradient_checkpointing=true"]
        return [*precision, "data.max_token_len_per_gpu=16384"]

    def prepare(self) -> None:
        import torch

        if not self.gpu:
            torch.set_num_threads(1)

    def synchronize(self) -> None:
        import torch

        if self.gpu:
            torch.cuda.synchronize()

    def peak_memory(self) -> float:
        """GiB of GPU memory at most in use."""
        import torch

        return torch.cuda.max_memory_allocated() / 2**30 if self.gpu else 0.0


def run_ours(model: Path, pairs: Path, data: DataSet, scratch: Path, machine: Machine, extra: list[str]) -> dict:
    """Two epochs of our trainer: the second has references and vision features at hand."""
    from engine_setup import compose_config, one_process

    one_process()
    from specs_verl.cold_start.engine import PairEngine
    from specs_verl.cold_start.flops import measured_gemm_rate
    from specs_verl.cold_start.trainer import Trainer

    spent: dict[str, list[float]] = {}
    processor_time: dict[str, list[float]] = {}

    def timed(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def measured(*arguments, **keywords):
            machine.synchronize()
            started, processor = time.perf_counter(), time.process_time()
            try:
                return original(*arguments, **keywords)
            finally:
                machine.synchronize()
                spent.setdefault(name, []).append(time.perf_counter() - started)
                processor_time.setdefault(name, []).append(time.process_time() - processor)

        setattr(owner, name, measured)

    import torch

    for owner, name in (
        (Trainer, "_load_pairs"),
        (Trainer, "_reference"),
        (Trainer, "_one_step"),
        (PairEngine, "branch_log_probs"),
        (PairEngine, "optimizer_step"),
        (torch.Tensor, "backward"),
    ):
        timed(owner, name)
    batch = max(machine.pairs_per_step, data.pairs_per_prompt)
    config = compose_config(
        f"model.path={model}",
        f"data.train_files={pairs}",
        f"trainer.default_local_dir={scratch / 'out'}",
        f"reference.cache_dir={scratch / 'cache'}",
        f"data.train_batch_size={batch}",
        "data.shuffle=false",
        "data.end_of_turn=template",
        "trainer.total_epochs=2",
        f"loss.beta={BETA}",
        "loss.sft_normalization=token",
        f"optim.lr={LEARNING_RATE}",
        "optim.lr_scheduler_type=constant",
        "optim.lr_warmup_steps_ratio=0.0",
        *machine.overrides(),
        *extra,
    )
    machine.prepare()
    gemm = None if machine.gpu else measured_gemm_rate(1.0)
    Trainer(config).run()
    lines = [json.loads(line) for line in (scratch / "out" / "metrics.jsonl").read_text().splitlines()]
    steps = len(lines) // 2
    count = data.prompts * data.pairs_per_prompt

    def per_pair(times: dict[str, list[float]]) -> tuple[float, float]:
        """Seconds per pair in the first and in the second epoch."""
        preparation = sum(times["_load_pairs"]) + sum(times["_reference"])
        return (preparation + sum(times["_one_step"][:steps])) / count, sum(times["_one_step"][steps:]) / count

    reference_rows = len(spent["branch_log_probs"]) - len(spent["backward"])
    computing = sum(spent["branch_log_probs"][reference_rows:]) + sum(spent["backward"]) + sum(spent["optimizer_step"])
    policy = sum(spent["branch_log_probs"][reference_rows:]) + sum(spent["backward"])
    operations = sum(line["mfu"] * line["seconds"] for line in lines)  # in units of the trainer's own peak
    return {
        **dict(zip(("first", "later"), per_pair(spent), strict=True)),
        **dict(zip(("first_cpu", "later_cpu"), per_pair(processor_time), strict=True)),
        "losses": [line["loss"] for line in lines[:steps]],
        "overhead": 1 - computing / sum(spent["_one_step"]),
        "gemm_share": operations * PEAK["value"] / policy / (gemm or PEAK["value"]),
        "memory": machine.peak_memory(),
        "parts": {name: sum(values) / count for name, values in spent.items()},
    }


PEAK = {"value": 0.0}
"""Filled by `remember_peak`: what the trainer took as the device's best rate, in operations per second."""


def remember_peak() -> None:
    from specs_verl.cold_start import trainer

    measure = trainer.peak_flops

    def remembered() -> float:
        PEAK["value"] = measure()
        return PEAK["value"]

    trainer.peak_flops = remembered


def run_trl(model: Path, pairs: Path, data: DataSet, scratch: Path, machine: Machine, compact: bool) -> dict:
    """One epoch of TRL's trainer; all its epochs cost the same."""
    import pyarrow.parquet as pq
    import torch
    from datasets import Dataset, Features, Image, Sequence, Value
    from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback
    from trl import DPOConfig, DPOTrainer
    from trl.trainer import utils

    machine.prepare()
    if compact:
        utils._use_triton = lambda device: sys._getframe(1).f_code.co_name == "_fused_forward"
    message = [{"role": Value("string"), "content": Value("string")}]
    features = Features({"images": Sequence(Image()), "prompt": message, "chosen": message, "rejected": message})
    rows = [
        {
            "images": row["images"],
            "prompt": [{"role": "user", "content": row["prompt"][0]["content"].replace("<image>", "")}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in pq.read_table(pairs).to_pylist()
    ]

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.losses, self.seconds = [], 0.0

        def on_train_begin(self, *_, **__) -> None:
            machine.synchronize()
            self.began, self.processor = time.perf_counter(), time.process_time()

        def on_train_end(self, *_, **__) -> None:
            machine.synchronize()
            self.seconds = time.perf_counter() - self.began
            self.processor = time.process_time() - self.processor

        def on_log(self, args, state, control, logs=None, **_) -> None:
            if "loss" in logs:
                self.losses.append(logs["loss"])

    class InOrder(DPOTrainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    policy = AutoModelForImageTextToText.from_pretrained(
        model, dtype=torch.float32, attn_implementation=machine.attention
    )
    policy.model.visual.requires_grad_(False)
    clock = Clock()
    trainer = InOrder(
        model=policy,
        args=DPOConfig(
            output_dir=str(scratch / "out"),
            per_device_train_batch_size=max(machine.pairs_per_step, data.pairs_per_prompt),
            num_train_epochs=1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            beta=BETA,
            loss_type=["sigmoid", "sft"],
            max_length=None,
            gradient_checkpointing=machine.gpu,
            bf16=machine.gpu,
            use_cpu=not machine.gpu,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_num_workers=0,
        ),
        train_dataset=Dataset.from_list(rows, features=features),
        processing_class=AutoProcessor.from_pretrained(model),
        callbacks=[clock],
    )
    trainer.train()
    wall, processor = clock.seconds / len(rows), clock.processor / len(rows)
    times = {"first": wall, "later": wall, "first_cpu": processor, "later_cpu": processor}
    return {**times, "losses": clock.losses, "memory": machine.peak_memory()}


def run_side(arguments: argparse.Namespace) -> None:
    """One measurement in this process; the result goes to a file."""
    data = data_sets(arguments.prompts)[arguments.data[0]]
    machine = Machine(gpu=arguments.size == "3b")
    model = make_model(arguments.folder / f"model-{arguments.size}", arguments.size)
    pairs = make_pairs(arguments.folder / f"{data.name}-{data.prompts}.parquet", model, data)
    scratch = arguments.result.parent
    if arguments.side.startswith("ours"):
        remember_peak()
        plain = ["data.shared_prefix=false"] if arguments.side == "ours-plain" else []
        result = run_ours(model, pairs, data, scratch, machine, plain)
    else:
        result = run_trl(model, pairs, data, scratch, machine, compact=arguments.side == "trl-compact")
    arguments.result.write_text(json.dumps(result))


def measure(arguments: argparse.Namespace, name: str, side: str, repeat: int) -> dict:
    """One measurement in a process of its own."""
    scratch = arguments.folder / "runs" / f"{name}-{side}-{repeat}"
    subprocess.run(["rm", "-rf", str(scratch)], check=True)
    scratch.mkdir(parents=True)
    command = [sys.executable, __file__, "--folder", str(arguments.folder), "--prompts", str(arguments.prompts)]
    command += ["--data", name, "--side", side, "--size", arguments.size, "--result", str(scratch / "result.json")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if arguments.size == "44m":
        environment |= {"OMP_NUM_THREADS": "1", "VERL_PLATFORM": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {side} failed:\n{done.stdout}{done.stderr}")
    result = json.loads((scratch / "result.json").read_text())
    print(f"  {name:7} {side:12} {result['first']:.3f} s/pair first epoch, {result['later']:.3f} later", flush=True)
    return result


def report(name: str, results: dict[str, list[dict]]) -> bool:
    """Print the table of one data set; True when its goals are reached."""
    median = {
        side: {key: statistics.median(run[key] for run in runs) for key in TIMES} for side, runs in results.items()
    }
    ours, stock = results["ours"][0], results["trl"][0]
    steps = min(len(ours["losses"]), len(stock["losses"]))
    difference = max(abs(a - b) for a, b in zip(ours["losses"][:steps], stock["losses"][:steps], strict=True))
    first, later = (median["trl"][key] / median["ours"][key] for key in ("first", "later"))
    goal = GOALS[name]
    processor = [median["trl"][key] / median["ours"][key] for key in ("first_cpu", "later_cpu")]
    print(f"{name}: {first:.2f}x stock TRL in epoch 1 (goal {goal[0]}), {later:.2f}x later (goal {goal[1]})")
    print(f"  by processor time {processor[0]:.2f}x and {processor[1]:.2f}x")
    for side in median:
        if side not in ("ours", "trl"):
            other = [median[side][key] / median["ours"][key] for key in ("first", "later")]
            print(f"  {other[0]:.2f}x {side} in epoch 1, {other[1]:.2f}x later")
    print(
        f"  losses of {steps} steps differ by at most {difference:.1e}; trainer overhead {ours['overhead']:.1%}; "
        f"policy step at {ours['gemm_share']:.0%} of the measured GEMM rate"
    )
    if ours["memory"]:
        print("  peak memory " + ", ".join(f"{side} {runs[0]['memory']:.1f} GiB" for side, runs in results.items()))
    # bf16 rounds at other places in packed rows
    return first >= goal[0] and later >= goal[1] and (difference < 1e-4 or name == "g896") and ours["overhead"] < 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/cold_start_bench"), help="model, pairs, results")
    parser.add_argument("--size", choices=list(SIZES), default="44m", help="44m on one core, 3b on a GPU")
    parser.add_argument("--data", nargs="+", choices=list(GOALS), help="default: all d... for 44m, g896 for 3b")
    parser.add_argument("--sides", nargs="+", help="ours, ours-plain, trl, trl-compact; default: all but ours-plain")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.sides = arguments.sides or ["ours", "trl", "trl-compact"][: 2 if arguments.size == "3b" else 3]
    arguments.data = arguments.data or [name for name in GOALS if name.startswith("g") == (arguments.size == "3b")]
    if arguments.side:
        run_side(arguments)
        return
    reached = []
    for name in arguments.data:
        results: dict[str, list[dict]] = {side: [] for side in arguments.sides}
        for repeat in range(arguments.repeats):
            for side in arguments.sides:
                results[side].append(measure(arguments, name, side, repeat))
        (arguments.folder / f"{name}.json").write_text(json.dumps(results, indent=1))
        reached.append(report(name, results))
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
