"""A directory that passes for a checkpoint, small prompt files, and jobs on the fake engine."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from specs_verl.sampling import EngineSettings, Job, SamplingParameters


@pytest.fixture
def checkpoint(tmp_path):
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (directory / name).write_text("{}")
    return directory


@pytest.fixture
def prompts(tmp_path):
    """200 rows in two files with small row groups; row 17 is broken."""
    rows = [
        {
            "prompt": [{"role": "user", "content": "broken" if i == 17 else f"question {i}"}],
            "extra_info": {"id": f"q{i}"},
        }
        for i in range(200)
    ]
    paths = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:90]), paths[0], row_group_size=25)
    pq.write_table(pa.Table.from_pylist(rows[90:]), paths[1], row_group_size=1000)
    return tuple(map(str, paths))


@pytest.fixture
def make_job(tmp_path, checkpoint, prompts, monkeypatch):
    """A job on the fake engine: 200 rows, 16 samples each, shards of 32 rows."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

    def make(out="out", engine="FakeEngine", stall_seconds=30.0, workers=2, **parameters):
        settings = EngineSettings(engine=f"fake_engine:{engine}", workers=workers, stall_seconds=stall_seconds)
        values = SamplingParameters(**{"n": 16, "seed": 5, **parameters})
        return Job(str(checkpoint), prompts, str(tmp_path / out), values, engine=settings)

    return make
