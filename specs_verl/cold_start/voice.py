"""What a process of a run says when it has to end: no reason is lost among processes, and none is said eight times.

    sys.exit(say("pairs.parquet, row 7: ..."))

Before the processes know each other all of them meet the same mistakes, and the first of each machine speaks. Later
any of them may be the only one that knows why (its disk is full, its image is broken): each speaks for itself.
"""

import os
import sys
from hashlib import blake2b

from specs_verl.errors import UserError

ELSEWHERE = "another process of this run has ended; its own message says why."


def say(problem: object) -> int:
    """Print a sentence to stderr unless another process has printed the same; returns the exit code."""
    who = ""
    if (joined := _processes()) > 1:
        who = f", process {os.environ['RANK']} of {joined}"
        if not _first_to_say(str(problem)):
            return UserError.exit_code
    elif os.environ.get("LOCAL_RANK", "0") != "0":
        return UserError.exit_code
    print(f"cold start{who}: {problem}", file=sys.stderr, flush=True)
    return UserError.exit_code


def lost_others(error: BaseException) -> bool:
    """Whether an exception only means that another process is gone, which is then the one to ask."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None:
        return False
    gloo = any(sign in str(error) for sign in ("gloo", "Connection closed by peer", "Connection reset by peer"))
    return isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and gloo)


def _processes() -> int:
    """How many processes have found each other."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


def _first_to_say(problem: str) -> bool:
    from torch.distributed.distributed_c10d import _get_default_store

    try:
        return _get_default_store().add(f"said-{blake2b(problem.encode(), digest_size=8).hexdigest()}", 1) == 1
    except RuntimeError:  # whoever kept the store is gone; better twice than never
        return True
