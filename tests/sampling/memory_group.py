"""A control group of Linux with next to no memory: a process that is moved there is killed by the kernel when it needs
more, as a vLLM worker is on a machine that has run out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT_BYTES = 1 << 20

ROOTS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),  # version 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),  # version 2
)


class MemoryGroup:
    """A control group without members."""

    def __init__(self, folder: Path, limit: str, events: str):
        self.folder = folder
        self.events = folder / events
        (folder / limit).write_text(str(LIMIT_BYTES))

    def starve(self, pid: int) -> None:
        """Move a process here. What it holds already is not counted; the kernel kills it when it asks for more."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def kills(self) -> int:
        """How many processes the kernel has killed here for want of memory."""
        counts = dict(line.split() for line in self.events.read_text().splitlines())
        return int(counts["oom_kill"])


@contextmanager
def memory_group() -> Iterator[MemoryGroup | None]:
    """A group for the time of the block; None where this user may not make one."""
    for root, limit, events in ROOTS:
        folder = root / f"specs-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / limit).exists():
                yield MemoryGroup(folder, limit, events)
                return
        finally:
            folder.rmdir()
    yield None
