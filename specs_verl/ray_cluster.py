"""Work on a Ray cluster: the one that RAY_ADDRESS names or that runs on this machine, else Ray on this machine alone.

    with connected():
        ray.get(task.remote())

    python -m specs_verl.ray_cluster --nodes 4 --seconds 300      # until a cluster that starts has all its nodes

Not here: what is run there (sampling/ray_workers.py, grading/ray_tasks.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
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
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise UserError(
            f"No Ray cluster takes us at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')} ({str(error).splitlines()[0]}). "
            "Start one (ray start --head), set RAY_AUTH_MODE=token where it asks for a token, or unset RAY_ADDRESS to "
            "use this machine alone."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def passed_on() -> dict[str, str]:
    """Environment of work elsewhere."""
    return {name: value for name in PASSED_ON if (value := os.environ.get(name)) is not None}


def wait_for_nodes(count: int, seconds: float) -> str:
    """Wait until the cluster has so many nodes; says what they have together.

    Raises:
        UserError: they are not there in time, or there is no cluster.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _with_nodes(count, deadline)
        except UserError:  # its head may not be up yet
            if time.monotonic() > deadline:
                raise
        time.sleep(1.0)


def _with_nodes(count: int, deadline: float) -> str:
    """The resources of the cluster once it has so many nodes."""
    import ray

    with connected():
        while (there := sum(node["Alive"] for node in ray.nodes())) < count:
            if time.monotonic() > deadline:
                raise UserError(f"Of {count} nodes only {there} have joined the Ray cluster in time.")
            time.sleep(1.0)
        resources = ray.cluster_resources()
        return f"{there} nodes, {resources.get('GPU', 0):.0f} GPUs, {resources.get('CPU', 0):.0f} CPUs"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m specs_verl.ray_cluster", description=wait_for_nodes.__doc__)
    parser.add_argument("--nodes", type=int, required=True, help="nodes to wait for")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most so long, default %(default)s")
    args = parser.parse_args(arguments)
    try:
        print(f"Ray: {wait_for_nodes(args.nodes, args.seconds)}")
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
