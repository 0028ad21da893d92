"""Do two checkpoints differ in their weights' values alone? Then an engine that holds one can take the other's.

    shape_fingerprint("runs/cold_start/hf_step_000005") == shape_fingerprint("runs/cold_start/hf")

Compared are configuration, tokenizer, processor and chat template, and name, type and shape of every tensor; the
weights themselves are not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open

from data_prep.files import read_json
from specs_verl.files.checkpoints import INDEX
from specs_verl.files.fingerprints import CHECKPOINT_FILES, file_digest

DTYPE_KEYS = ("dtype", "torch_dtype")
FLOATS = ("F64", "F32", "F16", "BF16")


def shape_fingerprint(directory: str | Path, dtype_matters: bool = True) -> str | None:
    """Fingerprint of everything but the weights' values; None where the weights are not in safetensors files.

    Args:
        directory: a Hugging Face checkpoint.
        dtype_matters: whether it counts which floating type the weights have: not where the engine is told one.
    """
    folder = Path(directory)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or any(folder.glob("*.bin")):
        return None
    digest = hashlib.sha256()
    for path in sorted({path for pattern in CHECKPOINT_FILES for path in folder.glob(pattern) if path.is_file()}):
        if path in weights or path.name == INDEX:
            continue
        digest.update(path.name.encode() + b"\0")
        if path.name == "config.json" and not dtype_matters:
            digest.update(json.dumps(_without_dtypes(read_json(path)), sort_keys=True).encode())
        else:
            digest.update(file_digest(path))
    tensors = []
    for path in weights:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118  # not a mapping
                tensor = file.get_slice(name)
                dtype = tensor.get_dtype()
                tensors.append([name, dtype if dtype_matters or dtype not in FLOATS else "float", tensor.get_shape()])
    digest.update(json.dumps(sorted(tensors)).encode())
    return digest.hexdigest()[:16]


def floating_types(directory: str | Path) -> set[str]:
    """The floating types of the weights, of FLOATS; none where they are not in safetensors files."""
    found = set()
    for path in sorted(Path(directory).glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # not a mapping
    return found & set(FLOATS)


def _without_dtypes(config: object) -> object:
    if not isinstance(config, Mapping):
        return config
    return {name: _without_dtypes(value) for name, value in config.items() if name not in DTYPE_KEYS}
