"""``text``: free text and OCR answers, by normalised exact match, ANLS, edit distance or token F1; several golds are
accepted.

    verify("<answer>The Eiffel Tower.</answer>", "eiffel tower", "text")                  -> right
    verify("It reads 'STOP 24'", "STOP 25", "text", metric="anls")                        -> wrong, score 0.857
    verify("colour", '["color", "colour"]', "text")                                       -> right

``exact`` (default) gives 1 or 0; the graded metrics give their value as score and count as right from ``threshold`` on.
Answers are cut to ``max_chars`` before distances are computed: edit distance is quadratic.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from reward_fns.answer.places import stated_pieces
from reward_fns.registry import register
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict, decided

METRICS = ("exact", "contains", "anls", "edit", "f1")
MAX_CHARS = 1_000


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
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the stated text with one or several accepted texts.

    Args:
        ground_truth: the accepted text; a list, or a JSON list of strings, when there are several.
        metric: exact, contains (a gold stands in a short answer as whole words), anls, edit (1 - normalised distance)
            or f1 of tokens.
        threshold: score from which the verdict is right; default 0.5 for anls (as in DocVQA), 1.0 for the others.
        golds: further accepted texts.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    accepted = [normalised(gold, case_sensitive) for gold in (*read_golds(ground_truth), *(golds or ()))]
    accepted = [gold[:max_chars] for gold in accepted if gold]
    if not accepted:
        raise GoldError("the ground truth holds no text")
    stated = _stated(response, answer_after_think)
    if stated is None:
        return NO_ANSWER
    answer = normalised(stated, case_sensitive)
    shown = stated[:200]
    if answer in accepted:
        return decided(True, shown)
    if metric == "exact":
        return decided(False, shown)
    if len(answer) > max_chars:  # a page of text is no short answer; cutting it could only flatter it
        return decided(False, shown)
    score = max(_METRIC[metric](answer, gold) for gold in accepted)
    needed = threshold if threshold is not None else (0.5 if metric == "anls" else 1.0)
    if metric == "anls" and score < needed:
        score = 0.0
    return Verdict("right" if score >= needed else "wrong", score, shown)


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


_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|textit|mathbf|mbox|texttt|operatorname)\s*\{([^{}]*)\}")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s%$€£¥°+\-./:']|_")
_LOOSE = re.compile(r"(?<!\d)[./:'\-](?!\d)|(?<=\d)[./:'\-](?!\d)|(?<!\d)[/:'](?=\d)|(?<=\w)'(?=\w)")


@lru_cache(maxsize=8192)
def normalised(text: str, case_sensitive: bool = False) -> str:
    """Unicode folded, LaTeX text wrappers, articles, punctuation and repeated white space removed, lower case unless
    asked otherwise."""
    text = text[: 4 * MAX_CHARS]
    for _ in range(3):
        text = _WRAPPER.sub(r"\1", text)
    text = unicodedata.normalize("NFKC", text).replace("\\", " ")
    folded = text if case_sensitive else text.casefold()
    folded = _PUNCTUATION.sub(" ", folded.replace("$", " ") if folded.count("$") == 2 else folded)
    folded = _LOOSE.sub(" ", folded)
    without = " ".join(_ARTICLES.sub(" ", folded).split())
    return without or " ".join(folded.split())


def edit_distance(one: str, two: str) -> int:
    """Levenshtein distance, two rows of memory."""
    if len(one) < len(two):
        one, two = two, one
    previous = list(range(len(two) + 1))
    for row, left in enumerate(one, 1):
        current = [row]
        for column, right in enumerate(two, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (left != right)))
        previous = current
    return previous[-1]


def similarity(answer: str, gold: str) -> float:
    """1 - distance / longer length: the NLS of ANLS and the score of ``edit``."""
    longest = max(len(answer), len(gold))
    return 1.0 - edit_distance(answer, gold) / longest if longest else 1.0


def token_f1(answer: str, gold: str) -> float:
    """Harmonic mean of precision and recall over words, with multiplicity."""
    given, wanted = answer.split(), gold.split()
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def contains(answer: str, gold: str) -> float:
    """Whether the gold stands in the answer as whole words."""
    return float(f" {gold} " in f" {answer} ")


_METRIC = {"contains": contains, "anls": similarity, "edit": similarity, "f1": token_f1}
