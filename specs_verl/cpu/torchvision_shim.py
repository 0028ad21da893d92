"""CUDA builds of torchvision, torchcodec and torchaudio next to a CPU build of torch: make them importable.

    python -m specs_verl.cpu.torchvision_shim       installs the shim in this environment, if it is needed

Where an index offers no CPU build of these three, pip installs their CUDA builds, whose compiled parts cannot load.
torchvision then fails at import, when it declares fake kernels for operators nobody defined; it only needs the two
operators' schemas, and all that processors use of it (transforms, io) is plain torch. The other two raise OSError where
their users expect ImportError. A `.pth` file puts the shim in every interpreter of the environment, since vLLM's engine
process imports torchvision before it loads any plugin. Where the libraries load, the shim changes nothing.
"""

import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PTH_NAME = "specs_verl_torchvision_shim.pth"
PTH_LINE = (
    "import importlib.util as u; "
    "u.find_spec('specs_verl') and __import__('specs_verl.cpu.torchvision_shim').cpu.torchvision_shim.install()\n"
)
OPERATORS = ("nms", "qnms")

_LIBRARIES = []  # torch forgets the schemas when the Library object dies


def _declare_operators_before(run_module, package_folder: str):
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


def _raise_import_error(run_module, name: str):
    def run(module):
        try:
            run_module(module)
        except OSError as error:
            raise ImportError(f"{name} is installed, but does not load with this torch: {error}") from error

    return run


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in ("torchvision", "torchcodec", "torchaudio"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run_module = spec.loader.exec_module
        if name == "torchvision":
            spec.loader.exec_module = _declare_operators_before(run_module, spec.submodule_search_locations[0])
        else:
            spec.loader.exec_module = _raise_import_error(run_module, name)
        return spec


def install() -> None:
    """Put the shim in place in this interpreter, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def torchvision_loads() -> bool:
    """Whether a fresh interpreter of this environment can import torchvision."""
    return (
        subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, timeout=300).returncode == 0
    )


def main() -> None:
    pth = Path(sysconfig.get_paths()["purelib"]) / PTH_NAME
    if pth.exists() or torchvision_loads():
        return
    unfinished = pth.with_suffix(".tmp")
    unfinished.write_text(PTH_LINE, encoding="utf-8")
    os.replace(unfinished, pth)
    if not torchvision_loads():
        pth.unlink()
        raise SystemExit(
            "torchvision cannot be imported, and the shim does not help. Reinstall torchvision for this torch."
        )
    print("torchvision is a CUDA build beside a CPU build of torch: installed a shim that makes it importable.")


if __name__ == "__main__":
    main()
