"""A sampling job on a fake engine that is long enough to be disturbed."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specs_verl.sampling import EngineSettings, Job, SamplingParameters

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "sampling")]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """800 rows, four samples each; two workers, which take 8 s when each row takes 20 ms: longer than all rounds."""
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
