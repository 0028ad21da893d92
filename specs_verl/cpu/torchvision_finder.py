"""Makes CUDA builds of torchvision, torchcodec and torchaudio importable next to a CPU build of torch.

This file is copied into the environment by torchvision_shim.py and runs at every start of its interpreter: it imports
nothing until one of the three libraries is, and stands alone, without this package. Where the libraries load, it
changes nothing.
"""

import sys

TYPE_CHECKING = False  # typing's own would be an import at every start; so would __future__, hence the quotes
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Run = Callable[[ModuleType], None]

OPERATORS = ("nms", "qnms")

_LIBRARIES: "list[Any]" = []  # torch forgets the schemas when the Library object dies


def _declare_operators_before(run_module: "Run", package_folder: str) -> "Run":
    def run(module: "ModuleType") -> None:
        import torch

        try:
            torch.ops.load_library(f"{package_folder}/_C.so")
        except OSError:
            library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in OPERATORS:
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _LIBRARIES.append(library)
        run_module(module)

    return run


def _raise_import_error(run_module: "Run", name: str) -> "Run":
    def run(module: "ModuleType") -> None:
        try:
            run_module(module)
        except OSError as error:
            raise ImportError(f"{name} is installed, but does not load with this torch: {error}") from error

    return run


class Finder:
    """Finds the three libraries where they are, and prepares their import."""

    is_torchvision_shim = True

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name not in ("torchvision", "torchcodec", "torchaudio"):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        run_module = loader.exec_module
        if name == "torchvision" and spec.submodule_search_locations:
            loader.exec_module = _declare_operators_before(run_module, spec.submodule_search_locations[0])
        else:
            loader.exec_module = _raise_import_error(run_module, name)
        return spec


def install() -> None:
    """Put the finder in place in this interpreter, once."""
    if not any(getattr(finder, "is_torchvision_shim", False) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
