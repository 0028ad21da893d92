"""Which model on which hardware: the parts in config/specs that a run on GPUs chooses by name.

    parts = chosen({"model": "qwen2_5_vl_3b", "hardware": "1x80g", "gpus": None, ...})
    parts.checkpoint, parts.gpus, parts.recipe           # ("specs/model=qwen2_5_vl_3b", "specs/hardware=1x80g")

`model` may be a checkpoint instead (a directory or a hub name): `model_like` then says whose settings it takes. A model
without a place on the hardware is refused here; how much memory a recipe takes is checked when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from specs_verl.errors import UserError
from specs_verl.estimate.fits import require_place
from specs_verl.estimate.memory import BF16, GIB
from specs_verl.estimate.parts import names, read

AUTO = "auto"

MOST_WEIGHTS = 0.6
"""Share of a GPU's memory for weights in bfloat16 where a model is only sampled; the rest is for its cache."""


@dataclass(frozen=True)
class Parts:
    """A model on its hardware.

    Attributes:
        checkpoint: directory, hub name, or module:function.
        gpus, nodes: GPUs a node, and nodes.
        sampled_on: GPUs that hold the model together where it is only sampled.
        recipe: what chooses the parts on the command line of a recipe; empty in a world without them.
    """

    checkpoint: str
    gpus: int
    nodes: int
    sampled_on: int = 1
    recipe: tuple[str, ...] = ()


def chosen(config: Mapping[str, object]) -> Parts:
    """From the settings of a run; UserError for a name that is none, or a model without a place."""
    wanted = str(config["model"])
    if config.get("hardware") is None:
        return Parts(wanted, int(str(config["gpus"])), int(str(config["nodes"])))
    model = wanted if wanted in names("model") else str(config["model_like"])
    if model == wanted or "/" in wanted or Path(wanted).exists():
        sizes, hardware = read("model", model), read("hardware", str(config["hardware"]))
    else:
        raise UserError(
            f"There is no model {wanted!r}. Known: {', '.join(names('model'))}; or give a directory or a hub name."
        )
    require_place(OmegaConf.create({"model": sizes, "hardware": hardware}))
    gpus, nodes = (int(str(config.get(key) or hardware[key])) for key in ("gpus", "nodes"))
    checkpoint = str(sizes["checkpoint"]) if model == wanted else wanted
    weights = BF16 * int(sizes.shape.parameters) / (float(hardware.gpu_gib) * GIB)
    asked = str(config.get("tensor_parallel", AUTO))
    if asked != AUTO and not asked.isdigit():
        raise UserError(f"tensor_parallel={asked}: a number of GPUs, or {AUTO}.")
    sampled_on = sampling_gpus(weights, gpus) if asked == AUTO else int(asked)
    return Parts(checkpoint, gpus, nodes, sampled_on, (f"specs/model={model}", f"specs/hardware={config['hardware']}"))


def sampling_gpus(weights: float, gpus: int) -> int:
    """GPUs of one machine on which a model is sampled: 1, 2, 4, ..., as many as its weights need.

    Args:
        weights: memory of the weights, in GPUs.
        gpus: of the machine.
    """
    size = 1
    while weights > MOST_WEIGHTS * size and 2 * size <= gpus:
        size *= 2
    return size
