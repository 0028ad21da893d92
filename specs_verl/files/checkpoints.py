"""Whether a directory is a complete Hugging Face checkpoint; the one check before anything expensive starts.

check_checkpoint("runs/zero/hf")                     # UserError: what is missing, and what to do
check_checkpoint(path, said_by="model.path")         # the message ends with: Set model.path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.files import read_json
from specs_verl.errors import UserError

INDEX = "model.safetensors.index.json"


def check_checkpoint(directory: str | Path, said_by: str | None = None, tokenizer: bool = True) -> dict[str, Any]:
    """Refuse a directory that is no complete checkpoint; returns its config.json.

    Args:
        directory: the checkpoint.
        said_by: setting that named it, for the message.
        tokenizer: whether one must be there.
    """
    path = Path(directory).expanduser()
    advice = "" if said_by is None else f" Set {said_by}."
    if path.is_file():
        raise UserError(f"{path} is a file; a checkpoint is a directory with config.json and weights.{advice}")
    if not path.is_dir():
        raise UserError(
            f"{path}: no such checkpoint directory. Give the directory of a Hugging Face checkpoint.{advice}"
        )
    if not (path / "config.json").is_file():
        raise UserError(
            f"{path}: no config.json there, so it is no Hugging Face checkpoint (verl's own is in actor/huggingface)."
            f"{advice}"
        )
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise UserError(f"{path}: no weights there (*.safetensors or *.bin). Was it saved completely?{advice}")
    if (path / INDEX).is_file():
        named = read_json(path / INDEX)["weight_map"].values()
        if missing := sorted({name for name in named if not (path / name).is_file()}):
            raise UserError(f"{path}: {', '.join(missing)} of the checkpoint are missing. Download or copy it again.")
    if tokenizer and not (path / "tokenizer.json").is_file() and not (path / "tokenizer_config.json").is_file():
        raise UserError(
            f"{path}: no tokenizer there. Copy the tokenizer and processor files of the base model into it."
        )
    config = read_json(path / "config.json")
    if not isinstance(config, dict):
        raise UserError(f"{path / 'config.json'}: must hold an object.{advice}")
    return config
