"""``compute_score``: the reward of one response in verl's signature, and its async twin.

    reward.custom_reward_function.path=pkg://reward_fns  reward.custom_reward_function.name=compute_score

The row says how it is graded: ``extra_info`` (verl's stock manager forwards nothing else) or ``reward_model`` name
``verifier`` and ``params``, the latter as dict or JSON string. Orsta's names (``verifier_parm``, ``accuracy_ratio``,
``format_ratio``) are understood. ``reward_kwargs`` of the configuration are defaults for rows that say nothing,
except for the combination, which they decide.

The result holds plain floats and strings under the same keys for every sample, as verl's metrics need:
score, acc, format, right, no_answer, unparsable_gold, timeout, error, seconds (floats), pred, status (strings).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

from reward_fns import formats
from reward_fns.combine import Combination, overlong_penalty, repetition_penalty, reward
from reward_fns.grading import GroundTruth, apply
from reward_fns.registry import ALIASES, Verifier, find, lookup
from reward_fns.verdict import CallError, Verdict

# Keys that verl's managers or other callers pass along and that do not concern grading.
_IGNORED = frozenset(
    {"reward_router_address", "reward_model_tokenizer", "sandbox_fusion_url", "concurrent_semaphore", "memory_limit_mb"}
)

Score = dict[str, float | str]


class Grading(NamedTuple):
    """How one row is graded."""

    verifier: str
    params: dict[str, object]
    accuracy_weight: float | None
    format_weight: float | None


def compute_score(
    data_source: str | None,
    solution_str: str,
    ground_truth: GroundTruth,
    extra_info: Mapping[str, object] | None = None,
    *,
    verifier: str | None = None,
    params: Mapping[str, object] | str | None = None,
    format_rule: formats.FormatRule = "think_answer",
    combination: Mapping[str, object] | Combination | None = None,
    response_length: int | None = None,
    progress: float | None = None,
    reading: str | None = None,
    **others: object,
) -> Score:
    """Grade ``solution_str`` and combine accuracy and format into ``score``.

    Args:
        data_source: name of the data set; not used, part of verl's signature.
        solution_str: the response.
        ground_truth: the reference answer.
        extra_info: the row's own ``verifier``, ``params``, ``reward_model``.
        verifier, params: used when the row names none; the parameters also when it names this verifier without any.
        format_rule: see formats.check.
        combination: weights, gate, overlong and repetition settings, see combine.Combination.
        response_length: length for the overlong penalty in the unit of ``max_length``; characters when None.
        progress: share of the training that is done, for verifiers whose threshold follows it.
        reading: strict, lenient or auto, for rows whose params name none (see reward_fns.strict).
    """
    unknown = sorted(set(others) - _IGNORED)
    if unknown:
        raise TypeError(
            f"compute_score has no parameter {', '.join(map(repr, unknown))}; "
            "verifier parameters go into params={...}."
        )
    grading = row_grading(extra_info, verifier, params)
    chosen = lookup(grading.verifier)
    parameters = grading.params
    if progress is not None and "progress" in chosen.accepts:
        parameters = {**parameters, "progress": progress}
    asked = extra_info.get("question") if isinstance(extra_info, Mapping) else None
    if isinstance(asked, str) and "question" in chosen.accepts:
        parameters = {"question": asked, **parameters}
    if reading is not None and "reading" in chosen.accepts:
        parameters = {"reading": reading, **parameters}
    chosen.check(parameters)
    if parameters.get("metric") == "contains":
        raise CallError("metric=contains pays for lists of guesses: as a reward use exact, anls, edit or f1.")
    verdict = apply(chosen, solution_str, ground_truth, parameters)
    rule = _combination(combination, grading)
    return assemble(verdict, solution_str or "", format_rule, rule, response_length)


async def compute_score_async(
    data_source: str | None,
    solution_str: str,
    ground_truth: GroundTruth,
    extra_info: Mapping[str, object] | None = None,
    **kwargs: object,
) -> Score:
    """``compute_score`` for an event loop: the work runs in a thread, so a slow answer delays nobody else on the
    loop."""
    work = partial(compute_score, data_source, solution_str, ground_truth, extra_info, **_settings(kwargs))
    return await asyncio.to_thread(work)


def _settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Keyword arguments from configuration; ``compute_score`` and what it calls refuse those that they do not know."""
    return dict(given)


def assemble(
    verdict: Verdict, response: str, format_rule: formats.FormatRule, rule: Combination, response_length: int | None
) -> Score:
    """The score dict of one verdict."""
    well_formed = formats.check(response, format_rule)
    if verdict.status == "unparsable_gold":
        total = 0.0  # the row is at fault: every sample of the group gets the same reward, which trains nothing
    else:
        total = reward(verdict.score, well_formed, rule)
        if rule.max_length is not None:
            total += overlong_penalty(len(response) if response_length is None else response_length, rule)
        total += repetition_penalty(response, rule)
    return {
        "score": total,
        "acc": verdict.score,
        "format": well_formed,
        "right": float(verdict.status == "right"),
        "no_answer": float(verdict.status == "no_answer"),
        "unparsable_gold": float(verdict.status == "unparsable_gold"),
        "timeout": float(verdict.status == "timeout"),
        "error": float(verdict.status == "error"),
        "seconds": verdict.seconds,
        "pred": verdict.extracted or "",
        "status": verdict.status,
    }


