"""Metis-RISE and RL with Cold Start at their smallest, as one study on the nano world that is killed twice.

Not part of `make test`: four starts of verl, a quarter of an hour on two cores. As a check:

    python -m pytest -m pipelines tests/end_to_end/test_pipelines.py
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from whole_runs import SMALL_COLD_START, SMALL_RL, assert_trained, kill, overrides, shards, wait_until

from data_prep.nano import base_checkpoint
from specs_verl.pipeline.family import Family

pytestmark = [pytest.mark.pipelines, pytest.mark.timeout(3600)]

VARIABLE = "SPECS_TEST_STUDY"

STUDY = {
    "title": "Two other methods",
    "pipelines": {
        "RISE": "rise",
        "RL with Cold Start": {
            "pipeline": "rl_with_cold_start",
            # its KL term asks a reference for log-probs, too
            "settings": [overrides("grpo", (*SMALL_RL, "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=32"))],
        },
    },
    "models": ["rl", "warm-up", "final"],
    "settings": [
        "data.train=96",
        "data.test=32",
        "steps.grpo=2",
        "teacher.steps=2",
        overrides("teacher", SMALL_RL),
        overrides("grpo", SMALL_RL),
        overrides("sft", SMALL_COLD_START),
    ],
}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Iterator[Path]:
    """The folder of the study; whatever is still at work on it at the end is ended."""
    folder = tmp_path_factory.mktemp("pipelines") / "study"
    yield folder
    Family(str(folder), VARIABLE).end()


def folder(out: Path, pipeline: str, stage: str) -> Path:
    """Where a pipeline of the study has a stage; before its record is written, a place where nothing is."""
    record = out / "runs" / pipeline / "seed_0" / "run.json"
    return Path(json.loads(record.read_text())["stages"][stage]["folder"]) if record.exists() else out / "nowhere"


@pytest.fixture(scope="module")
def study(out) -> Path:
    """The finished study, after a SIGKILL while RISE routes and one while the other method's cold start trains."""
    file = out.parent / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    command = [sys.executable, "-m", "specs_verl.cli", "study", str(file), "--out", str(out)]

    def start() -> subprocess.Popen:
        with (out.parent / "output").open("ab") as output:
            environment = {**os.environ, VARIABLE: str(out)}
            return subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    process = start()
    wait_until(lambda: bool(shards(folder(out, "RISE", "routing"))), process, limit_s=1200)
    kill(process)
    sampled = shards(folder(out, "RISE", "routing"))
    process = start()
    wait_until(lambda: (folder(out, "RL with Cold Start", "sft") / "metrics.jsonl").exists(), process, limit_s=1200)
    kill(process)
    process = start()
    assert process.wait(timeout=1800) == 0, (out.parent / "output").read_text()[-5000:]
    # neither sampled nor trained again
    assert sampled.items() <= shards(folder(out, "RISE", "routing")).items()
    for stage in ("grpo", "teacher"):
        assert len(list((folder(out, "RISE", stage) / "metrics").glob("*.jsonl"))) == 1
    return out


def test_the_teacher_is_trained_once(study):
    assert folder(study, "RISE", "teacher") == folder(study, "RL with Cold Start", "teacher")
    assert folder(study, "RISE", "grpo") != folder(study, "RL with Cold Start", "grpo")


def test_rise_trains_the_rl_model_on_its_own_answers_and_the_experts(study):
    routed = pq.read_table(folder(study, "RISE", "routing") / "sft.parquet", columns=["origin", "stage", "messages"])
    origins = set(zip(routed["origin"].to_pylist(), routed["stage"].to_pylist(), strict=True))
    assert origins == {("self", 1), ("expert", 2)}
    assert_trained(base_checkpoint(), folder(study, "RISE", "grpo") / "hf")
    assert_trained(folder(study, "RISE", "grpo") / "hf", folder(study, "RISE", "sft") / "hf")


def test_rl_with_cold_start_trains_the_aligner_on_the_teachers_chains(study):
    name = "RL with Cold Start"
    chains = pq.read_table(folder(study, name, "cot") / "sft.parquet")
    assert chains.num_rows >= 8
    assert_trained(base_checkpoint(), folder(study, name, "sft") / "hf", aligner=True)
    assert_trained(folder(study, name, "sft") / "hf", folder(study, name, "grpo") / "hf")


def test_every_model_is_in_the_table(study):
    models = {"base", "RISE rl", "RISE", "RL with Cold Start warm-up", "RL with Cold Start"}
    for model in models:
        metrics = json.loads((study / "metrics" / model.replace(" ", "_") / "seed_0" / "metrics.json").read_text())
        assert metrics["sets"]["test"]["overall"]["responses"] == 32 * 8
    found = json.loads((study / "study.json").read_text())["differences"]
    assert {entry["treated"] for entry in found} | {entry["control"] for entry in found} == models
    assert "data:image/png" in (study / "report.html").read_text()
