"""Every model on every hardware: memory, hours and disk of a run of all stages, as Markdown.

    print(table())                       # `specs doctor --estimate`, and the table of examples/hardware.md

The runs are those of the worlds: the paper's sizes, smaller ones of the world `qwen2_5_vl_3b` for 3B on one GPU.
Everything is estimated from the files in config/specs; nothing in it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from omegaconf import OmegaConf

from specs_verl.estimate import disk, hours
from specs_verl.estimate.memory import GIB, RlSetup, cold_start, rl
from specs_verl.estimate.parts import CONFIG, load, names, read
from specs_verl.estimate.shape import Shape
from specs_verl.estimate.training import Setup

GB = 10**9


@dataclass(frozen=True)
class Sizes:
    """How much is trained and sampled in a run.

    Attributes:
        prompts, samples: of a step of RL.
        longest: prompt and response together, in tokens.
        distilled: prompts that are sampled twice, by the base and by zero.
        held_out: prompts, of four models.
    """

    zero_steps: int
    grpo_steps: int
    prompts: int
    samples: int
    longest: int
    distilled: int
    distilled_samples: int
    pairs: int
    held_out: int = 2_000


@cache
def sizes_of(world: str) -> Sizes:
    """Of the runs of config/pipelines/worlds/WORLD.yaml; where it samples every prompt, 20,000 are assumed."""
    own = load(CONFIG / "pipelines" / "worlds" / f"{world}.yaml")
    settings = OmegaConf.merge(load(CONFIG / "pipelines" / "worlds" / "gpu.yaml"), own)
    recipe = CONFIG / "specs" / "parts"
    distill = settings.kinds.distill
    return Sizes(
        zero_steps=settings.steps.zero,
        grpo_steps=settings.steps.grpo,
        prompts=load(recipe / "rl.yaml").data.train_batch_size,
        samples=load(recipe / "grpo.yaml").actor_rollout_ref.rollout.n,
        longest=settings.lengths.prompt + settings.lengths.response,
        distilled=distill.get("prompts") or 20_000,
        distilled_samples=distill.samples,
        pairs=distill.max_pairs,
    )


@dataclass(frozen=True)
class Row:
    """One model on one hardware."""

    model: str
    hardware: str
    tuning: str
    update_gib: float
    sampling_gib: float
    cold_start_gib: float
    host_gib: float
    stage_hours: dict[str, tuple[float, float, float, float, float]]
    """By GPU: zero, pairs, cold start, GRPO, evaluation."""

    disk_gb: float


def rows() -> list[Row]:
    """All combinations that have a place, small models and hardware first."""
    models = sorted(names("model"), key=_parameters)
    hardware = sorted(names("hardware"), key=_gpus)
    return [
        row(model, place) for model in models for place in hardware if _size(model) in read("hardware", place).sizes
    ]


def row(model: str, place: str) -> Row:
    """The estimate of one combination, for the settings of its row in the hardware file."""
    hardware, shape = read("hardware", place), Shape.of(read("model", model).shape)
    fit, gpus = hardware.sizes[_size(model)], hardware.gpus * hardware.nodes
    sizes = sizes_of("qwen2_5_vl_3b" if (model, place) == ("qwen2_5_vl_3b", "1x80g") else "gpu")
    rank = load(CONFIG / "specs" / "parts" / "placement.yaml").specs.lora_rank[fit.tuning]
    adapters = shape.adapters(rank)
    setup = RlSetup(
        gpus=hardware.gpus,
        nodes=hardware.nodes,
        adapters=adapters,
        on_host=fit.state == "host",
        between=fit.state == "between",
        row_tokens=fit.row_tokens,
        longest=sizes.longest,
        tensor_parallel=fit.tensor_parallel,
        rollout_share=fit.rollout_share,
        gpu_bytes=int(hardware.gpu_gib * GIB),
        host_bytes=int(hardware.host_gib * GIB),
    )
    need = rl(shape, setup)
    warm_up = cold_start(shape, Setup(gpus, fit.pair_tokens, adapters=adapters, on_host=setup.on_host), hardware.gpus)
    streamed = 4 * shape.trained // gpus if setup.on_host else 0
    at = hours.Placement(gpus, fit.tensor_parallel, need.cache_tokens, adapters > 0, fit.row_tokens, streamed)
    return Row(
        model=model,
        hardware=place,
        tuning=fit.tuning,
        update_gib=sum(need.training.values()) / GIB,
        sampling_gib=sum(need.sampling.values()) / GIB,
        cold_start_gib=sum(warm_up.training.values()) / GIB,
        host_gib=max(need.host, warm_up.host) / GIB,
        stage_hours={name: _hours(shape, at, gpu, sizes) for name, gpu in hours.GPUS.items()},
        disk_gb=disk.run(shape, adapters).peak / GB,
    )


def _hours(shape: Shape, at: hours.Placement, gpu: hours.Gpu, sizes: Sizes) -> tuple[float, float, float, float, float]:
    tokens = hours.Tokens()
    step = hours.rl_step_seconds(shape, tokens, at, gpu, sizes.prompts, sizes.samples)
    pairs = hours.sampling_seconds(shape, tokens, at, gpu, 2 * sizes.distilled, sizes.distilled_samples)
    warm_up = hours.cold_start_seconds(shape, tokens, at, gpu, sizes.pairs)
    held_out = hours.sampling_seconds(shape, tokens, at, gpu, 4 * sizes.held_out, sizes.samples)
    seconds = (sizes.zero_steps * step, pairs, warm_up, sizes.grpo_steps * step, held_out)
    zero, distilled, cold, grpo, measured = (second / 3600 for second in seconds)
    return zero, distilled, cold, grpo, measured


def table() -> str:
    """All of it as a Markdown table; every number is estimated."""
    lines = [
        "| model | hardware | trained | GiB of a GPU: update, sampling, cold start | GiB of a host | "
        "hours on H100: zero + pairs + cold start + GRPO + evaluation | on A100 | GB of disk |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in rows():
        h100, a100 = (one.stage_hours[name] for name in ("H100", "A100"))
        parts = " + ".join(f"{part:.1f}" for part in h100)
        lines.append(
            f"| {one.model} | {one.hardware} | {'adapters' if one.tuning == 'lora' else 'all'} | "
            f"{one.update_gib:.0f}, {one.sampling_gib:.0f}, {one.cold_start_gib:.0f} | {one.host_gib:.0f} | "
            f"{parts} = {sum(h100):.0f} | {sum(a100):.0f} | {one.disk_gb:.0f} |"
        )
    return "\n".join(lines)


def _size(model: str) -> str:
    return str(read("model", model).size)


def _parameters(model: str) -> int:
    return int(read("model", model).shape.parameters)


def _gpus(place: str) -> int:
    hardware = read("hardware", place)
    return int(hardware.gpus * hardware.nodes)
