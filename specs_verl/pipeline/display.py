"""What a user sees of a pipeline: one line per stage, with a moving bar, what is left of it, and what came out.

On a terminal the bar moves; in a file or a CI log only starts and ends are written, one line each.
"""

from rich.console import Console
from rich.progress import TaskID

from specs_verl.progress import bars


def duration(seconds: float) -> str:
    """'45 s', '3 min 05 s', '2 h 07 min'."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class StageDisplay:
    """Progress of the stages of one pipeline; use as a context manager."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self._bars = bars(self.console, disable=not self.console.is_terminal, transient=True)
        self._task: TaskID | None = None
        self._label = ""

    def __enter__(self) -> "StageDisplay":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def stage(self, number: int, total: int, title: str) -> None:
        """A stage begins."""
        self._label = f"[{number}/{total}] {title}"
        if not self.console.is_terminal:
            self._line(f"{self._label} ...")
        self._task = self._bars.add_task(self._label.replace("[", r"\["), total=None, note="")

    def skipped(self, number: int, total: int, title: str, seconds: float) -> None:
        """A stage is complete already."""
        self._line(f"[{number}/{total}] {title}: complete already (took {duration(seconds)})")

    def progress(self, done: float, total: float, note: str = "") -> None:
        """How far the stage is."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total, note=note)

    def finished(self, seconds: float, note: str) -> None:
        """A stage is complete now."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        text = f"{self._label}: done in {duration(seconds)}" + (f" - {note}" if note else "")
        self._line(text)

    def _line(self, text: str) -> None:
        # Paths and figures are for copying: no colours, no line breaks of ours.
        self.console.print(text, markup=False, soft_wrap=True)
