"""`rounds: N` of a pipeline: pairs and cold start again, each time from the last model.

    in_rounds(config, 3)        # pairs, cold_start, pairs_2, cold_start_2, pairs_3, cold_start_3, grpo, ...

The pairs of a later round are sampled from the last model, in the place of base and zero; its cold start begins there
and takes it as the reference. What came after the cold start comes after the last one; figures are of every round.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from specs_verl.errors import UserError

Config = dict[str, Any]

SAMPLED = ("base", "zero")
"""The sources of pairs that are the model which is trained, at some point."""

MODELS = (*SAMPLED, "model", "teacher", "expert")
"""Settings of stages that name a model."""

MEASURED = ("models", "runs")
"""Settings of stages that name several, each with its label."""


def in_rounds(config: Config, rounds: int, name: str) -> Config:
    """The resolved configuration of a pipeline with its pairs and cold start repeated.

    Args:
        config: settings of the run and, by name, of its stages.
        rounds: at least 1, which changes nothing.
        name: of the pipeline, for messages.
    """
    if rounds < 1:
        raise UserError(f"Pipeline {name}: rounds is at least 1, got {rounds}.")
    if rounds == 1:
        return config
    pairs, trained = _repeated(config, name)
    if config[pairs]["rollouts"] is not None:
        raise UserError(
            f"Pipeline {name}: rollouts of the first RL are the same in every round: use rounds=1 with them."
        )
    made: Config = {}
    last = trained
    for number in range(2, rounds + 1):
        again = deepcopy({pairs: config[pairs], trained: config[trained]})
        for key in SAMPLED:
            again[pairs][key] = last
        again[trained].update(model=last, rows=f"{pairs}_{number}")
        for stage in again.values():
            stage["title"] += f", round {number}"
        last = f"{trained}_{number}"
        made |= {f"{pairs}_{number}": again[pairs], last: again[trained]}
    others = {
        key: _after(value, trained, rounds) if key not in (pairs, trained) and isinstance(value, dict) else value
        for key, value in config.items()
    }
    return others | made


def _repeated(config: Config, name: str) -> tuple[str, str]:
    """Names of the stages that make pairs and train on them."""
    found = [
        (str(stage["rows"]), key)
        for key, stage in config.items()
        if isinstance(stage, Mapping) and stage.get("kind") == "cold_start"
        if isinstance(rows := config.get(str(stage["rows"])), Mapping) and rows.get("kind") == "distill"
    ]
    if len(found) != 1:
        raise UserError(
            f"Pipeline {name}: rounds repeat pairs and the cold start on them; there are {len(found)} such."
        )
    return found[0]


def _after(stage: Config, trained: str, rounds: int) -> Config:
    """A stage that uses the cold start's model, as one that uses that of the last round."""
    last = f"{trained}_{rounds}"
    changed: Config = {key: last if key in MODELS and value == trained else value for key, value in stage.items()}
    earlier = [trained, *(f"{trained}_{number}" for number in range(2, rounds))]
    for key in MEASURED:
        if not isinstance(stage.get(key), Mapping):
            continue
        every: dict[str, object] = {}
        for label, reference in stage[key].items():
            if reference == trained:
                every |= {f"{label}-{number}": model for number, model in enumerate(earlier, start=1)}
            every[label] = last if reference == trained else reference
        changed[key] = every
    return changed
