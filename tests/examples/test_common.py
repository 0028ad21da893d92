"""The recipe scripts say to `specs run` what their user said; a stand-in for `specs` writes down its arguments."""

import os
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def calls(tmp_path):
    """Runs a script; returns the arguments of each `specs run`."""
    stand_in = tmp_path / "bin" / "specs"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/usr/bin/env bash\n[[ "$1" != run ]] || echo "$@"\n')
    stand_in.chmod(0o755)

    def called(script: str, *arguments: str, **environment: str) -> list[str]:
        done = subprocess.run(
            ["bash", str(EXAMPLES / script), *arguments],
            env={"PATH": f"{stand_in.parent}:{os.environ['PATH']}", "OUT": "runs/here", **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return called


def test_every_call_has_the_settings(calls):
    lines = calls("qwen2_5_vl_7b/5_evaluate.sh", "evaluation.samples=64", WORLD="qwen2_5_vl_3b", SEED="3", DATA="/d")
    begin = "run specs --out runs/here --seed 3 --only"
    end = "world=qwen2_5_vl_3b data.train=/d/train.parquet data.test=/d/test.parquet evaluation.samples=64"
    assert lines == [f"{begin} {stage} {end}" for stage in ("evaluation", "gf", "report")]


def test_a_stage_is_done_anew_once_and_not_deleted_by_the_calls_after_it(calls):
    lines = calls("qwen2_5_vl_7b/5_evaluate.sh", "--redo", "evaluation", "gf.rows=16", NANO="1")
    assert ["--redo evaluation" in line for line in lines] == [True, False, False]
    assert all(line.endswith("gf.rows=16") for line in lines)


def test_a_trailing_redo_is_left_to_specs(calls):
    assert all(line.endswith("--redo") for line in calls("qwen2_5_vl_7b/1_zero.sh", "--redo", NANO="1"))
