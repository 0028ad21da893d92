"""`specs data` with the one thing that data_prep does not know: what a recipe allows.

recipe_limits("qwen2_5_vl_7b_grpo")     # {"model": "Qwen/Qwen2.5-VL-7B-Instruct", "max_prompt_tokens": 4096, ...}
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep import cli
from data_prep.doctor.command import RecipeLimits
from specs_verl.errors import UserError
from specs_verl.plugin import recipes

CONFIG = Path(__file__).parent.parent / "config"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `specs data`."""
    cli.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; it may ask for the limits of a recipe."""
    args.recipe_limits = recipe_limits
    return cli.run(args)


def recipe_limits(name: str) -> RecipeLimits:
    """Checkpoint and longest prompt of an RL recipe; UserError for a name that is none, or a cold start's."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    if name not in recipes.names():
        raise UserError(f"There is no recipe {name}. Known recipes: {', '.join(recipes.names())}.")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG), version_base=None):
        try:
            config = compose(overrides=[f"+specs={name}"])
        except Exception as error:  # Hydra's own classes: a recipe that overrides groups of the cold start's config
            raise UserError(f"{name}: not a recipe of verl's RL trainer; its limits are about pairs.") from error
    longest = OmegaConf.select(config, "data.max_prompt_length")
    if longest is None:
        raise UserError(f"{name}: sets no data.max_prompt_length.")
    found: RecipeLimits = {"max_prompt_tokens": int(longest)}
    if (pixels := OmegaConf.select(config, "data.max_pixels")) is not None:
        found["max_pixels"] = int(pixels)
    if (pixels := OmegaConf.select(config, "data.min_pixels")) is not None:
        found["min_pixels"] = int(pixels)
    if model := OmegaConf.select(config, "actor_rollout_ref.model.path", throw_on_missing=False):
        found["model"] = model
    return found
