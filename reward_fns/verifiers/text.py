"""``text``: free text and OCR answers, by normalised exact match, ANLS, edit distance or token F1; several golds are
accepted.

    verify("<answer>The Eiffel Tower.</answer>", "eiffel tower", "text")                  -> right
    verify("It reads 'STOP 24'", "STOP 25", "text", metric="anls")                        -> wrong, score 0.857
    verify("colour", '["color", "colour"]', "text")                                       -> right

``exact`` (default) gives 1 or 0; the graded metrics give their value as score and count as right from ``threshold`` on.
An answer longer than ``max_chars`` is wrong for every graded metric: a page of text is no short answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from reward_fns.answer.announced import MAX_TAIL
from reward_fns.answer.commitment import places_of, stands
from reward_fns.answer.places import stated_pieces
from reward_fns.registry import register
from reward_fns.strict.grammar import core
from reward_fns.strict.region import region_to_read
from reward_fns.texts.distances import contains, similarity, token_f1
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, CallError, GoldError, Verdict, decided

METRICS = ("exact", "contains", "anls", "edit", "f1")
MAX_CHARS = 1_000

MORE_WORDS = 5
"""Words that an answer may have beside a gold that it contains."""


@register("text")
def text(
    response: str,
    ground_truth: str | Sequence[str],
    *,
    metric: str = "exact",
    threshold: float | None = None,
    case_sensitive: bool = False,
    max_chars: int = MAX_CHARS,
    golds: Sequence[str] | None = None,
    reading: str = "auto",
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the stated text with one or several accepted texts.

    Args:
        ground_truth: the accepted text; a list, or a JSON list of strings, when there are several.
        metric: exact, contains (a gold stands as whole words in an answer of at most MORE_WORDS more; compute_score
            refuses it, for lists of guesses contain much), anls, edit (1 - normalised distance) or f1 of tokens.
        threshold: score from which the verdict is right; default 0.5 for anls (as in DocVQA), 1.0 for the others.
        golds: further accepted texts.
        reading: strict, lenient or auto (strict where there is an answer block or a box), see reward_fns.strict.
    """
    if metric not in METRICS:
        raise CallError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    wanted = (*read_golds(ground_truth), *(golds or ()))
    accepted = [normalised(gold, case_sensitive) for gold in wanted]
    accepted = [gold[:max_chars] for gold in accepted if gold]
    if not accepted:
        raise GoldError("the ground truth holds no text")
    region = region_to_read(response, reading, answer_after_think)
    if region is None and _PLAIN.fullmatch(response) and normalised(response, case_sensitive) in accepted:
        return decided(True, response.strip())
    stated = _stated(response, answer_after_think) if region is None else region.read(_whole)
    if stated is None:
        return NO_ANSWER
    if "?" in stated and not any("?" in gold for gold in wanted):
        return NO_ANSWER  # asked, not stated
    answer = normalised(stated, case_sensitive)
    announced = core(stated) if answer not in accepted else None
    if announced is not None and normalised(announced, case_sensitive) in accepted:
        stated, answer = announced, normalised(announced, case_sensitive)
    shown = stated[:200]
    if metric == "exact" and answer not in accepted:
        return decided(False, shown)
    tail = response[-MAX_TAIL:]
    if region is None and not stands(tail, places_of(stated[:MAX_CHARS], tail)):
        return NO_ANSWER
    if answer in accepted:
        return decided(True, shown)
    if len(answer) > max_chars:  # cutting it could only flatter it
        return decided(False, shown)
    if metric == "contains":
        accepted = [gold for gold in accepted if len(answer.split()) <= len(gold.split()) + MORE_WORDS]
    score = max((_METRIC[metric](answer, gold) for gold in accepted), default=0.0)
    needed = threshold if threshold is not None else (0.5 if metric == "anls" else 1.0)
    if metric == "anls" and score < needed:
        score = 0.0
    return Verdict("right" if score >= needed else "wrong", score, shown)


_PLAIN = re.compile(r"[\w .,:;'\"()+/%$-]{1,60}", re.ASCII)
"""A whole response of one line without signs that mark, hide or strike out text."""


def _whole(region: str) -> str | None:
    return region if normalised(region, False) else None


def read_golds(ground_truth: str | Sequence[str]) -> list[str]:
    """The accepted texts: a plain string, a sequence, or a JSON list of strings."""
    if not isinstance(ground_truth, str):
        return [str(gold) for gold in ground_truth]
    if ground_truth.lstrip().startswith("["):
        try:
            parsed = json.loads(ground_truth)
        except ValueError:
            return [ground_truth]
        if isinstance(parsed, list) and parsed and all(isinstance(item, str | int | float) for item in parsed):
            return [str(item) for item in parsed]
    return [ground_truth]


def _stated(response: str, answer_after_think: bool) -> str | None:
    """The answer as text: a committed piece, or the last line of a short response."""
    for piece in stated_pieces(response, answer_after_think):
        found = piece.text.strip()
        if piece.place == "rest":
            lines = [line for line in found.splitlines() if line.strip(" *_#-`")]
            found = lines[-1].strip() if lines else ""
        if normalised(found, False):
            return found
    return None


_METRIC = {"contains": contains, "anls": similarity, "edit": similarity, "f1": token_f1}
