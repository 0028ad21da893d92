r"""``math`` without a committed region: what an announcement or running text states.

    against(response, gold, deadline, answer_after_think=False)      -> a verdict

Not here: committed regions, which are read strictly (mathematics.py).
"""

from __future__ import annotations

import re

from reward_fns.answer import commitment
from reward_fns.answer.announced import MAX_TAIL
from reward_fns.answer.commitment import CONDITION, DOUBT, OTHERS, places_of
from reward_fns.answer.places import Piece, stated_pieces
from reward_fns.answer.wrappers import unwrapped
from reward_fns.choices.options import Options
from reward_fns.choices.reading import read_piece, read_prose
from reward_fns.numbers.conclusions import concluding_number, sentences_from_end, stated_number
from reward_fns.numbers.standing import not_of_question, stands
from reward_fns.numbers.tolerance import STRICT
from reward_fns.strict.grammar import LEFT_OVER, core
from reward_fns.strict.quantity import holds
from reward_fns.strict.region import whole_answer
from reward_fns.symbolic.reading import Answer, candidates, mathematics, read, segments, tidied
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, Verdict, decided
from reward_fns.verifiers.math_gold import Gold, agree, ask
from reward_fns.verifiers.number import same_number, shown_as

MAX_WHOLE = 15
"""Digits of the whole numbers, by far the commonest answers, that are compared without reading anything."""

_NO_OPTIONS = Options({})


def against(response: str, gold: Gold, deadline: float, answer_after_think: bool, question: str = "") -> Verdict:
    """The first place that states an answer decides; one that is taken back everywhere is none.

    Args:
        question: what was asked, if known.
    """
    verdict = _first(response, gold, deadline, answer_after_think, question)
    return verdict if verdict.status != "right" or _commits(response, gold) else NO_ANSWER


def _commits(response: str, gold: Gold) -> bool:
    """Whether a response that is read to state the gold states it anywhere without taking it back."""
    whole = whole_answer(response)
    if whole and ("?" in whole[-4:] or DOUBT.search(whole) or OTHERS.search(whole) or CONDITION.search(whole)):
        return False
    if gold.answer.number is not None:
        return holds(whole) and stands(response, gold.answer.number)
    if whole and not gold.words and gold.letter is None:
        known = {*_WORDS.findall(gold.answer.source.lower()), "or", "if"}
        left = {match.group().lower() for match in LEFT_OVER.finditer(_COMMANDS.sub(" ", whole))} - known
        if left or ("≈" in whole and "≈" not in gold.answer.source):
            return False
    sought = gold.letter or (gold.words if len(gold.words) <= MAX_SOUGHT else "")
    tail = response[-MAX_TAIL:]
    return not sought or commitment.stands(tail, places_of(sought, tail))


def _first(response: str, gold: Gold, deadline: float, answer_after_think: bool, question: str) -> Verdict:
    for piece in stated_pieces(response, answer_after_think):
        if gold.letter is not None:
            verdict = _letter(piece, gold)
        elif piece.place == "rest":
            verdict = _conclusion(piece.text, gold, deadline, question)
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
_DIGIT = re.compile(r"\d")
_LETTERS = re.compile(r"[A-Za-z]{2}")
_WORD_BEGINS = re.compile(r"\b[A-Za-z]{2}")
_OTHER_SCRIPT = re.compile(r"[\u0400-\u1fff\u3000-\uffef]|\n")


def _says(text: str) -> bool:
    """Whether a number stands among words: the number that they conclude with is the answer."""
    if _OTHER_SCRIPT.search(text):
        return True
    digit = _DIGIT.search(text)
    if digit is None:
        return False
    letters = _LETTERS.search(text)
    if letters is not None and _DIGIT.search(text, letters.end()):
        return True
    return _WORD_BEGINS.search(text, digit.end()) is not None


_CONDITION = re.compile(r"(?i)\b(?:for|where|when|if|with|all|any|every|since|because)\s*$")
_COPULA = re.compile(r"\b(?:is|are|be|get|obtain|have|equals)\b")
_IS = re.compile(r"(?i)\b(?:is|are|was|were|be|called|named|namely|on)\s+")
_EXPLAINED = re.compile(r"(?i),?\s+(?:because|since|as|which|where|when|so|given)\b|\s+[—–]\s+|;\s")
_SEVERAL = re.compile(r"(?i),|;|/|\bor\b|\band\b|\bis\b.*\bis\b")
MAX_SENTENCE = 200
_CLAIMS = re.compile(r"(?i)\s*(?:so,?\s+|thus,?\s+)?(?:it|the\s+answer|the\s+\w+)\s+is\s")
MAX_WORDS = 2
MAX_SOUGHT = 60
"""Characters of words that are looked for in a response."""

_YES_NO = frozenset({"yes", "no", "true", "false"})


def _mentions(text: str, words: str) -> bool:
    """Whether the words that a short sentence states are the gold's. A sentence states one thing, whatever the gold
    is, so that no sentence is right for two golds that exclude each other."""
    if len(text) > MAX_SENTENCE or words not in normalised(text):
        return False
    said = stated_words(text, words in _YES_NO)
    return words in (said, said.removeprefix("on "))


def stated_words(sentence: str, yes_no: bool = False) -> str:
    """What a sentence says of its subject, in words and normalised; nothing when it is a list of several.

    Args:
        yes_no: the first word answers, what follows explains.
    """
    bare = _COMMANDS.sub(" ", unwrapped(sentence, r" \1 ")).strip(" *_$([{\"'")
    if yes_no:
        first = re.split(r"[,.;:!\s]", bare, maxsplit=1)[0]
        return "" if re.match(r"(?i)no (?!because|since|it|the)\w", bare) else first.lower()
    bare = _EXPLAINED.split(bare)[0]
    said = core(bare)
    if said is None or _SEVERAL.search(said):
        return ""
    if said.strip(" .") == bare.strip(" ."):  # no announcement: what stands after the last "is"
        said = _IS.split(said)[-1]
    return normalised(said)


def _conclusion(text: str, gold: Gold, deadline: float, question: str) -> Verdict | None:
    """Running text without a committed piece: the whole of a short one, else the last mathematics of its conclusion."""
    whole = read(text) if len(text) <= 300 else None
    said = gold.answer.number is not None and _says(_COMMANDS.sub(" ", text))
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
        if question:
            found = not_of_question(text, found, question)
        return decided(same_number(found, gold.answer.number, digits=STRICT), shown_as(found))
    for sentence in sentences_from_end(text):
        if gold.words and _mentions(sentence, gold.words):
            return decided(True, gold.words)
        if gold.words and _CLAIMS.match(sentence) and 0 < len(stated_words(sentence).split()) <= MAX_WORDS:
            return decided(False, sentence[:200])  # "It is Sunday.": other words are claimed
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
