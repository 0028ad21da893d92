"""The recipe scripts of the 7B user, on the nano world, at their smallest: real verl, real vLLM, real FSDP.

Every stage is killed once on the way and called again. The tests run in the order of the stages and share one folder.
Of the two stages of GRPO, which differ in the model that they start from, one is run: the last. The base, which gets a
third of its answers right and a third well formed, stands in for zero.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor
from whole_runs import SMALL_COLD_START, SMALL_RL, assert_trained, kill, overrides, shards, wait_until

from data_prep.nano import base_checkpoint
from specs_verl.cli import main
from specs_verl.pipeline.family import Family

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]

SCRIPTS = Path(__file__).parents[2] / "examples" / "qwen2_5_vl_7b"
N_TRAIN, N_TEST = 96, 32
ZERO = f"pairs.zero={base_checkpoint()}"


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Iterator[Path]:
    """The folder of the run; whatever is still at work on it at the end is ended."""
    folder = tmp_path_factory.mktemp("scripts") / "run"
    data = ["--only", "data", "world=nano", f"data.train={N_TRAIN}", f"data.test={N_TEST}"]
    assert main(["run", "specs", "--out", str(folder), *data]) == 0
    yield folder
    Family(str(folder), "OUT").end()


def start(script: str, out: Path, *arguments: str) -> subprocess.Popen:
    """Start a script as a user would, in a session of its own."""
    environment = {
        **os.environ,
        "NANO": "1",
        "OUT": str(out),
        "N_TRAIN": str(N_TRAIN),
        "N_TEST": str(N_TEST),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    out.mkdir(parents=True, exist_ok=True)
    output = (out / f"{script}.out").open("ab")
    command = ["bash", str(SCRIPTS / script), *arguments]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True)


def finish(script: str, out: Path, *arguments: str) -> None:
    """Run a script to its end; its output is shown when it fails."""
    process = start(script, out, *arguments)
    code = process.wait(timeout=600)
    assert code == 0, (out / f"{script}.out").read_text()[-5000:]


def processes_of(out: Path) -> list[psutil.Process]:
    """What the scripts have started with this OUT, whatever has become of its parents; nothing of anybody else's."""
    return Family(str(out), "OUT").members()


def engine_cores(out: Path) -> list[psutil.Process]:
    found = []
    for process in processes_of(out):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith("VLLM::EngineCor"):
                found.append(process)
    return found


def open_to_others(out: Path) -> set[str]:
    """Names of the processes of a run that listen on another address than loopback, each with that address."""
    found = set()
    for process in processes_of(out):
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections(kind="inet"):
                address = connection.laddr.ip.removeprefix("::ffff:") if connection.laddr else "127.0.0.1"
                if connection.status == psutil.CONN_LISTEN and address not in ("127.0.0.1", "::1"):
                    found.add(f"{process.name()} {address}")
    return found


def step_of(checkpoints: Path) -> int:
    """Number of the newest complete checkpoint of a verl run, 0 without one."""
    tracker = checkpoints / "latest_checkpointed_iteration.txt"
    return int(tracker.read_text()) if tracker.exists() else 0


def attempts(stage: Path) -> list[list[dict]]:
    """Metrics of each attempt of a GRPO stage, oldest first."""
    return [[json.loads(line) for line in file.open()] for file in sorted((stage / "metrics").glob("*.jsonl"))]


def assert_usable(before: Path, after: Path) -> None:
    """transformers loads the checkpoint, and prompts are written as before."""
    model = AutoModelForImageTextToText.from_pretrained(after)
    processor = AutoProcessor.from_pretrained(after)
    assert model.config.model_type == "qwen2_5_vl"
    assert processor.tokenizer.chat_template == AutoProcessor.from_pretrained(before).tokenizer.chat_template


def assert_rollouts_agree_with_training(stage: Path) -> None:
    """vLLM and FSDP give the same probabilities: the weights in vLLM are those of the policy, at every step."""
    for attempt in attempts(stage):
        for record in attempt:
            assert record["data"]["training/rollout_actor_probs_pearson_corr"] > 0.99


