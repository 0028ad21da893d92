"""Bytes on disk of a run of all stages: checkpoints, term by term.

    run(shape).final, run(shape).peak

An RL checkpoint of verl holds float32 weights, Adam's two moments of what is trained, and a Hugging Face export, which
verl writes in float32 too. A finished RL stage keeps its last checkpoint and a copy of the export; one that runs keeps
two checkpoints. The cold start keeps its export in the dtype of its source (bf16).
"""

from __future__ import annotations

from dataclasses import dataclass

from specs_verl.estimate.shape import Shape

FLOAT32, BF16 = 4, 2
KEPT = 2
"""trainer.max_actor_ckpt_to_keep."""


@dataclass(frozen=True)
class Disk:
    """Bytes."""

    checkpoint: int
    """Of one RL checkpoint."""

    final: int
    """After all stages."""

    peak: int
    """While the last RL stage publishes its result."""


def run(shape: Shape, adapters: int = 0) -> Disk:
    """Zero, cold start and GRPO.

    Args:
        adapters: parameters of LoRA; 0 trains the language model.
    """
    export = FLOAT32 * shape.parameters
    state = FLOAT32 * (shape.parameters + adapters) + 2 * FLOAT32 * (adapters or shape.trained)
    checkpoint = state + export
    finished = checkpoint + export
    cold_start = BF16 * shape.parameters
    return Disk(
        checkpoint=checkpoint,
        final=2 * finished + cold_start,
        peak=finished + cold_start + KEPT * checkpoint + export,
    )
