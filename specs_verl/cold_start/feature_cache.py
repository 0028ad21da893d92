"""Vision features of images: in memory up to a bound, beyond it on disk up to another, beyond that not kept.

    cache = FeatureCache(memory_bytes=2**31, folder=out / ".vision", disk_bytes=2**36)
    cache.put(key, features)
    cache.get(key)                   # None when it has to be computed

What was used longest ago leaves memory first. Files are written under a draft name and renamed, so that processes may
share the folder; its name must say which tower made the features (engine.py sees to that).
"""

import os
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

Features = tuple[Tensor, tuple[Tensor, ...]]
"""(features of one image (tokens, hidden), its deep-stack features, one (tokens, hidden) per layer)."""


class FeatureCache:
    """Keeps features on the CPU or in files."""

    def __init__(self, memory_bytes: int, folder: Path | None = None, disk_bytes: int = 0) -> None:
        self._memory_left, self._disk_left = memory_bytes, disk_bytes
        self.folder = folder
        self._entries: OrderedDict[bytes, Features] = OrderedDict()

    def holds(self, key: bytes) -> bool:
        """Whether `get` would find it."""
        file = self._file(key)
        return key in self._entries or (file is not None and file.exists())

    def get(self, key: bytes) -> Features | None:
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        file = self._file(key)
        if file is None or not file.exists():
            return None
        features, *deep = torch.load(file, weights_only=True)
        return features, tuple(deep)

    def put(self, key: bytes, entry: Features) -> None:
        kept = (entry[0].to("cpu", copy=True), tuple(layer.to("cpu", copy=True) for layer in entry[1]))
        self._entries[key] = kept
        self._memory_left -= _bytes(kept)
        while self._memory_left < 0:
            oldest, dropped = self._entries.popitem(last=False)
            self._memory_left += _bytes(dropped)
            self._write(oldest, dropped)

    def _file(self, key: bytes) -> Path | None:
        return None if self.folder is None else self.folder / f"{key.hex()}.pt"

    def _write(self, key: bytes, entry: Features) -> None:
        file, size = self._file(key), _bytes(entry)
        if file is None or file.exists() or size > self._disk_left:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        torch.save([entry[0], *entry[1]], draft)
        os.replace(draft, file)
        self._disk_left -= size


def _bytes(entry: Features) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (entry[0], *entry[1]))
