"""What only importing tells: verl with our plugin, torch with its devices, vLLM. Each in a process of its own.

    results = run_probes(timeout=180)           # {"verl": Outcome, "torch": Outcome, "vllm": Outcome}, all at once
    probe_checks(results, "cpu")

A probe prints one JSON object after a marker; whatever else a library prints is kept for the error. A process that
hangs is ended with its children, one that crashes is reported with the last line it wrote.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specs_verl.doctor.check import Check

NVIDIA = Path("/dev/nvidia0")
"""Device file of the first NVIDIA GPU."""

OLDEST_DRIVER = {12: "525", 13: "580"}
"""Branch of NVIDIA's Linux driver that a major version of CUDA needs (release notes of the CUDA toolkit)."""

MARKER = "specs-doctor-result:"

PROBES = {
    "verl": """
import json, sys
import verl
plugin = sys.modules.get("specs_verl.plugin.entry")
loaded = plugin is not None
from verl.plugin.platform import get_platform
from specs_verl.plugin import recipes
print("specs-doctor-result:" + json.dumps({
    "loaded": loaded,
    "failure": plugin.FAILURE if loaded else None,
    "platform": get_platform().device_name,
    "recipes": recipes.names(),
}))
""",
    "torch": """
import importlib.metadata, importlib.util, json
import torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append([properties.name, properties.total_memory, f"{properties.major}.{properties.minor}"])
def importable(name):
    if importlib.util.find_spec(name) is None:
        return None
    try:
        return str(getattr(__import__(name), "__version__", "yes"))
    except Exception as error:  # a build for another torch fails in its own ways, all of which are the finding
        return "error: " + " ".join(str(error).split())[:200]
print("specs-doctor-result:" + json.dumps({
    "devices": devices, "cuda": torch.version.cuda, "hip": torch.version.hip,
    "flash_attn": importable("flash_attn"), "torchvision": importable("torchvision"),
}))
""",
    "vllm": """
import json, sys
import verl  # loads our plugin, which the CPU build needs
import vllm
from vllm import LLM
from vllm.platforms import current_platform
print("specs-doctor-result:" + json.dumps({"version": vllm.__version__, "device": current_platform.device_type}))
""",
}


@dataclass(frozen=True)
class Outcome:
    """What a probe found, or why it found nothing."""

    found: dict[str, Any] | None
    error: str = ""


