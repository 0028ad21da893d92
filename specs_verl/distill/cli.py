"""The command `specs distill`: prompts and two models (or their samples) become preference pairs.

    specs distill --prompts train.parquet --base CKPT --zero CKPT --out runs/pairs --n 8
    specs distill --prompts train.parquet --base-samples DIR --zero-samples DIR --out runs/pairs --max-pairs 9000
    specs distill --recipe teacher --teacher http://127.0.0.1:8000/v1#Qwen2.5-VL-72B --base CKPT ...

A model is a checkpoint directory or a chat endpoint as URL#MODEL. A killed call is continued by the same call.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

import yaml

from specs_verl.distill.distillation import Distillation, distill
from specs_verl.distill.pair import PAIR_KINDS
from specs_verl.distill.pair_recipe import (
    CHOSEN_SOURCES,
    REJECTED_SOURCES,
    ROLLOUTS,
    SOURCES,
    Recipe,
    names,
    read_recipe,
)
from specs_verl.distill.rollouts import import_rollouts
from specs_verl.distill.rule_judge import JUDGES
from specs_verl.distill.select import DUPLICATES
from specs_verl.errors import UserError
from specs_verl.formats.held_out import refuse_held_out, refuse_prompts_without
from specs_verl.formats.registry import for_training
from specs_verl.progress import Steps
from specs_verl.sampling import Job, SamplingError, sample_all
from specs_verl.sampling.cli import add_engine_arguments, add_pixel_arguments, engine_settings, sampling_bars
from specs_verl.sampling.endpoint import is_endpoint
from specs_verl.sampling.parameters import RAY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command; those that a recipe can say are None unless given."""
    parser.add_argument("--prompts", nargs="+", required=True, metavar="FILE", help="parquet files in verl's schema")
    parser.add_argument("--out", required=True, metavar="DIR", help="data set directory; graded samples there are kept")
    recipes = "; ".join(f"{name}: {read_recipe(name).summary}" for name in names())
    parser.add_argument(
        "--recipe", default="specs", metavar="NAME", help=f"a name or a YAML file (default %(default)s). {recipes}"
    )
    parser.add_argument(
        "--default",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="value of a key that the recipe leaves open (sizes of a pipeline's world); options win over the recipe",
    )
    sources = parser.add_argument_group("sources", "for each source of the recipe its model, or its finished samples")
    for source in SOURCES:
        sources.add_argument(f"--{source}", metavar="MODEL", help="checkpoint directory, or chat endpoint as URL#MODEL")
        sources.add_argument(f"--{source}-samples", metavar="DIR", help="finished samples instead")
    sources.add_argument("--rollouts", metavar="DIR", help="what verl dumped in RL (trainer.rollout_data_dir)")
    pairs = parser.add_argument_group("pairs", "instead of what the recipe says")
    pairs.add_argument("--chosen", choices=CHOSEN_SOURCES, help="source of the chosen responses")
    pairs.add_argument(
        "--rejected",
        choices=REJECTED_SOURCES,
        help="source of the rejected responses, or the chosen ones corrupted",
    )
    pairs.add_argument("--pairs", choices=PAIR_KINDS, help="decoupled: both right; coupled: the rejected one is wrong")
    pairs.add_argument(
        "--judge",
        choices=tuple(JUDGES),
        help="drops chosen samples whose reasoning contradicts the answer (rule), is silent too (strict), or which a "
        "model finds inconsistent (model)",
    )
    pairs.add_argument("--judge-endpoint", metavar="URL#MODEL", help="for --judge model")
    for flag, text in (
        ("--complete-chosen", "complete the form of right chosen samples"),
        ("--match-length", "chosen sample nearest in length to the rejected one"),
    ):
        pairs.add_argument(flag, action="store_true", default=None, help=text)
    pairs.add_argument(
        "--natural",
        type=float,
        metavar="SHARE",
        help="of pairs with a badly formed sample as it is, not a corrupted one",
    )
    pairs.add_argument(
        "--formats",
        nargs="+",
        metavar="NAME",
        help="output formats that prompts of pairs may ask for",
    )
    pairs.add_argument("--formats-share", type=float, metavar="SHARE", help="of pairs that ask for one of them")
    pairs.add_argument(
        "--held-out",
        nargs="+",
        metavar="FILE",
        help="prompts of the evaluation: no pair may ask for their formats",
    )
    pairs.add_argument("--seed", type=int, help="of sampling, choice and corruptions")
    selection = parser.add_argument_group("selection")
    selection.add_argument("--max-pairs", type=int, help="balanced over data source, pass rate, length and corruption")
    selection.add_argument("--max-length-gap", type=float, metavar="CHARACTERS", help="bound on the mean difference")
    selection.add_argument("--duplicates", choices=DUPLICATES, help="what of a prompt may occur once only")
    sampling = parser.add_argument_group("sampling", "for sources given as models, instead of what the recipe says")
    sampling.add_argument("--n", type=int, help="samples per prompt")
    sampling.add_argument(
        "--max-samples", type=int, help="adaptive: n at a time until the pair is complete, at most this"
    )
    sampling.add_argument("--temperature", type=float)
    sampling.add_argument("--top-p", type=float)
    sampling.add_argument("--max-tokens", type=int, help="longest response")
    sampling.add_argument("--max-prompt-tokens", type=int, help="longest prompt, images included")
    add_pixel_arguments(sampling)
    sampling.add_argument("--system-prompt", metavar="TEXT", help="instead of the rows' own")
    sampling.add_argument("--instruction", metavar="TEXT", help="appended to the last user message")
    sampling.add_argument("--rows", type=int, metavar="N", help="only the first N prompts")
    sampling.add_argument(
        "--engine",
        choices=("vllm", "ray", "verl"),
        help="of checkpoints: vLLM in worker processes of this machine, or of a Ray cluster (which grades, too), or "
        "verl's rollout servers",
    )
    sampling.add_argument(
        "--rollout", nargs="*", default=[], metavar="OVERRIDE", help="Hydra overrides for --engine verl"
    )
    add_engine_arguments(sampling)
    parser.add_argument("--workers", type=int, help="processes for sampling and grading (default: by the machine)")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the data set is complete, 1 when sampling keeps failing."""
    recipe = recipe_of(args)
    prompts = tuple(args.prompts)
    if recipe.formats_share:
        forms = for_training(recipe.formats)
        refuse_held_out(forms, args.held_out or ())
        if not recipe.instruction and not recipe.system_prompt:  # else known when the samples are read
            refuse_prompts_without(forms, prompts)
    directories: dict[str, str] = {}
    jobs: list[Job] = []
    for source in recipe.sources:
        if source == ROLLOUTS:
            if not args.rollouts:
                raise UserError(
                    "The recipe draws on rollouts: pass --rollouts DIR, the trainer.rollout_data_dir of RL."
                )
            samples = import_rollouts(Path(args.rollouts), prompts, Path(args.out) / "samples" / source)
            directories[source] = str(samples)
            continue
        model, samples = getattr(args, source), getattr(args, f"{source}_samples")
        if bool(model) == bool(samples):
            raise UserError(f"The recipe draws on {source}: pass either --{source} MODEL or --{source}-samples DIR.")
        directories[source] = samples or str(Path(args.out) / "samples" / source)
        known = [job for job in jobs if job.model == model and job.parameters == recipe.sampling(source)]
        if known:
            directories[source] = known[0].out
        elif model:
            rollout = () if is_endpoint(model) else tuple(args.rollout)
            engine = engine_settings(args, model, rollout=rollout, workers=args.workers)
            jobs.append(Job(model, prompts, directories[source], recipe.sampling(source), args.rows, engine))
    job = Distillation(
        prompts=prompts,
        chosen_samples=directories[recipe.chosen],
        rejected_samples=directories[recipe.sources[-1]],
        out=args.out,
        pairing=recipe.pairing(),
        selection=recipe.selection(),
        judge_endpoint=args.judge_endpoint,
        workers=args.workers,
        on_ray=args.engine == RAY,
    )
    with Steps(args.quiet) as steps:
        try:
            # Checkpoints share the same workers; an endpoint needs a worker of its own kind.
            for together in ([j for j in jobs if not is_endpoint(j.model)], [j for j in jobs if is_endpoint(j.model)]):
                if together:
                    sample_all(together, sampling_bars(steps))
            report = distill(job, steps.show)
        except SamplingError as error:
            print(error, file=sys.stderr)
            return 1
    print(
        f"{report['pairs']} pairs in {Path(args.out) / 'pairs.parquet'}; counts and examples in the README beside it."
    )
    return 0


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe with the options that were given."""
    given = {field.name: value for field in fields(Recipe) if (value := getattr(args, field.name, None)) is not None}
    return replace(read_recipe(args.recipe, dict(map(_default, args.default))), **given)


def _default(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--default {text!r}: write KEY=VALUE.")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--default {text!r}: the value is not readable as YAML.") from error
