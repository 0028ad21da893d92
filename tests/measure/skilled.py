"""Checkpoints for the engine of answering_engine.py, and prompts that ask for the trained format."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from specs_verl.sampling import EngineSettings

ENGINE = EngineSettings(engine="answering_engine:AnsweringEngine", workers=1)
INSTRUCTION = r" Put the answer in \boxed{}."


def checkpoint(folder: Path, right: float, formed: float) -> str:
    """A directory that passes for a checkpoint, with the shares of right and of well-formed responses."""
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).write_text(f"{right} {formed}")
    (folder / "config.json").write_text('{"vocab_size": 100}')
    (folder / "skill.json").write_text(json.dumps({"right": right, "formed": formed}))
    return str(folder)


def with_instruction(file: Path) -> Path:
    """The same prompts, each with an instruction that can be replaced."""
    rows = pq.read_table(file).to_pylist()
    for row in rows:
        row["prompt"][0]["content"] += INSTRUCTION
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file
