"""Bytes of one GPU in each phase of a run, and of one machine's main memory, part by part.

    need = rl(shape, RlSetup(...))            # Need: parts of the update, parts of the rollouts, host
    need = cold_start(shape, Setup(...), 8)

verl's RL step on one set of GPUs: responses are sampled by vLLM, then vLLM sleeps and the policy is trained. Counted
are the tensors that live at the peak of each phase; SLACK stands for what is not: CUDA's context, NCCL's buffers, vLLM
asleep, and fragmentation. Nothing here was measured on a GPU; the training parts agree with CPU processes
(tests/cold_start/test_ranks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from specs_verl.estimate.shape import Shape
from specs_verl.estimate.training import FLOAT32, Setup, estimate

GIB = 1024**3
SLACK = 4 * GIB
BF16 = 2

LOGIT_BYTES = 6
"""Of one logit in RL: bf16, its gradient, and one copy on the way (temperature, or entropy in pieces)."""

ENGINE_SLACK = 3 * GIB
"""vLLM's own activations and CUDA graphs, inside its share."""

Parts = Mapping[str, int]


@dataclass(frozen=True)
class RlSetup:
    """How verl's RL trainer places a model; from a composed recipe by fits.rl_setup."""

    gpus: int
    """Of one machine."""

    nodes: int
    adapters: int
    """Parameters of LoRA; 0 trains the language model."""

    on_host: bool
    between: bool
    """Weights and moments leave the GPU while responses are sampled."""

    row_tokens: int
    """Tokens of a micro-batch on one GPU."""

    longest: int
    """Tokens of the longest prompt and response together."""

    tensor_parallel: int
    rollout_share: float
    """Of `gpu_bytes`, for vLLM."""

    gpu_bytes: int
    host_bytes: int


@dataclass(frozen=True)
class Need:
    """What a run takes, in bytes."""

    training: Parts
    """Of one GPU at the peak of the update."""

    sampling: Parts
    """Of one GPU while responses are sampled; empty for a cold start."""

    host: int
    """Of one machine's main memory, beyond programs and images."""

    cache_tokens: int = 0
    """Tokens that the KV cache of one vLLM replica holds."""

    @property
    def peak(self) -> int:
        """Of one GPU over all phases, slack included."""
        return max(sum(self.training.values()), sum(self.sampling.values())) + SLACK


def rl(shape: Shape, setup: RlSetup) -> Need:
    """GRPO through verl: an FSDP2 actor and vLLM on the same GPUs."""
    processes = setup.gpus * setup.nodes
    training = dict(
        estimate(
            shape.training(whole_vision=False),
            Setup(processes, setup.row_tokens, adapters=setup.adapters, on_host=setup.on_host),
        )
    )
    vision = FLOAT32 * (shape.tower + shape.aligner)
    training["frozen vision half"] = 0 if setup.on_host else vision // processes
    training["logits"] = setup.row_tokens * shape.vocabulary * LOGIT_BYTES  # all at once, not in pieces
    weights, moments = training["weights"] + training["frozen vision half"], training["Adam's two moments"]
    resident = 0 if setup.between or setup.on_host else weights + moments
    engine = int(setup.rollout_share * setup.gpu_bytes)
    sampling = {"weights and moments of the policy": resident, "vLLM's share": engine}
    cache = engine - BF16 * shape.parameters // setup.tensor_parallel - ENGINE_SLACK
    token = 2 * BF16 * shape.layers * shape.key_value // setup.tensor_parallel
    return Need(training, sampling, _host(shape, setup), max(0, cache // token))


def _host(shape: Shape, setup: RlSetup) -> int:
    """What leaves the GPUs, and the export: the whole model in float32, and as bf16 to be filled, on the first node."""
    share, trained = 1 / setup.nodes, setup.adapters or shape.trained
    moved = FLOAT32 * (shape.parameters + setup.adapters) + 2 * FLOAT32 * trained
    if setup.on_host:
        moved += FLOAT32 * trained
    away = int(moved * share) if setup.on_host or setup.between else 0
    return away + (FLOAT32 + BF16) * shape.parameters


def cold_start(shape: Shape, setup: Setup, gpus: int) -> Need:
    """DPO + SFT or SFT: FSDP2, every process with the whole frozen vision half.

    Args:
        gpus: of one machine, for what it keeps in main memory.
    """
    moved = 0
    if setup.on_host:
        trained = setup.adapters or shape.trained
        moved = FLOAT32 * (shape.trained + setup.adapters + 3 * trained) * gpus // setup.processes
    return Need(estimate(shape.training(whole_vision=True), setup), {}, moved + FLOAT32 * shape.parameters)
