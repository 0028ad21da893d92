"""How far a long job is: bars on a terminal, a few lines in a file, and a note for whoever has started it.

    with Steps() as steps:
        steps.show("grading", done, total, "1,200 tokens/s")      # as often as wanted

Everything goes to standard error. Where SPECS_PROGRESS_FILE names a file, the last state is also kept there as JSON
(step, done, total, note), for `specs run`, which shows the bar of a command that it runs.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data_prep.files import write_json

FILE_VARIABLE = "SPECS_PROGRESS_FILE"
LINE_SECONDS = 20.0
"""Between two lines about the same step, where there is no terminal."""

FILE_SECONDS = 0.5


def bars(console: Console, disable: bool, transient: bool = False) -> Progress:
    """A moving bar per task, whose field `note` follows it; nothing where it is disabled."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=transient,
        disable=disable,
    )


class Steps:
    """Progress of the steps of one job; use as a context manager."""

    def __init__(self, quiet: bool = False) -> None:
        """
        Args:
            quiet: show nothing and write no file; for all processes of a job but one.
        """
        console = Console(stderr=True, highlight=False)
        self._console = console
        self._lines = not quiet and not console.is_terminal
        self._bars = bars(console, disable=quiet or not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        file = None if quiet else os.environ.get(FILE_VARIABLE)
        self._file = Path(file) if file else None
        self._last_file = 0.0

    def __enter__(self) -> Steps:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, step: str, done: float, total: float, note: str = "", share: float | None = None) -> None:
        """How far a step is; a name that is new begins a bar.

        Args:
            step, done, total, note: what the bar shows.
            share: how far the whole job is, in [0, 1], where it has several steps of the same kind.
        """
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, note="")
        self._bars.update(self._tasks[step], completed=done, total=total, note=note)
        now = time.monotonic()
        if self._lines and (done >= total or now - self._last_line.get(step, -LINE_SECONDS) >= LINE_SECONDS):
            self._last_line[step] = now
            self._console.print(f"{step}: {done:g}/{total:g} {note}".rstrip(), markup=False, soft_wrap=True)
        if self._file is not None and (done >= total or now - self._last_file >= FILE_SECONDS):
            self._last_file = now
            overall = (done, total) if share is None else (share, 1.0)
            state = {"step": step, "done": overall[0], "total": overall[1], "note": note}
            write_json(self._file, state, durable=False)


def read_state(file: Path) -> tuple[str, float, float, str] | None:
    """(step, done, total, note) as a job has left them in its file; None before the first."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        return str(state["step"]), float(state["done"]), float(state["total"]), str(state["note"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
