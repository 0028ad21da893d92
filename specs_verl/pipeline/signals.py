"""Signals that end a program, as one exception and then as a wish to hurry.

    with ending_signals() as signals:
        try:
            work()
        finally:
            signals.hold()                    # from here on nothing is raised
            clean_up(hurry=signals.came)

The first SIGINT raises KeyboardInterrupt, the first SIGTERM (Slurm, docker stop) or SIGHUP raises SystemExit with the
usual exit code 128 + N; later ones raise nothing, so that cleaning up cannot be cut short, but `came` tells of them. A
signal that first arrives while held is raised at the end of the block.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndingSignals:
    """What has arrived, and whether it may be raised."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.raised = False
        self._held = False
        self._came_while_held = False

    def hold(self) -> None:
        """Raise nothing from now on."""
        self._held = True

    def came(self) -> bool:
        """Whether a signal has arrived since `hold`."""
        return self._came_while_held

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if self.first is None:
            self.first = number
        if self._held or self.raised:
            self._came_while_held = True
            return
        self.raise_first()

    def raise_first(self) -> None:
        """Raise what the first signal means, once."""
        if self.first is not None and not self.raised:
            self.raised = True
            raise KeyboardInterrupt if self.first == signal.SIGINT else SystemExit(128 + self.first)


@contextmanager
def ending_signals() -> Iterator[EndingSignals]:
    """Handle ENDING in this block; signals that are ignored (as in a shell's background jobs) stay ignored.

    Outside the main thread, where Python allows no handlers, the block runs without.
    """
    signals = EndingSignals()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, signals.receive)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    signals.raise_first()
