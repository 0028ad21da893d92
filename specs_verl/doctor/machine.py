"""What the machine offers: cores, memory, disk, shared memory, open files, a C compiler, loopback ports.

    machine_checks(Path("."), "cpu")

Limits are those of the nano quickstart; what a GPU run needs depends on its model, so memory is not judged there.
"""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import psutil

from specs_verl.doctor import preflight
from specs_verl.doctor.check import Check
from specs_verl.doctor.probes import NVIDIA
from specs_verl.errors import UserError
from specs_verl.estimate.disk import Disk, run
from specs_verl.estimate.parts import read
from specs_verl.estimate.shape import Shape

GIB = preflight.GIB
MEMORY = 8 * GIB  # peak of the nano quickstart, with some room
DISK = 5 * GIB  # checkpoints and samples of a nano run, and Ray's spill

GB = 10**9

SHARED = 1 * GIB
FILES = 4096  # Ray keeps several per worker


def full_run() -> Disk:
    """Checkpoints of a whole run of the paper's model."""
    return run(Shape.of(read("model", "qwen2_5_vl_7b").shape))


def disk_terms() -> str:
    """What a whole 7B run keeps, in words."""
    needed = full_run()
    return (
        f"All stages of a 7B run take {needed.peak / GB:.0f} GB at most (estimated): {needed.checkpoint / GB:.0f} GB "
        f"an RL checkpoint, two of them while GRPO runs; {needed.final / GB:.0f} GB stay."
    )


def machine_checks(folder: Path, profile: str | None) -> list[Check]:
    """All checks that need no import; ``folder`` is where runs would be written."""
    return [
        cores(),
        memory(profile),
        disk(folder, gpu=NVIDIA.exists()),
        shared_memory(Path("/dev/shm")),
        open_files(),
        compiler(),
        loopback(),
    ]


def cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{usable} usable of {os.cpu_count()}" if usable != os.cpu_count() else f"{usable}"
    if usable < 2:
        return Check("CPU cores", "note", text, "One core works; vLLM and the trainer then take turns.")
    return Check("CPU cores", "ok", text)


def memory(profile: str | None) -> Check:
    state = psutil.virtual_memory()
    free, total, limit = state.available, state.total, _cgroup_limit()
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    if limit is not None and limit < total:
        free = min(free, limit)
        text += f", limited to {limit / GIB:.1f} GiB"
    if profile == "cpu" and free < MEMORY:
        return Check(
            "memory", "problem", text, f"The nano quickstart needs {MEMORY / GIB:.0f} GiB: close other programs."
        )
    return Check("memory", "ok", text)


def _cgroup_limit() -> int | None:
    """Memory limit of the container this runs in, which psutil does not see."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:  # cgroup 1 writes a huge number for "no limit"
            return int(text)
    return None


def disk(folder: Path, gpu: bool = False) -> Check:
    """Room for a nano run; where there is a GPU, also what a whole 7B run keeps, term by term."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / GIB:.1f} GiB free under {existing}"
    if free < DISK:
        return Check("disk", "problem", text, f"A run needs {DISK / GIB:.0f} GiB: free some, or choose another --out.")
    if gpu:
        return Check("disk", "note" if free < full_run().peak else "ok", text, disk_terms())
    return Check("disk", "ok", text)


def shared_memory(place: Path) -> Check:
    if not place.is_dir():
        return Check("shared memory", "note", f"no {place}", "Ray keeps its objects on disk then, which is slower.")
    free = shutil.disk_usage(place).free
    text = f"{free / GIB:.1f} GiB free in {place}"
    if free < SHARED:
        return Check("shared memory", "note", text, "Ray falls back to disk. In a container: docker run --shm-size=2g.")
    return Check("shared memory", "ok", text)


def open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    if not unlimited and soft < FILES:
        return Check("open files", "note", f"at most {soft}", f"Ray wants {FILES}: ulimit -n {min(hard, 65536)}")
    return Check("open files", "ok", "no limit" if unlimited else f"at most {soft:,}")


def compiler() -> Check:
    try:
        preflight.compiler()
    except UserError as error:
        return Check("C compiler", "problem", "none", str(error))
    return Check("C compiler", "ok", next(path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))))


def loopback() -> Check:
    """Ray, torch and vLLM talk to themselves over 127.0.0.1."""
    try:
        preflight.port(0)
    except UserError as error:
        return Check("loopback ports", "problem", "none can be opened on 127.0.0.1", str(error))
    return Check("loopback ports", "ok", "can be opened on 127.0.0.1")
