r"""``math`` without a committed region: what an announcement or running text states.

    against(response, gold, deadline, answer_after_think=False)      -> a verdict

Not here: committed regions, which are read strictly (mathematics.py).
"""

from __future__ import annotations

import re

from reward_fns.answer.places import Piece, stated_pieces
from reward_fns.answer.wrappers import unwrapped
from reward_fns.choices.options import Options
from reward_fns.choices.reading import read_piece, read_prose
from reward_fns.numbers.conclusions import concluding_number, sentences_from_end, stated_number
from reward_fns.numbers.tolerance import STRICT
from reward_fns.symbolic.reading import Answer, candidates, mathematics, read, segments, tidied
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, Verdict, decided
from reward_fns.verifiers.math_gold import Gold, agree, ask
from reward_fns.verifiers.number import same_number, shown_as

MAX_WHOLE = 15
"""Digits of the whole numbers, by far the commonest answers, that are compared without reading anything."""

_NO_OPTIONS = Options({})


def against(response: str, gold: Gold, deadline: float, answer_after_think: bool) -> Verdict:
    for piece in stated_pieces(response, answer_after_think):
        if gold.letter is not None:
            verdict = _letter(piece, gold)
        elif piece.place == "rest":
            verdict = _conclusion(piece.text, gold, deadline)
        else:
            verdict = _stated(piece, gold, deadline)
        if verdict is not None:
            return verdict
    return NO_ANSWER


def _letter(piece: Piece, gold: Gold) -> Verdict | None:
    """The gold is the letter of an option."""
    if piece.place == "rest":
        letters = read_prose(piece.text, _NO_OPTIONS, several=False)
    else:
        letters = read_piece(piece.text, _NO_OPTIONS, several=False)
        if letters is None and read(piece.text).key == gold.answer.key:
            return decided(True, gold.letter)
    if letters is None:
        return None if piece.place in ("rest", "phrase") else decided(False, tidied(piece.text)[:200])
    return decided(letters == {gold.letter}, ", ".join(sorted(letters)))


def _stated(piece: Piece, gold: Gold, deadline: float) -> Verdict | None:
    """A committed piece against the gold; None when it holds nothing of the kind."""
    if piece.text.isdigit() and piece.text.isascii() and len(piece.text) <= MAX_WHOLE:
        number = gold.answer.number
        if number is not None and number.value.denominator == 1 and number[1:4] == (None, False, ""):
            return decided(int(piece.text) == number.value.numerator, piece.text)
    hard: str | None = None
    first: Answer | None = None
    for text in candidates(piece.text):
        given = read(text)
        if not given.key:
            continue
        if gold.answer.number is not None and _wordy(given) and given.key != gold.answer.key:
            first = first or given  # its last or only number, found below, not its words as factors
            continue
        outcome = agree(gold, given)
        if outcome:
            return decided(True, given.source[:200])
        if outcome is None:
            hard = hard or given.source
        if first is None:
            first = given
            if outcome is False and not _wordy(given) and not _CUT_OFF.search(given.source):
                break
    if first is None:
        return None
    if gold.answer.number is not None and _wordy(first):
        found = stated_number(piece.text)
        if found is not None:
            return decided(same_number(found, gold.answer.number, digits=STRICT), shown_as(found))
        if piece.place == "phrase":
            return None
    if gold.words and piece.place != "boxed" and _mentions(piece.text, gold.words):
        return decided(True, first.source[:200])
    if hard is not None and (piece.place == "boxed" or not _wordy(first)):
        return ask(gold, hard, deadline)
    if hard is not None:
        inside = segments(piece.text)
        return ask(gold, inside[-1] if inside else hard, deadline)
    return decided(False, first.source[:200])


_CUT_OFF = re.compile(r"(?i)\s(?:not|because|since|rather|instead)\s")
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_WORDS = re.compile(r"[A-Za-z]{2,}")


def _wordy(answer: Answer) -> bool:
    """Whether a piece is prose around an answer rather than an answer."""
    source = _COMMANDS.sub(" ", answer.source)
    return len(_WORDS.findall(source)) > 2 or _IDEOGRAPHS.search(source) is not None


_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}")
_SAYS = re.compile(r"[A-Za-z]{2}.*\d|\d.*\b[A-Za-z]{2}|[\u0400-\u1fff\u3000-\uffef]|\n", re.DOTALL)
"""A number among words: the number that they conclude with is the answer."""

_CONDITION = re.compile(r"(?i)\b(?:for|where|when|if|with|all|any|every|since|because)\s*$")
_COPULA = re.compile(r"\b(?:is|are|be|get|obtain|have|equals)\b")
_YES_NO = frozenset({"yes", "no", "true", "false"})


def _mentions(text: str, words: str) -> bool:
    """Whether a short sentence states the gold words as its answer: at its start or end, or behind "is"; yes
    and no only at its start."""
    said = normalised(_COMMANDS.sub(" ", unwrapped(text, r" \1 ")))
    if len(said) > 200 or words not in said:
        return False
    if words in _YES_NO:
        first = re.split(r"[,.;:!\s]", text.strip(" *_$\\([{\"'"), maxsplit=1)[0]
        return first.lower() == words and not re.match(r"(?i)no (?!because|since|it|the)\w", text.strip(" *_$"))
    padded = f" {said} "
    at = padded.rfind(f" {words} ")
    before = padded[:at].split()
    if at < 0 or any(word in ("not", "no", "neither", "never", "isn't") for word in before[-3:]):
        return False
    return (
        at == 0
        or padded.endswith(f" {words} ")
        or before[-1] in ("is", "are", "was", "be", "called", "on", "named", "namely")
    )


def _conclusion(text: str, gold: Gold, deadline: float) -> Verdict | None:
    """Running text without a committed piece: the whole of a short one, else the last mathematics of its conclusion."""
    whole = read(text) if len(text) <= 300 else None
    said = gold.answer.number is not None and _SAYS.search(_COMMANDS.sub(" ", text)) is not None
    if whole is not None and whole.key:
        outcome = None if said and whole.key != gold.answer.key else agree(gold, whole)
        if outcome or (outcome is False and not _wordy(whole)):
            return decided(bool(outcome), whole.source[:200])
        if outcome is None and not _wordy(whole) and not said:
            return ask(gold, whole.source, deadline)
    if gold.answer.number is not None:
        found = concluding_number(text)
        if found is None:
            return None
        return decided(same_number(found, gold.answer.number, digits=STRICT), shown_as(found))
    for sentence in sentences_from_end(text):
        if gold.words and _mentions(sentence, gold.words):
            return decided(True, gold.words)
        inside = [content for start, _, content in mathematics(sentence) if not _CONDITION.search(sentence[:start])]
        joined = segments(sentence)
        if inside:
            given = read(joined[-1] if joined[-1].endswith(inside[-1]) else inside[-1])
            outcome = agree(gold, given)
            if outcome is None:
                return ask(gold, given.source, deadline)
            return decided(outcome, given.source[:200])
        _, equals, tail = sentence.rpartition("=")
        given = read(tail if equals else _COPULA.split(sentence)[-1])
        if given.tree is not None and given.tree[0] != "text":
            return decided(bool(agree(gold, given)), given.source[:200])
    return decided(False, None) if whole is not None and whole.key else None
