"""CUDA builds of torchvision, torchcodec and torchaudio next to a CPU build of torch: make them importable.

    python -m specs_verl.cpu.torchvision_shim       installs the shim in this environment, if it is needed

Where an index offers no CPU build of these three, pip installs their CUDA builds, whose compiled parts cannot load.
torchvision then fails at import, when it declares fake kernels for operators nobody defined; it only needs the two
operators' schemas, and all that processors use of it (transforms, io) is plain torch. The other two raise OSError where
their users expect ImportError. A `.pth` file puts the shim in every interpreter of the environment, since vLLM's engine
process imports torchvision before it loads any plugin. It is a copy of torchvision_finder.py: no start of an
interpreter imports this package.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

from data_prep.files import write_text
from specs_verl.cpu import torchvision_finder
from specs_verl.cpu.torchvision_finder import install  # noqa: F401  what .pth files of earlier installations call

MODULE = "specs_verl_torchvision_shim"
PTH_LINE = f"import {MODULE}; {MODULE}.install()\n"


def torchvision_loads() -> bool:
    """Whether a fresh interpreter of this environment can import torchvision."""
    return (
        subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, timeout=300).returncode == 0
    )


def write_into(site: Path) -> None:
    """Write the module first and then the `.pth` file that calls it, each whole or not at all."""
    source = Path(torchvision_finder.__file__).read_text(encoding="utf-8")
    for name, text in ((f"{MODULE}.py", source), (f"{MODULE}.pth", PTH_LINE)):
        write_text(site / name, text)


def main() -> None:
    site = Path(sysconfig.get_paths()["purelib"])
    pth = site / f"{MODULE}.pth"
    if pth.exists():
        write_into(site)  # possibly by an earlier version
        return
    if torchvision_loads():
        return
    write_into(site)
    if not torchvision_loads():
        pth.unlink()
        (site / f"{MODULE}.py").unlink()
        raise SystemExit(
            "torchvision cannot be imported, and the shim does not help. Reinstall torchvision for this torch."
        )
    print("torchvision is a CUDA build beside a CPU build of torch: installed a shim that makes it importable.")


if __name__ == "__main__":
    main()
