"""The command `specs distill`: prompts and two checkpoints (or their samples) become preference pairs.

specs distill --prompts train.parquet --base CKPT --zero CKPT --out runs/pairs --n 8
specs distill --prompts train.parquet --base-samples DIR --zero-samples DIR --out runs/pairs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from specs_verl.distill.judge import JUDGES
from specs_verl.distill.pair import PAIR_KINDS, Pairing
from specs_verl.distill.run import Distillation, distill
from specs_verl.errors import UserError
from specs_verl.sampling import EngineSettings, Job, Progress, SamplingParameters, sample_all

HELP = "make self-distilled preference pairs (stage 1)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--prompts", nargs="+", required=True, metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument("--out", required=True, metavar="DIR", help="data set directory; graded samples there are kept")
    sources = parser.add_argument_group("sources", "a checkpoint to sample from, or the directory of finished samples")
    sources.add_argument("--base", metavar="CKPT", help="base model: rejected responses come from it")
    sources.add_argument("--base-samples", metavar="DIR", help="samples of the base model")
    sources.add_argument("--zero", metavar="CKPT", help="GRPO-zero model: chosen responses come from it")
    sources.add_argument("--zero-samples", metavar="DIR", help="samples of the GRPO-zero model")
    pairs = parser.add_argument_group("pairs")
    pairs.add_argument("--pairs", choices=PAIR_KINDS, default="decoupled", help="default %(default)s")
    pairs.add_argument(
        "--judge",
        choices=tuple(JUDGES),
        default="rule",
        help="drops chosen samples whose reasoning contradicts the answer (rule), or is silent too (strict)",
    )
    pairs.add_argument("--as-is", action="store_true", help="use badly formed base samples as they are")
    pairs.add_argument("--complete-chosen", action="store_true", help="complete the form of right chosen samples")
    pairs.add_argument("--seed", type=int, default=0, help="of sampling, choice and corruptions (default %(default)s)")
    defaults = SamplingParameters()
    sampling = parser.add_argument_group("sampling", "only with --base or --zero")
    sampling.add_argument("--n", type=int, default=defaults.n, help="samples per prompt (default %(default)s)")
    sampling.add_argument("--temperature", type=float, default=defaults.temperature, help="default %(default)s")
    sampling.add_argument("--top-p", type=float, default=defaults.top_p, help="default %(default)s")
    sampling.add_argument("--max-tokens", type=int, default=defaults.max_tokens, help="default %(default)s")
    sampling.add_argument(
        "--max-prompt-tokens", type=int, default=defaults.max_prompt_tokens, help="default %(default)s"
    )
    parser.add_argument("--workers", type=int, help="processes for sampling and grading (default: by the machine)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the data set is complete."""
    prompts = tuple(args.prompts)
    directories, jobs = {}, []
    for source, checkpoint, samples in (
        ("zero", args.zero, args.zero_samples),
        ("base", args.base, args.base_samples),
    ):
        if bool(checkpoint) == bool(samples):
            raise UserError(f"Pass either --{source} CHECKPOINT or --{source}-samples DIR.")
        directories[source] = samples or str(Path(args.out) / "samples" / source)
        if checkpoint:
            parameters = SamplingParameters(
                n=args.n,
                temperature=args.temperature,
                top_p=args.top_p,
                max_tokens=args.max_tokens,
                max_prompt_tokens=args.max_prompt_tokens,
                seed=args.seed,
            )
            engine = EngineSettings(workers=args.workers)
            jobs.append(Job(checkpoint, prompts, directories[source], parameters, engine=engine))
    pairing = Pairing(args.pairs, args.seed, args.judge, args.as_is, args.complete_chosen)
    step = None if args.quiet else _Bar()
    if jobs:
        sample_all(jobs, step.sampling if step else None)
    job = Distillation(prompts, directories["zero"], directories["base"], args.out, pairing, args.workers)
    report = distill(job, step.step if step else None)
    if step:
        step.close()
    print(
        f"{report['pairs']} pairs in {Path(args.out) / 'pairs.parquet'}; counts and examples in the README beside it."
    )
    return 0


class _Bar:
    """One bar at a time, for the step that runs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._progress = Progress(*columns, TimeRemainingColumn(), console=Console(file=sys.stderr))
        self._tasks: dict[str, int] = {}
        self._progress.start()

    def sampling(self, progress: Progress) -> None:
        """Callback of sampling."""
        name = Path(progress.out).name
        label = f"loading {name}" if progress.stage == "loading" else f"sampling {name}"
        self.step(f"sampling {name}", progress.samples_done, progress.samples_total, label)

    def step(self, name: str, done: int, total: int, label: str | None = None) -> None:
        """Callback of grading and pairing."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name)
        self._progress.update(self._tasks[name], completed=done, total=total, description=label or name)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()
