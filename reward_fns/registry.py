"""Verifiers by name: the one registry of the package, because verifiers are what users add.

    @register("colour")
    def colour(response: str, ground_truth: str, *, tolerance: float = 0.0) -> Verdict | bool | float: ...

A verifier gets the whole response and the ground truth and may return a ``Verdict``, a bool or a score in [0, 1].
Parameters come from the row (``reward_model.params``) or from the caller; unknown ones are refused with the list of
known ones. The built-in verifiers are imported on first use, so that ``import reward_fns`` stays cheap in every Ray
worker.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from reward_fns.verdict import Verdict

VerifierFunction = Callable[..., "Verdict | bool | float"]

BUILT_IN = {
    "math": "reward_fns.verifiers.mathematics",
    "choice": "reward_fns.verifiers.choice",
    "number": "reward_fns.verifiers.number",
    "count": "reward_fns.verifiers.number",
    "yes_no": "reward_fns.verifiers.yes_no",
    "text": "reward_fns.verifiers.text",
    "boxes": "reward_fns.verifiers.boxes",
    "point": "reward_fns.verifiers.boxes",
    "sequence": "reward_fns.verifiers.containers",
    "set": "reward_fns.verifiers.containers",
    "dict": "reward_fns.verifiers.containers",
    "judge": "reward_fns.verifiers.judge",
}

# Names that other projects write into their rows for the same thing.
ALIASES = {
    "mathverify": "math",
    "math_verify": "math",
    "detection": "boxes",
    "grounding": "boxes",
    "bbox": "boxes",
    "multiple_choice": "choice",
    "multi_choice": "choice",
    "mcq": "choice",
    "numeric": "number",
    "numerical": "number",
    "counting": "count",
    "boolean": "yes_no",
    "yesno": "yes_no",
    "string": "text",
    "ocr": "text",
    "exact_match": "text",
    "json": "dict",
    "list": "sequence",
}


class Verifier(NamedTuple):
    """A registered verifier and what must be known to call it."""

    name: str
    function: VerifierFunction
    accepts: frozenset[str]
    accepts_any: bool
    isolated: bool = False
    """Run in a worker process, which is killed when ``seconds`` are over."""
    seconds: float = 5.0
    configured: frozenset[str] = frozenset()
    """Parameters that only the caller or the configuration may give, never a data row: addresses, keys, paths."""

    def check(self, params: dict[str, object]) -> None:
        """Refuse parameters that the verifier does not know: a typing error must not silently mean the default."""
        if self.accepts_any:
            return
        unknown = sorted(set(params) - self.accepts)
        if unknown:
            raise TypeError(
                f"Verifier {self.name!r} has no parameter {', '.join(map(repr, unknown))}. "
                f"It knows: {', '.join(sorted(self.accepts)) or 'none'}."
            )

    def check_row(self, params: Mapping[str, object]) -> None:
        """Refuse parameters of a data row that are not a row's to choose. Rows are untrusted: one that names an address
        and a variable would have the variable's value sent there."""
        taken = sorted(self.configured & set(params))
        if taken:
            raise ValueError(
                f"a row must not choose {', '.join(taken)} of verifier {self.name!r}: that is configuration "
                "(reward_kwargs.params, or the environment). Remove it from the row's params."
            )


_registered: dict[str, Verifier] = {}


def register(
    name: str,
    *,
    replace: bool = False,
    isolated: bool = False,
    seconds: float = 5.0,
    configured: Collection[str] = (),
) -> Callable[[VerifierFunction], VerifierFunction]:
    """Add a verifier under ``name``; the function itself is returned unchanged.

    Args:
        replace: allow a name that is taken.
        isolated: run it in a worker process with a deadline and a memory cap, for code that may hang on what models
            write (a parser, a simulator). The worker imports the verifier's module or file, so it must stand in one.
        seconds: the deadline of an isolated verifier.
        configured: parameters that no data row may give (an address, the name of a key, a path); rows that do are
            refused.
    """
    if not name or not isinstance(name, str):
        raise ValueError(f"A verifier needs a name, got {name!r}: write @register('my_name').")

    def decorate(function: VerifierFunction) -> VerifierFunction:
        known = _registered.get(name)
        taken = known is not None or (name in BUILT_IN and function.__module__ != BUILT_IN[name])
        # A module that is loaded twice (verl loads user files by path in every process) registers the same code again.
        same = known is not None and _where(known.function) == _where(function)
        if taken and not replace and not same:
            where = known.function.__module__ if known else BUILT_IN[name]
            raise ValueError(
                f"Verifier {name!r} exists already (in {where}). Choose another name, or pass replace=True."
            )
        parameters = list(inspect.signature(function).parameters.values())
        accepts = frozenset(p.name for p in parameters[2:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        accepts_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        _registered[name] = Verifier(name, function, accepts, accepts_any, isolated, seconds, frozenset(configured))
        return function

    return decorate


def find(name: str) -> Verifier | None:
    """The verifier called ``name``, None when there is none; built-in ones are imported when first asked for."""
    found = _registered.get(name)
    if found is not None:
        return found
    canonical = ALIASES.get(name, name)
    module = BUILT_IN.get(canonical)
    if module is not None:
        importlib.import_module(module)
    return _registered.get(canonical)


def lookup(name: str) -> Verifier:
    """The verifier called ``name``. KeyError with the list of known ones."""
    found = find(name)
    if found is None:
        raise KeyError(
            f"No verifier is called {name!r}. Known: {', '.join(names())}. "
            f"Add your own with @reward_fns.register({name!r})."
        )
    return found


def names() -> list[str]:
    """All verifier names, built-in and registered by users."""
    return sorted(set(BUILT_IN) | set(_registered))


def _where(function: VerifierFunction) -> tuple[str, str]:
    code = getattr(function, "__code__", None)
    return (getattr(code, "co_filename", ""), getattr(function, "__qualname__", repr(function)))
