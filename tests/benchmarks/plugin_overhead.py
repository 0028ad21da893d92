"""Does the plugin slow a verl step down?  python tests/benchmarks/plugin_overhead.py [--steps 12] [--rounds 2]

The same GRPO steps on the nano world, in turn (A B A B ...):

    A  stock verl, the specs plugin, +specs=nano_grpo
    B  stock verl without plugins, the bare CPU patches (bare_cpu.py), the same settings written out in one YAML file,
       verl's naive reward manager

Prints the median seconds of a step of each and their ratio, the first three steps of each run left out (warm-up).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from data_prep import nano

HERE = Path(__file__).parent
WARM_UP = 3


def overrides(folder: Path, steps: int) -> list[str]:
    """What both runs are given on the command line."""
    return [
        f"actor_rollout_ref.model.path={nano.base_checkpoint()}",
        f"data.train_files={folder / 'data' / 'train.parquet'}",
        f"data.val_files={folder / 'data' / 'test.parquet'}",
        "data.seed=0",
        # stock verl ignores this key: with it on, only one side would train the tower
        "actor_rollout_ref.actor.freeze_vision_tower=False",
        f"trainer.total_training_steps={steps}",
        "trainer.save_freq=-1",
        f"trainer.default_local_dir={folder / 'checkpoints'}",
        f"hydra.run.dir={folder / 'hydra'}",
    ]


def step_seconds(folder: Path, name: str, arguments: list[str], environment: dict[str, str]) -> list[float]:
    """Run verl once; seconds of each step after the warm-up."""
    metrics = folder / f"{name}.jsonl"
    subprocess.run(
        [sys.executable, "-m", "verl.trainer.main_ppo", *arguments],
        env={**os.environ, **environment, "VERL_FILE_LOGGER_PATH": str(metrics)},
        stdout=(folder / f"{name}.log").open("w"),
        stderr=subprocess.STDOUT,
        check=True,
        cwd=folder,
    )
    records = [json.loads(line)["data"] for line in metrics.open()]
    return [record["timing_s/step"] for record in records[WARM_UP:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nano.write_data(folder / "data", n_train=1024, n_test=8, seed=0)
        common = overrides(folder, args.steps)
        composed = subprocess.run(
            [sys.executable, "-m", "verl.trainer.main_ppo", "+specs=nano_grpo", *common, "--cfg", "job"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=folder,
        )
        (folder / "written_out.yaml").write_text(composed.stdout)
        plugin = ["+specs=nano_grpo", *common]
        bare = [f"--config-path={folder}", "--config-name=written_out", f"hydra.run.dir={folder / 'hydra'}"]
        bare.append("reward.reward_manager.name=naive")  # verl's own; ours comes with the plugin
        without = {
            "VERL_USE_EXTERNAL_PLUGINS": "none",
            "VERL_USE_EXTERNAL_MODULES": "bare_cpu",
            "PYTHONPATH": str(HERE),
        }
        seconds: dict[str, list[float]] = {"plugin": [], "bare": []}
        for number in range(args.rounds):
            seconds["plugin"] += step_seconds(folder, f"plugin{number}", plugin, {})
            seconds["bare"] += step_seconds(folder, f"bare{number}", bare, without)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"{name:7s} median {medians[name]:.3f} s a step, {spread}, {len(values)} steps")
    print(f"ratio plugin / bare {medians['plugin'] / medians['bare']:.3f}")


if __name__ == "__main__":
    main()
