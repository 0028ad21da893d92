"""Keeps the chatter of libraries off the user's terminal, and their waiting threads off the cores.

    quiet.prepare()                                  # before torch and verl are imported
    with quiet.output_to(out / "libraries.log"): ...

Warnings and progress bars of libraries are switched off (`python -W default` brings the warnings back); what verl
prints while it builds goes to a file.
"""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


def prepare() -> None:
    """Set what torch, transformers and friends read when they are imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # OpenMP's threads spin while they wait for each other; beside another program, for most of the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Send what is printed within this context to the end of a file."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        yield
