"""A run on one machine listens on the loopback interface only.

    keep_to_this_machine(nodes=1)        # before Ray starts; returns whether it is so

Ray, verl's rollout servers (HTTP, without a password) and TransferQueue (ZMQ, which unpickles what it receives) bind
the address that Ray takes for the node's. On one machine nobody else has to reach them, and nobody else should: whoever
can connect to them can run code as the user. Ray has a mode in which the node's address is 127.0.0.1 (its default on
macOS and Windows); its variable must be set for the processes it starts, and its constant, read at import, in this one.

Left alone: runs on several nodes, runs that join a Ray cluster that is there already, and users who say
SPECS_LOOPBACK=0. On a cluster these ports are open to whoever can reach its network: it must be a private one.
One socket stays on all interfaces: the store of torch.distributed, which torch binds so.
"""

import os
import sys
from collections.abc import MutableMapping

VARIABLES = {
    # Ray: this node is 127.0.0.1, and with it verl's and TransferQueue's servers.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # vLLM: the address of its engine's own sockets.
    "VLLM_HOST_IP": "127.0.0.1",
    # torch.distributed on CPUs, and on the GPUs of one machine (data goes through shared memory or NVLink).
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}


def keep_to_this_machine(
    nodes: int, environment: MutableMapping[str, str] = os.environ, ray_address: str | None = None
) -> bool:
    """Have what this process starts listen on 127.0.0.1, unless it is, or may become, part of a cluster.

    Args:
        nodes: machines that the run uses.
        environment: set in place; variables that the user has set stay as they are.
        ray_address: what ray.init will be called with; "local" starts a Ray of its own beside any cluster.
    """
    joins = ray_address != "local" and (ray_address is not None or cluster_address() is not None)
    if nodes > 1 or environment.get("SPECS_LOOPBACK") == "0" or joins:
        return False
    for name, value in VARIABLES.items():
        environment.setdefault(name, value)
    constants = sys.modules.get("ray._private.ray_constants")
    if constants is not None and environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0":
        vars(constants)["ENABLE_RAY_CLUSTER"] = False
    return True


def cluster_address() -> str | None:
    """The address of the Ray cluster that `ray.init()` would join: from RAY_ADDRESS, or started on this machine."""
    from ray._private.services import get_ray_address_from_environment

    return get_ray_address_from_environment(None, None)
