"""Vision features of images: in memory up to a bound, beyond it on disk up to another, beyond that not kept.

    cache = FeatureCache(memory_bytes=2**31, folder=out / ".vision", disk_bytes=2**36, shared=True)
    cache.put(key, features)
    cache.get(key)                   # None when it has to be computed

What was used longest ago leaves memory first. Processes share the folder: with `shared`, features are written at once,
because which process meets an image again depends on the batch it lies in. Files are written under a draft name and
renamed; the folder's name must say which tower made them (engine.py sees to that).
"""

import contextlib
import shutil
from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from data_prep.files import replacing
from specs_verl.errors import UserError

Features = tuple[Tensor, tuple[Tensor, ...]]
"""(features of one image (tokens, hidden), its deep-stack features, one (tokens, hidden) per layer)."""


RESERVE_BYTES = 4 * 2**30
"""Of the disk, left free for checkpoints and whatever else wants to be written."""


class FeatureCache:
    """Keeps features on the CPU or in files."""

    def __init__(
        self, memory_bytes: int, folder: Path | None = None, disk_bytes: int = 0, shared: bool = False
    ) -> None:
        """
        Args:
            disk_bytes: that this process may write. Nothing is written to a disk that is nearly full.
            shared: write everything, not only what memory has no room for.
        """
        self._memory_left, self._disk_left = memory_bytes, disk_bytes
        self._shared = shared
        self.folder = folder
        self._entries: OrderedDict[bytes, Features] = OrderedDict()

    def holds(self, key: bytes) -> bool:
        """Whether `get` would find it."""
        file = self._file(key)
        return key in self._entries or (file is not None and file.exists())

    def get(self, key: bytes) -> Features | None:
        """The features of an image; None where they have to be computed."""
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        file = self._file(key)
        if file is None or not file.exists():
            return None
        try:
            features, *deep = torch.load(file, weights_only=True)
        except (OSError, EOFError, RuntimeError, UnpicklingError) as error:  # damaged, or deleted meanwhile
            print(f"cold start: {file} cannot be read ({error}); computed again.", flush=True)
            file.unlink(missing_ok=True)
            return None
        return features, tuple(deep)

    def put(self, key: bytes, entry: Features) -> None:
        kept = (entry[0].to("cpu", copy=True), tuple(layer.to("cpu", copy=True) for layer in entry[1]))
        self._entries[key] = kept
        if self._shared:
            self._write(key, kept)
        self._memory_left -= _bytes(kept)
        while self._memory_left < 0:
            oldest, dropped = self._entries.popitem(last=False)
            self._memory_left += _bytes(dropped)
            self._write(oldest, dropped)

    def delete(self) -> None:
        """Delete the files, those of other processes too."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # somebody else's features lie beside it, or nothing was ever written
                self.folder.parent.rmdir()

    def _file(self, key: bytes) -> Path | None:
        return None if self.folder is None else self.folder / f"{key.hex()}.pt"

    def _write(self, key: bytes, entry: Features) -> None:
        file, size = self._file(key), _bytes(entry)
        if file is None or file.exists() or size > self._disk_left:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(file.parent).free < 2 * size + RESERVE_BYTES:
                raise OSError("the disk is nearly full")
            with replacing(file, durable=False) as draft:
                torch.save([entry[0], *entry[1]], draft)
        except (OSError, RuntimeError, UserError) as error:  # a cache is no reason to stop: it is computed again
            print(f"cold start: vision features are no longer written to {file.parent} ({error}).", flush=True)
            self._disk_left = 0
            return
        self._disk_left -= size


def _bytes(entry: Features) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (entry[0], *entry[1]))
