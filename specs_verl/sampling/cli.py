"""The command `specs sample`, also `python -m specs_verl.sampling`.

    specs sample --model CKPT --data test.parquet --out runs/samples/base --n 8 --temperature 1.0 --max-tokens 512
    specs sample --jobs jobs.json   # a list of {"model", "data", "out", "parameters": {...}, "rows", "engine": {...}}

A finished run ends at once, an unfinished one is continued. Prints one JSON line per job with its counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from specs_verl.errors import UserError
from specs_verl.progress import Steps
from specs_verl.sampling.endpoint import is_endpoint
from specs_verl.sampling.parameters import EngineSettings, Job, SamplingParameters
from specs_verl.sampling.supervisor import Progress, SamplingError, sample_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--jobs", metavar="FILE", help="JSON list of jobs (model, data, out, parameters, rows, engine)")
    parser.add_argument("--model", metavar="DIR", help="Hugging Face checkpoint directory")
    parser.add_argument("--data", metavar="FILE", nargs="+", help="parquet files in verl's schema")
    parser.add_argument("--out", metavar="DIR", help="run directory; an unfinished run there is continued")
    parser.add_argument("--rows", type=int, metavar="N", help="only the first N rows")
    defaults = SamplingParameters()
    parser.add_argument("--n", type=int, default=defaults.n, help="samples per prompt (default %(default)s)")
    parser.add_argument("--temperature", type=float, default=defaults.temperature, help="default %(default)s")
    parser.add_argument("--top-p", type=float, default=defaults.top_p, help="default %(default)s")
    parser.add_argument("--top-k", type=int, default=defaults.top_k, help="default %(default)s: the whole vocabulary")
    parser.add_argument("--max-tokens", type=int, default=defaults.max_tokens, help="response, default %(default)s")
    parser.add_argument("--max-prompt-tokens", type=int, default=defaults.max_prompt_tokens, help="default %(default)s")
    add_pixel_arguments(parser)
    parser.add_argument("--seed", type=int, default=defaults.seed, help="default %(default)s")
    parser.add_argument(
        "--logprobs", type=int, default=0, metavar="K",
        help="record the log-probabilities of the K likeliest tokens at every position, for the branching factor",
    )  # fmt: skip
    parser.add_argument("--system-prompt", metavar="TEXT", help="instead of the rows' own system message")
    parser.add_argument("--instruction", metavar="TEXT", help="appended to the last user message")
    parser.add_argument("--workers", type=int, help="processes with one engine each (default: per core or per GPU)")
    add_engine_arguments(parser)
    parser.add_argument(
        "--engine",
        help="vllm, ray (vLLM on all nodes of a Ray cluster), verl (its rollout servers), endpoint, or module:class "
        "(default: by model)",
    )
    parser.add_argument(
        "--rollout", nargs="*", default=[], metavar="OVERRIDE", help="Hydra overrides for --engine verl"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but the summary")


def add_engine_arguments(parser: argparse._ActionsContainer) -> None:
    """Arguments that say how the engine uses a device, and change no sample."""
    parser.add_argument("--max-num-seqs", type=int, metavar="N", help="sequences decoded together (default: 256)")
    parser.add_argument(
        "--gpu-memory-utilization", type=float, default=EngineSettings().gpu_memory_utilization, metavar="SHARE",
        help="share of a GPU's memory for weights and cache (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--tensor-parallel", type=int, default=1, metavar="GPUS",
        help="GPUs of one machine that hold a model together which is too large for one",
    )  # fmt: skip


def engine_settings(arguments: argparse.Namespace, model: str | None = None, **more: Any) -> EngineSettings:
    """What `--engine` and add_engine_arguments have asked for.

    Args:
        model: who is sampled: an endpoint needs no engine, whatever other models of the command do.
        more: further settings.
    """
    asked = None if model is not None and is_endpoint(model) else arguments.engine
    return EngineSettings(
        engine=asked,
        max_num_seqs=arguments.max_num_seqs,
        gpu_memory_utilization=arguments.gpu_memory_utilization,
        tensor_parallel=arguments.tensor_parallel,
        **more,
    )


def add_pixel_arguments(parser: argparse._ActionsContainer) -> None:
    """Arguments that limit the size of images, as data.max_pixels and data.min_pixels of the training recipes do."""
    parser.add_argument("--max-pixels", type=int, metavar="N", help="larger images are made smaller, as in training")
    parser.add_argument("--min-pixels", type=int, metavar="N", help="smaller images are enlarged, as in training")


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """The jobs that the arguments describe."""
    if arguments.jobs:
        try:
            listed = json.loads(Path(arguments.jobs).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{arguments.jobs}: not a readable JSON file ({error}).") from error
        if not isinstance(listed, list) or not listed:
            raise UserError(f"{arguments.jobs}: must hold a list with at least one job.")
        return [Job.from_dict(values) for values in listed]
    missing = [name for name in ("model", "data", "out") if not getattr(arguments, name)]
    if missing:
        raise UserError(f"Missing: {', '.join('--' + name for name in missing)}. Or pass --jobs FILE.")
    parameters = SamplingParameters(
        n=arguments.n,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        top_k=arguments.top_k,
        max_tokens=arguments.max_tokens,
        max_prompt_tokens=arguments.max_prompt_tokens,
        max_pixels=arguments.max_pixels,
        min_pixels=arguments.min_pixels,
        seed=arguments.seed,
        logprobs=arguments.logprobs,
        system_prompt=arguments.system_prompt,
        instruction=arguments.instruction,
    )
    engine = engine_settings(arguments, rollout=tuple(arguments.rollout), workers=arguments.workers)
    return [Job(arguments.model, tuple(arguments.data), arguments.out, parameters, arguments.rows, engine)]


def sampling_bars(steps: Steps) -> Callable[[Progress], None]:
    """A callback that shows sampling: one bar per job, named by its directory."""

    def show(progress: Progress) -> None:
        doing = "loading" if progress.stage == "loading" else f"{progress.tokens_per_second:.0f} tokens/s"
        name = "/".join(Path(progress.out).parts[-3:])
        share = (progress.job + progress.samples_done / max(1, progress.samples_total)) / progress.jobs
        steps.show(f"sampling {name}", progress.samples_done, progress.samples_total, doing, share)

    return show


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every job is complete, 1 when the workers keep dying; UserError for bad input."""
    jobs = jobs_of(args)
    with Steps(args.quiet) as steps:
        try:
            runs = sample_all(jobs, sampling_bars(steps))
        except SamplingError as error:
            print(error, file=sys.stderr)
            return 1
    for finished in runs:
        print(json.dumps({"out": str(finished.path), **finished.summary}))
    return 0
