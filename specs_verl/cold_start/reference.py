"""Reference log-probabilities: the initial policy's, computed once before step 1 and cached on disk.

    cache = ReferenceCache(directory, key)         # key: weights, processor, template, precision, code version
    known = cache.load()                           # {pair.key: (chosen, rejected)}
    cache.add({...})                               # written atomically

A pair's own key covers its token ids and image contents, so that one file serves any selection or order of the data;
the file's key covers everything else. Whatever is not found under the right keys is computed anew, never guessed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from omegaconf import DictConfig, OmegaConf

from data_prep.files import locked, replacing

CODE_VERSION = 1
"""Raise it when a change of this package changes log-probabilities."""

LogProbs = tuple[float, float]
"""Summed log-probabilities of (chosen, rejected)."""


def digest(value: object) -> str:
    """Hash of any JSON value."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


class ReferenceCache:
    """Log-probabilities of one reference policy, one file."""

    def __init__(self, directory: str | Path, key: str) -> None:
        self.path = Path(directory).expanduser() / f"{key}.npz"
        self.key = key

    def load(self) -> dict[bytes, LogProbs]:
        """What is known, by pair key; empty when there is no file or it cannot be read."""
        try:
            with np.load(self.path) as data:
                if str(data["key"]) != self.key:
                    return {}
                keys, values = data["pairs"], data["log_probs"]
        except (OSError, EOFError, KeyError, ValueError, BadZipFile):  # absent or damaged: it is computed again
            return {}
        return {bytes(key): (float(c), float(r)) for key, (c, r) in zip(keys, values, strict=True)}

    def add(self, entries: Mapping[bytes, LogProbs]) -> None:
        """Merge entries into the file, atomically; what another run has added meanwhile is kept."""
        with locked(self.path.parent, wait=True):
            known = {**self.load(), **entries}
            with replacing(self.path) as draft, draft.open("wb") as file:
                np.savez(
                    file,
                    key=self.key,
                    pairs=np.array([np.frombuffer(key, dtype=np.uint8) for key in known]),
                    log_probs=np.array(list(known.values()), dtype=np.float64),
                )


@dataclass(frozen=True)
class ReferencePolicy:
    """Which checkpoint is the reference, and the cache of its log-probabilities."""

    path: Path | None  # None: the initial policy, model.path
    cache: ReferenceCache

    @classmethod
    def of(cls, config: DictConfig, image_settings: str, weights: str) -> "ReferencePolicy":
        """What the config asks for; `weights` is the exact fingerprint of the reference's checkpoint.

        Token ids and images are in the key of each pair; what else moves log-probabilities is in the key of the file.
        """
        path = None if config.reference.path is None else Path(config.reference.path).expanduser()
        precision = OmegaConf.to_container(config.engine.mixed_precision, resolve=True)
        key = digest([weights, image_settings, precision, config.engine.model_dtype, CODE_VERSION])
        return cls(path, ReferenceCache(config.reference.cache_dir, key))
