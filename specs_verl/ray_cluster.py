"""Work on a Ray cluster: the one that RAY_ADDRESS names or that runs on this machine, else Ray on this machine alone.

    with connected():
        ray.get(task.remote())

Not here: what is run there (sampling/ray_workers.py, grading/ray_tasks.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from specs_verl.errors import UserError
from specs_verl.plugin.loopback import keep_to_this_machine

PASSED_ON = ("VERL_PLATFORM", "PYTHONPATH")
"""Variables of this process that work elsewhere needs, too. No others: Ray shows them to whoever sees the cluster."""


@contextmanager
def connected() -> Iterator[None]:
    """Be connected to Ray; a connection that was there before stays.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    if find_spec("ray") is None:
        raise UserError("Ray is not installed. Install the cpu or the gpu extra of specs-verl.")
    import ray

    if ray.is_initialized():
        yield
        return
    # A Ray of our own is this machine's only; a cluster that is there is not changed.
    alone = keep_to_this_machine(1)
    try:
        ray.init(log_to_driver=False, **({"include_dashboard": False} if alone else {}))
    except ConnectionError as error:
        raise UserError(
            f"No Ray cluster answers at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')} ({str(error).splitlines()[0]}). "
            "Start one (ray start --head), or unset RAY_ADDRESS to use this machine alone."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def passed_on() -> dict[str, str]:
    """Environment of work elsewhere."""
    return {name: value for name in PASSED_ON if (value := os.environ.get(name)) is not None}
