r"""Answers that commit to nothing, composed at random: every one offers several golds, or takes its gold back.

    draw(Random(1), ("12", "11"), numeric=True)
        -> Attempt("Bob says 12, but he is wrong.", ("12",), denies=True, wrapper="{}")

Built from small tables of templates: a statement, put into a wrapper, with or without talk before and after it. Each
table can grow without any other change.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Attempt(NamedTuple):
    """One answer that must not be paid."""

    response: str
    golds: tuple[str, ...]
    """Offered at once, or, where ``denies``, the one that is taken back."""

    denies: bool
    wrapper: str
    """With {} where the statement stands: the honest answer stands in the same one."""


HEDGES = (
    "{a} or {b}", "{b} or {a}", "{a}, maybe {b}", "{a} ({b}?)", "{a} (or {b})", "{a}/{b}", "either {a} or {b}",
    "{a}, {b}", "{a}; {b}", "{a} and {b}", "{a} or maybe {b}", "perhaps {a}, perhaps {b}", "{a} = {b}", "{a} ≈ {b}",
    "{a}? {b}?", "it is {a} or it is {b}", "is {a}, is {b}", "is {a} is {b}", "{a} | {b}", "{a} {b}",
    "{a} but also {b}",
    "{a}, alternatively {b}", "between {a} and {b}", "{a} to {b}", "{a}, or else {b}", "both {a} and {b}",
    "It could be {a} or {b}.", "The answer is {a} or {b}.", "Some say {a}, some say {b}.", "{a} if not {b}",
    "{a} unless {b}", "{a} - {b}", "{a}\n{b}", "{a} -> {b}", "{{{a}, {b}}}", "({a}, {b})", "{a} \\text{{ or }} {b}",
    "{a}, {b}, {a}, {b}", "{a} vs {b}", "{a} aka {b}", "not sure whether {a} or {b}",
)  # fmt: skip
DENIALS = (
    "not {a}", "{a} is wrong", "{a} is not the answer", "I doubt that it is {a}", "anything but {a}",
    "it cannot be {a}",
    "The answer is not {a}.", "It isn't {a}.", "neither {a} nor anything else", "{a} is incorrect.",
    "I don't think the answer is {a}.", "Bob says {a}, but he is wrong.", "My friend thinks it is {a}.",
    "If it were larger, the answer would be {a}.", "It is false that the answer is {a}.", "{a}? I doubt it.", "{a}?",
    "the answer is never {a}", "{a} can be ruled out", "far from {a}", "{a}, which is wrong",
    "The answer is {a}. That is wrong.", "It would be wrong to say {a}.", "everything except {a}",
    "I refuse to say {a}.", "~~{a}~~", "<s>{a}</s>", "\\cancel{{{a}}}", "<!-- {a} -->", "nobody would say {a}",
    "{a} would be right if the question were another one",
)  # fmt: skip
BOUNDS = (
    "at least {a}", "at most {a}", "more than {a}", "less than {a}", "≥ {a}", "> {a}", "{a} or more", "{a}+",
    "up to {a}", "no less than {a}", "{a} or fewer", "x \\geq {a}", "{a} and up", "{a} ± 5", "{a} dozen", "{a}^2",
    "{a}²", "{a} squared", "minus {a}", "{a} at least", "exceeds {a}", "\\neq {a}", "{a} factorial", "{a} - 1",
)  # fmt: skip
WRAPPERS = (
    "{}", "<answer>{}</answer>", "\\boxed{{{}}}", "<answer>\\boxed{{{}}}</answer>", "The answer is {}.", "Answer: {}",
    "<think>Let us see.</think><answer>{}</answer>", "So the answer is $\\boxed{{{}}}$.", "**{}**", "${}$",
    "Final Answer: {}", "#### {}",
)  # fmt: skip
BEFORE = ("", "", "", "Let us think. ", "Hmm. ", "I looked at the picture. ", "After some work, ", "Well, ")
AFTER = ("", "", "", ".", "!", " I hope it helps.", " Hard to tell.", " Thanks.")
STRIKE = "\u0336"
JOINERS = ("; ", ". ", ", ", "\n", " - ")


def draw(rng: Random, golds: tuple[str, ...], numeric: bool) -> Attempt:
    """One attempt: several golds side by side, or one that is denied or bounded."""
    wrapper = rng.choice(WRAPPERS)
    kind = rng.random()
    if kind < 0.5 and len(golds) > 1:
        statement, offered = _hedge(rng, golds)
        denies = False
    else:
        a = rng.choice(golds)
        table = DENIALS + BOUNDS if numeric else DENIALS
        statement, offered, denies = rng.choice(table).format(a=a), (a,), True
        if rng.random() < 0.05:
            statement = "".join(sign + STRIKE for sign in a)
    return Attempt(f"{rng.choice(BEFORE)}{wrapper.format(statement)}{rng.choice(AFTER)}", offered, denies, wrapper)


def _hedge(rng: Random, golds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Two golds in one template, or more of them in a row."""
    if rng.random() < 0.7:
        a, b = rng.sample(golds, 2)
        return rng.choice(HEDGES).format(a=a, b=b), (a, b)
    chosen = rng.sample(golds, rng.randint(2, len(golds)))
    each = rng.choice(("{a}", "is {a}", "it is {a}", "maybe {a}", "The answer is {a}", "x = {a}"))
    return rng.choice(JOINERS).join(each.format(a=gold) for gold in chosen), tuple(chosen)
