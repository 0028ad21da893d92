"""Signals at random moments: the sampling of 800 rows on a fake engine is broken four times and comes out as unbroken.

The same by command over any stage, twenty times: rounds.py.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from specs_verl.sampling import EngineSettings, Job, SamplingParameters, sample

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "sampling")]
import rounds  # noqa: E402  a script beside this file


@pytest.fixture
def job(tmp_path, monkeypatch):
    """800 rows, four samples each; two workers, which take 8 s when each row takes 20 ms: longer than all rounds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent / 'sampling'}:{HERE.parents[1]}")
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (checkpoint / name).write_text("{}")
    rows = [{"prompt": [{"role": "user", "content": f"question {index}"}]} for index in range(800)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    engine = EngineSettings(engine="fake_engine:FakeEngine", workers=2, stall_seconds=60.0)
    parameters = SamplingParameters(n=4, seed=5)
    return Job(str(checkpoint), (str(tmp_path / "prompts.parquet"),), str(tmp_path / "out"), parameters, engine=engine)


def test_sampling_survives_signals_at_random_moments(job, tmp_path, monkeypatch):
    (tmp_path / "jobs.json").write_text(json.dumps([asdict(job)]))
    monkeypatch.setenv("FAKE_ENGINE", "slow")
    command = [sys.executable, "-m", "specs_verl.sampling", "--jobs", str(tmp_path / "jobs.json"), "--quiet"]
    assert rounds.rounds(command, count=4, longest=3.0, seed=1) == 4
    monkeypatch.delenv("FAKE_ENGINE")
    broken, whole = sample(job), sample(replace(job, out=str(tmp_path / "whole")))
    assert list(broken.samples()) == list(whole.samples())
    assert len(list(broken.samples())) == 800 * 4
