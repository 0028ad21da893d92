"""Hours of a stage: operations and bytes read, over what a GPU does of them. Estimates, nothing measured.

    gpu = GPUS["H100"]
    rl_step_seconds(shape, Tokens(), placement, gpu, prompts=128, samples=8)

Training: a token costs 2 operations per weight in a forward pass; the update takes a forward pass, the same again where
activations are recomputed, and twice that for the gradients (once with adapters, whose weights alone need some).
Decoding reads all weights of a replica, and the keys and values of its sequences, for every token; it is bound by
memory until the batch is large. The tower is counted per image token in every pass, as verl runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from specs_verl.estimate.shape import Shape

PATCHES = 4
"""Patches of the tower per image token."""

BF16 = 2


@dataclass(frozen=True)
class Gpu:
    """What a GPU can do by its data sheet (bf16 without sparsity), and what of it such work reaches (assumed)."""

    flops: float
    bandwidth: float
    training: float = 0.35
    prefill: float = 0.4
    decoding: float = 0.5
    """Of the bandwidth."""


GPUS = {"H100": Gpu(989e12, 3.35e12), "A100": Gpu(312e12, 2.04e12)}


@dataclass(frozen=True)
class Tokens:
    """Mean lengths, assumed: with your data they are in verl's log (prompt_length/mean, response_length/mean)."""

    prompt: int = 700
    image: int = 500
    """Of the prompt."""

    response: int = 500


@dataclass(frozen=True)
class Placement:
    """Where a model runs."""

    gpus: int
    tensor_parallel: int
    cache_tokens: int
    """Of one replica's KV cache."""

    adapters: bool
    row_tokens: int
    """Of a micro-batch on one GPU."""

    streamed: int = 0
    """Bytes of weights that a GPU fetches from main memory in every pass; 0 where they lie on the GPU."""

    sequences: int = 256
    """That a replica decodes together."""


IDLE = 1.5
"""A batch of rollouts lasts as long as its longest responses: GPUs wait for a third of the time (assumed)."""

SWITCH_S = 20.0
"""Per RL step: weights to vLLM, rewards, and changes between phases (assumed)."""


PCIE = 20e9
"""Bytes a second from main memory to a GPU (assumed)."""


def forward(shape: Shape, tokens: Tokens) -> float:
    """Operations of a forward pass over one prompt with one response; the LM head on all tokens, as verl has it."""
    length = tokens.prompt + tokens.response
    text = 2 * shape.trained * length + 2 * shape.layers * shape.attention * length**2
    return text + 2 * shape.tower * PATCHES * tokens.image


def update(shape: Shape, tokens: Tokens, adapters: bool) -> float:
    """Operations of an optimizer step's share: the text half is computed 4 times, with adapters 3 times."""
    tower = 2 * shape.tower * PATCHES * tokens.image
    return (3 if adapters else 4) * (forward(shape, tokens) - tower) + tower


def sampling_seconds(shape: Shape, tokens: Tokens, place: Placement, gpu: Gpu, prompts: int, samples: int) -> float:
    """Seconds to sample so many responses on all GPUs; a prompt is read once for all its responses."""
    replicas = place.gpus // place.tensor_parallel
    longest = tokens.prompt + tokens.response
    responses = -(-prompts * samples // replicas)
    together = max(1, min(place.sequences, place.cache_tokens // longest, responses))
    read = (
        BF16 * shape.parameters + together * (tokens.prompt + tokens.response / 2) * 4 * shape.layers * shape.key_value
    )
    step = max(
        read / (gpu.bandwidth * gpu.decoding * place.tensor_parallel),
        2 * shape.trained * together / (gpu.flops * gpu.prefill * place.tensor_parallel),
    )
    decode = responses * tokens.response / together * step
    reading = prompts * forward(shape, Tokens(tokens.prompt, tokens.image, 0)) / (gpu.flops * gpu.prefill * place.gpus)
    return decode + reading


def rl_step_seconds(shape: Shape, tokens: Tokens, place: Placement, gpu: Gpu, prompts: int, samples: int) -> float:
    """Seconds of one GRPO step: sampling, old log-probabilities, update."""
    operations = prompts * samples * (forward(shape, tokens) + update(shape, tokens, place.adapters))
    training = operations / (gpu.flops * gpu.training * place.gpus)
    training += _streaming(place, prompts * samples * (tokens.prompt + tokens.response))
    return IDLE * sampling_seconds(shape, tokens, place, gpu, prompts, samples) + training + SWITCH_S


def cold_start_seconds(shape: Shape, tokens: Tokens, place: Placement, gpu: Gpu, pairs: int) -> float:
    """Seconds of an epoch of pairs and of their reference log-probabilities; a row is one prompt and two responses."""
    row = Tokens(tokens.prompt, tokens.image, 2 * tokens.response)
    operations = pairs * (forward(shape, row) + update(shape, row, place.adapters))
    rows = pairs * (tokens.prompt + 2 * tokens.response)
    return operations / (gpu.flops * gpu.training * place.gpus) + _streaming(place, rows)


def _streaming(place: Placement, tokens: int) -> float:
    """Seconds of fetching weights for three passes over so many tokens: log-probabilities, forward, backward."""
    return 3 * tokens / (place.row_tokens * place.gpus) * place.streamed / PCIE