def row_grading(
    extra_info: Mapping[str, object] | None,
    verifier: str | None = None,
    params: Mapping[str, object] | str | None = None,
) -> Grading:
    """Verifier, parameters and weights of a row; what the row does not say comes from the arguments, then from the
    defaults.

    Raises:
        ValueError: the row gives parameters that are configuration (an address, a key, a path), see registry.py.
    """
    info = extra_info if isinstance(extra_info, Mapping) else {}
    model = info.get("reward_model")
    sources = [source for source in (info, model) if isinstance(source, Mapping)]
    named = _first(sources, "verifier")
    name = named or verifier or "math"
    chosen = _parameters(_first(sources, "params"))
    foreign = _parameters(_first(sources, "verifier_parm"))
    if foreign and not chosen:
        chosen = _from_orsta(ALIASES.get(str(name), str(name)), foreign)
    known = find(str(name))
    if chosen and known is not None and known.configured:
        _refuse_configuration(known, chosen, info)
    if named in (None, verifier) and params:  # parameters belong to the verifier they were given with
        given = _parameters(params)
        kept = known.configured if known is not None and chosen else given.keys()
        chosen = {**{key: value for key, value in given.items() if key in kept}, **chosen}
    accuracy, format_ = _first(sources, "accuracy_ratio"), _first(sources, "format_ratio")
    return Grading(
        str(name), chosen, None if accuracy is None else float(accuracy), None if format_ is None else float(format_)
    )


def _refuse_configuration(verifier: Verifier, chosen: dict[str, object], info: Mapping[str, object]) -> None:
    try:
        verifier.check_row(chosen)
    except ValueError as error:
        row = next((f"row {info[key]} ({key}): " for key in ("id", "index") if info.get(key) not in (None, "")), "")
        raise ValueError(f"{row}{error}") from None


def _first(sources: list[Mapping[str, object]], key: str) -> Any:
    """The first value under ``key`` that says something; parquet fills absent columns with None."""
    for source in sources:
        value = source.get(key)
        if value is not None and value != "":
            return value
    return None


def _parameters(value: Mapping[str, object] | str | None) -> dict[str, object]:
    """Parameters as a dict, from a dict or a JSON string; keys without a value (parquet unifies structs) are
    dropped."""
    if not value:
        return {}
    if isinstance(value, str):
        return dict(_parsed_parameters(value))
    return {key: item for key, item in value.items() if item is not None}


@lru_cache(maxsize=4096)
def _parsed_parameters(text: str) -> dict[str, object]:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"params of a row are not JSON: {text[:120]!r} ({error}). Write them with json.dumps."
        ) from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise ValueError(f"params of a row must be a JSON object, got {text[:120]!r}.")
    return {key: item for key, item in parsed.items() if item is not None}


def _from_orsta(verifier: str, foreign: dict[str, object]) -> dict[str, object]:
    """Orsta's ``verifier_parm`` in our parameters; it concerns detection only.

    ``det_verifier_normalized`` says that the gold boxes run from 0 to 1000 and that the response's pixels must be
    brought to that scale, for which the row has to say ``size``, as data_prep writes it.
    """
    if verifier != "boxes":
        return {}
    translated: dict[str, object] = {}
    if foreign.get("det_verifier_normalized"):
        translated["gold_scale"] = 1000.0
    ratio = foreign.get("det_reward_ratio")
    if isinstance(ratio, Mapping):
        ratio = {key: float(value) for key, value in ratio.items() if value is not None}
        if ratio:
            translated["det_reward_ratio"] = ratio
    return translated


def _combination(settings: Mapping[str, object] | Combination | None, grading: Grading) -> Combination:
    """The configured combination, with a row's own weights where it has them."""
    if isinstance(settings, Combination) and grading.accuracy_weight is None and grading.format_weight is None:
        return settings
    chosen = settings if isinstance(settings, Combination) else _built(_frozen(settings))
    if grading.accuracy_weight is None and grading.format_weight is None:
        return chosen
    weights = {
        "accuracy": chosen.accuracy if grading.accuracy_weight is None else grading.accuracy_weight,
        "format": chosen.format if grading.format_weight is None else grading.format_weight,
    }
    return Combination(**{**chosen.__dict__, **weights})


def _frozen(settings: Mapping[str, object] | None) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(settings.items())) if settings else ()


@lru_cache(maxsize=64)
def _built(items: tuple[tuple[str, object], ...]) -> Combination:
    return Combination.of(dict(items))
