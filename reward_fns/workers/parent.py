"""A process that ends with the one that started it, however that ends: also killed, which nobody can tidy up after.

    end_with_parent(parent)                                             # first thing in a child; parent: its process id
    [*ENDS_WITH_PARENT, str(os.getpid()), "ray", "start", ...]          # a command line, for programs of others

Linux does it (PR_SET_PDEATHSIG), when the *thread* that started the child ends; so start children in a thread that
waits for them. Children of the child do not inherit it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

ENDS_WITH_PARENT = (sys.executable, "-I", __file__)
"""Start of a command line: then the process id of the parent and the program with its arguments, which gets SIGTERM.

By file and isolated: by name (-m) Python would import the package first, which costs time and warns into every log.
"""


def end_with_parent(parent: int, signal_number: signal.Signals = signal.SIGKILL) -> None:
    """Ask for a signal at the parent's end; sent at once if that was before this call.

    Args:
        parent: process id of the parent, as it knows it itself: os.getppid() is another's once the parent has ended.
        signal_number: SIGKILL where nothing is to be tidied up, SIGTERM where it is.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]), signal.SIGTERM)
    os.execvp(sys.argv[2], sys.argv[2:])
