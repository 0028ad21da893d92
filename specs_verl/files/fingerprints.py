"""Identity of checkpoints and data files: same content, same fingerprint; cheap even for 15 GB.

    checkpoint_fingerprint("runs/zero/hf")               -> "c-9f0c..."
    checkpoint_fingerprint("runs/zero/hf", exact=True)   -> "c-3b71...", every byte read: 15 GB take some ten seconds
    data_fingerprint(["train.parquet"])                  -> "d-17ab..."

Small files are hashed whole. Of a large one are hashed: its size, its first and last MiB (a safetensors header, a
parquet footer) and blocks spread over it: training steps change every block of a checkpoint, so this tells
checkpoints apart; it would not notice single bytes flipped on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 1 << 20
WHOLE_UP_TO = 64 * BLOCK
BLOCKS = 48
THREADS = 8

CHECKPOINT_FILES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.txt", "*.model")
"""Weights, configurations, tokenizer and chat template; not optimizer states or logs beside them."""


def file_digest(path: Path, exact: bool = False) -> bytes:
    """Digest of one file's content, see the module's docstring for large ones."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        if exact or size <= WHOLE_UP_TO:
            while block := file.read(BLOCK):
                digest.update(block)
        else:
            digest.update(size.to_bytes(8, "little"))
            for index in range(BLOCKS):
                file.seek((size - BLOCK) * index // (BLOCKS - 1))
                digest.update(file.read(BLOCK))
    return digest.digest()


def _combined(prefix: str, parts: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(name.encode() + b"\0" + content)
    return f"{prefix}-{digest.hexdigest()[:16]}"


def checkpoint_fingerprint(directory: str | Path, exact: bool = False) -> str:
    """Fingerprint of a Hugging Face checkpoint directory; the directory's own name does not count.

    Args:
        exact: read every byte, also of large files. For what is computed from the weights and kept beyond this run,
            where a damaged or edited file must not pass for the original.
    """
    directory = Path(directory)
    files = sorted({path for pattern in CHECKPOINT_FILES for path in directory.glob(pattern) if path.is_file()})
    with ThreadPoolExecutor(THREADS) as pool:
        digests = list(pool.map(lambda path: file_digest(path, exact), files))
    return _combined("c", ((path.name, digest) for path, digest in zip(files, digests, strict=True)))


def data_fingerprint(files: Iterable[str | Path]) -> str:
    """Fingerprint of data files in their order; their names do not count."""
    return _combined("d", ((str(index), file_digest(Path(path))) for index, path in enumerate(files)))
