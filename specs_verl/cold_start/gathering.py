"""Python objects between the processes of a run; every process must call, in the same order.

settings = from_main(lambda: read(path))     # what process 0 computes, on every process
parts = from_all(own)                        # what every process has, on every process
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

Value = TypeVar("Value")


def from_main(compute: Callable[[], Value]) -> Value:
    """What process 0 computes, on every process."""
    box: list[Any] = [compute() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def from_all(value: Value) -> list[Value]:
    """What every process has, on every process."""
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, value)
    return everyone