def run_probe(code: str, timeout: float) -> Outcome:
    """Run ``code`` in a fresh interpreter and read the object it prints."""
    environment = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return Outcome(None, f"no answer within {timeout:.0f} s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the whole group: libraries start helpers of their own
        process.wait()
    for line in reversed(output.splitlines()):
        if line.startswith(MARKER):
            return Outcome(json.loads(line.removeprefix(MARKER)))
    if process.returncode < 0:
        return Outcome(None, f"killed by signal {-process.returncode} ({signal.Signals(-process.returncode).name})")
    return Outcome(None, next((line for line in reversed(output.splitlines()) if line.strip()), "no output"))


def run_probes(timeout: float) -> dict[str, Outcome]:
    """All probes side by side."""
    with ThreadPoolExecutor(len(PROBES)) as pool:
        futures = {name: pool.submit(run_probe, code, timeout) for name, code in PROBES.items()}
        return {name: future.result() for name, future in futures.items()}


def probe_checks(results: Mapping[str, Outcome], profile: str | None) -> list[Check]:
    """Checks from the outcomes, in the order of the table."""
    return [
        *plugin_checks(results["verl"], profile),
        *device_checks(results["torch"], profile, nvidia=NVIDIA.exists()),
        vllm_check(results["vllm"], profile),
    ]


def plugin_checks(outcome: Outcome, profile: str | None) -> list[Check]:
    """Whether `import verl` loads our plugin, the platform it chose, and the recipes."""
    if outcome.found is None:
        return [Check("verl plugin", "problem", f"verl cannot be imported: {outcome.error}", "python -c 'import verl'")]
    if not outcome.found["loaded"]:
        advice = "Install the package (pip install -e .): verl reads the entry point verl.plugins of installed ones."
        return [Check("verl plugin", "problem", "verl did not load it", advice)]
    if outcome.found["failure"]:
        lines = str(outcome.found["failure"]).strip().splitlines()
        return [Check("verl plugin", "problem", f"failed: {lines[-1]}", "python -c 'import verl' shows where.")]
    platform, recipes = str(outcome.found["platform"]), list(outcome.found["recipes"])
    checks = [Check("verl plugin", "ok", f"loaded, platform {platform}")]
    if profile == "cpu" and platform != "cpu":
        advice = "Set VERL_PLATFORM=cpu, or install the GPU profile: this vLLM has no GPU kernels."
        checks = [Check("verl plugin", "problem", f"loaded, but verl chose the platform {platform}", advice)]
    if profile == "gpu" and platform == "cpu":
        advice = "Unset VERL_PLATFORM, unless this is a GPU cluster's head node."
        checks = [Check("verl plugin", "note", "loaded, platform cpu although the GPU profile is installed", advice)]
    if not recipes:
        return [
            *checks,
            Check("recipes", "problem", "none found", "The package lacks its config files: install it again."),
        ]
    return [*checks, Check("recipes", "ok", f"+specs= {', '.join(recipes)}")]


def device_checks(outcome: Outcome, profile: str | None, nvidia: bool = False) -> list[Check]:
    """Accelerators, torchvision, and which attention there will be.

    Args:
        nvidia: whether the machine has the device file of an NVIDIA GPU, seen by torch or not.
    """
    if outcome.found is None:
        return [Check("torch", "problem", f"cannot be imported: {outcome.error}", "python -c 'import torch'")]
    found, checks = outcome.found, []
    devices = list(found["devices"])
    if devices:
        names = [f"{name}, {memory / 1024**3:.0f} GiB, compute {capability}" for name, memory, capability in devices]
        counted = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
        checks.append(Check("devices", "ok", "; ".join(counted)))
    elif nvidia and profile == "gpu":
        checks.append(_unseen(found["cuda"]))
    elif profile == "gpu":
        advice = "Right on a head node. Else: nvidia-smi must work, and torch must be a CUDA build."
        build = f"torch for CUDA {found['cuda']}" if found["cuda"] else "torch without CUDA"
        checks.append(Check("devices", "note", f"no GPU visible ({build})", advice))
    else:
        checks.append(Check("devices", "ok", "CPU only"))
    vision = found["torchvision"]
    if vision is None or str(vision).startswith("error:"):
        text = "not installed" if vision is None else str(vision)
        advice = "Image processors and vLLM need it, built for this torch. make quickstart sets it up."
        checks.append(Check("torchvision", "problem", text, advice))
    else:
        checks.append(Check("torchvision", "ok", str(vision)))
    checks.append(_attention(found["flash_attn"], bool(devices)))
    return checks


def _unseen(cuda: str | None) -> Check:
    """A GPU is there, and torch cannot use it."""
    if not cuda:
        advice = "Install a CUDA build of the same torch version from download.pytorch.org."
        return Check("devices", "problem", f"{NVIDIA} is there, but this torch is built without CUDA", advice)
    release = int(cuda.split(".")[0])
    driver = OLDEST_DRIVER.get(release)
    needed = f"{driver} or newer" if driver else "that its release notes ask for"
    older = release - 1 if release - 1 in OLDEST_DRIVER else None
    other = f", or install a CUDA {older} build of the same torch version" if older else ""
    return Check(
        "devices",
        "problem",
        f"{NVIDIA} is there, but torch for CUDA {cuda} sees no GPU",
        f"CUDA {release} needs NVIDIA driver {needed} (nvidia-smi shows yours): update it{other}. "
        "If the driver is new enough, look at CUDA_VISIBLE_DEVICES and at the container's GPU options.",
    )


NO_FLASH = "pip install flash-attn==2.8.3 --no-build-isolation, or add +specs/parts/attention=sdpa to RL recipes."


def _attention(flash: object, gpu: bool) -> Check:
    """The RL recipes pack rows with flash-attn and do not start without; the cold start chooses SDPA by itself."""
    broken = str(flash)[7:] if str(flash).startswith("error:") else None
    if broken is not None:
        advice = "It was built for another torch: pip uninstall flash-attn, then " + NO_FLASH
        return Check("flash-attn", "problem", f"installed, but does not load: {broken}", advice)
    if flash is None and gpu:
        return Check("flash-attn", "problem", "not installed: the RL recipes need it on GPUs", NO_FLASH)
    if flash is None:
        return Check("flash-attn", "ok", "not needed on CPU: SDPA is used")
    return Check("flash-attn", "ok", str(flash))


def vllm_check(outcome: Outcome, profile: str | None) -> Check:
    """Whether vLLM imports, and for which device it decided."""
    if outcome.found is None:
        return Check("vLLM", "problem", f"cannot be imported: {outcome.error}", "python -c 'import verl, vllm'")
    version, device = outcome.found["version"], str(outcome.found["device"])
    if profile == "cpu" and device != "cpu":
        advice = "It did not recognise its CPU build: is the plugin loaded?"
        return Check("vLLM", "problem", f"{version}, device {device or 'unknown'}", advice)
    return Check("vLLM", "ok", f"{version}, device {device}")