def test_distill_continues_after_a_kill(out):
    process = start("2_distill.sh", out, ZERO)
    wait_until(lambda: bool(shards(out / "pairs")), process)
    kill(process)
    kept = shards(out / "pairs")
    assert not (out / "pairs" / "report.json").exists()
    finish("2_distill.sh", out, ZERO)
    assert kept.items() <= shards(out / "pairs").items()  # not sampled again
    report = json.loads((out / "pairs" / "report.json").read_text())
    assert report["pairs"] >= 16


def test_cold_start_continues_after_a_kill(out):
    metrics = out / "cold_start" / "metrics.jsonl"
    checkpoints = out / "cold_start" / "checkpoints"
    process = start("3_cold_start.sh", out, overrides("cold_start", SMALL_COLD_START))
    wait_until(lambda: metrics.exists() and any(checkpoints.glob("step_*")), process)
    kill(process)
    first = metrics.read_text().splitlines()[0]
    assert not (out / "cold_start" / "hf").exists()
    finish("3_cold_start.sh", out, overrides("cold_start", SMALL_COLD_START))
    steps = [json.loads(line)["step"] for line in metrics.open()]
    assert steps == list(range(1, len(steps) + 1))
    # not trained again: the record holds the seconds that the step took
    assert metrics.read_text().splitlines()[0] == first and "seconds" in json.loads(first)
    assert_trained(base_checkpoint(), out / "cold_start" / "hf")
    assert_usable(base_checkpoint(), out / "cold_start" / "hf")


def test_grpo_from_the_warm_up_model_survives_the_death_of_its_vllm_engine(out):
    settings = ("grpo.steps=3", overrides("grpo", SMALL_RL))
    process = start("4_grpo.sh", out, *settings)
    # a step's metrics are written after its checkpoint
    wait_until(lambda: any(attempts(out / "grpo")) and engine_cores(out), process)
    # The store of torch.distributed apart, which torch binds to all interfaces, nothing can be reached from outside.
    opened = open_to_others(out)
    stores = ("ray::WorkerDict", "VLLM::EngineCore")
    assert all(name.startswith(stores) and name.endswith(" ::") for name in opened), opened
    for engine in engine_cores(out):
        engine.kill()
    # Stock verl would wait for the engine for ever; the watch ends the run and what it has started.
    assert process.wait(timeout=120) != 0
    assert engine_cores(out) == []
    assert 1 <= step_of(out / "grpo" / "checkpoints") < 3

    finish("4_grpo.sh", out, *settings)
    first, second = attempts(out / "grpo")
    assert (out / "grpo" / "last" / "global_step_3").is_dir()
    # the second attempt went on where the first had saved
    assert first[0]["step"] == 1 and second[0]["step"] > 1 and second[-1]["step"] == 3
    assert_trained(out / "cold_start" / "hf", out / "grpo" / "hf")
    assert_usable(out / "cold_start" / "hf", out / "grpo" / "hf")
    assert_rollouts_agree_with_training(out / "grpo")


def test_evaluation_continues_after_a_kill_and_reports(out):
    settings = ("gf.rows=16", "evaluation.models.zero=null")
    process = start("5_evaluate.sh", out, *settings)
    wait_until(lambda: (out / "evaluation" / "base" / "metrics.json").exists(), process)
    kill(process)
    kept = shards(out / "evaluation")
    assert kept
    finish("5_evaluate.sh", out, *settings)
    assert kept.items() <= shards(out / "evaluation").items()  # not sampled again
    for model in ("base", "warm-up", "final"):
        metrics = json.loads((out / "evaluation" / model / "metrics.json").read_text())
        assert metrics["sets"]["test"]["overall"]["responses"] == 32 * 8
    curves = json.loads((out / "gf" / "gf.json").read_text())["curves"]
    assert {curve["definition"] for curve in curves} == {"compliance", "right"}
    assert all(len(curve["steps"]) >= 2 and curve["steps"][0] == 0 for curve in curves)
    page = (out / "report" / "report.html").read_text()
    assert "warm-up" in page and "data:image/png" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_a_stage_without_the_one_before_says_so(tmp_path):
    process = start("2_distill.sh", tmp_path / "empty")
    assert process.wait(timeout=120) == 2
    assert "Stage pairs needs data, which is not complete" in (tmp_path / "empty" / "2_distill.sh.out").read_text()
