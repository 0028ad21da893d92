"""Makes CUDA builds of torchvision, torchcodec and torchaudio importable next to a CPU build of torch.

This file is copied into the environment by torchvision_shim.py and runs at every start of its interpreter: it imports
nothing until one of the three libraries is, and stands alone, without this package. Where the libraries load, it
changes nothing.
"""

import sys

OPERATORS = ("nms", "qnms")

_LIBRARIES = []  # torch forgets the schemas when the Library object dies


def _declare_operators_before(run_module, package_folder):
    def run(module):
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


def _raise_import_error(run_module, name):
    def run(module):
        try:
            run_module(module)
        except OSError as error:
            raise ImportError(f"{name} is installed, but does not load with this torch: {error}") from error

    return run


class Finder:
    """Finds the three libraries where they are, and prepares their import."""

    is_torchvision_shim = True

    def find_spec(self, name, path=None, target=None):
        if name not in ("torchvision", "torchcodec", "torchaudio"):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run_module = spec.loader.exec_module
        if name == "torchvision":
            spec.loader.exec_module = _declare_operators_before(run_module, spec.submodule_search_locations[0])
        else:
            spec.loader.exec_module = _raise_import_error(run_module, name)
        return spec


def install():
    """Put the finder in place in this interpreter, once."""
    if not any(getattr(finder, "is_torchvision_shim", False) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
