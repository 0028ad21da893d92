"""Progress of a loop: a rich bar on a terminal, a line every few seconds in a log file."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 10.0
SHOWN = {"loss": "loss {:.4f}", "rewards/margin": "margin {:.3f}", "rewards/accuracy": "accuracy {:.2f}"}


class Progress:
    """Shows how far a loop is; silent on processes that are not `enabled`."""

    def __init__(self, title: str, total: int, done: int, enabled: bool) -> None:
        self._title, self._total, self._start = title, total, done
        self._enabled = enabled
        self._bar: RichProgress | None = None
        self._next_line = self._began = time.monotonic()

    def __enter__(self) -> "Progress":
        if self._enabled and sys.stderr.isatty():
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._start, note="")
        return self

    def update(self, done: int, report: dict[str, float]) -> None:
        """`done` of the total are finished; `report` may hold the metrics of the last one."""
        if not self._enabled:
            return
        note = "  ".join(text.format(report[name]) for name, text in SHOWN.items() if name in report)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif time.monotonic() >= self._next_line or done == self._total:
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            seconds = time.monotonic() - self._began
            print(f"{self._title}: {done}/{self._total}, {seconds:.0f} s  {note}", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
