r"""``choice``: which option a response commits to, in any format.

    verify("The answer is (B) 12 cm.", "B", "choice", options=["10 cm", "12 cm"])        -> right
    verify("A cat is shown, so I would say not A but C.", "C", "choice")                  -> right
    verify("<answer>12 cm</answer>", "B", "choice", options=["10 cm", "12 cm"])           -> right, the option's text
    verify("Both A and C are right.", "A, C", "choice")                                   -> right, several answers

The committed piece decides (answer block, box, "the answer is ..."); in running text a concluding statement does,
then an answer at the very start ("B. because ..."), then a letter at the very end. Refusals and hedges between
options are no answers. Not here: the patterns that find letters in prose (choices/reading.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from reward_fns.answer.announced import MAX_TAIL
from reward_fns.answer.commitment import AROUND, places_of, stands
from reward_fns.answer.phrases import Phrase
from reward_fns.answer.places import pieces
from reward_fns.choices.layouts import only_lists, without_blocks
from reward_fns.choices.options import ALPHABET, Options
from reward_fns.choices.phrases import ABOUT_DENIAL
from reward_fns.choices.reading import read_piece, read_prose, read_thought, refuses
from reward_fns.registry import register
from reward_fns.strict.region import region_to_read, whole_answer
from reward_fns.strict.selection import contradicts, names_something, option_in, yes_no_in
from reward_fns.verdict import NO_ANSWER, CallError, GoldError, Verdict, decided
from reward_fns.verifiers.yes_no import committed as committed_yes_no

Key = tuple[str, ...] | tuple[tuple[str, str], ...]
"""Golds or options of a row, hashable: texts, or pairs of letter and text."""


@register("choice")
def choice(
    response: str,
    ground_truth: str | Sequence[str],
    *,
    options: Sequence[str] | Mapping[str, str] | str | None = None,
    reading: str = "auto",
    answer_after_think: bool = False,
) -> Verdict:
    """Compare the chosen option (or options) with the gold.

    Args:
        ground_truth: the gold letter, "(B)", "B) 12 cm", several letters ("A, C", "AC", a list), or the text of the
            right option.
        options: texts of the options in order (up to 26), a mapping from letter to text, or either as JSON.
        reading: strict, lenient or auto (strict where there is an answer block or a box), see reward_fns.strict.
    """
    known = read_options(_key(options))
    gold = read_gold(_key(ground_truth), known)
    region = region_to_read(response, reading, answer_after_think)
    if region is not None:
        found = region.read(lambda text: committed(text, known, len(gold) > 1))
        if found is None and known.texts and names_something(region.text):
            return decided(False, region.text[:200])  # none of the options: wrong, and nothing is read in its place
    else:
        found = chosen(response, known, len(gold) > 1, answer_after_think)
    if found is None:
        return NO_ANSWER
    shown = "".join(sorted(found)) if len(found) == 1 else ", ".join(sorted(found))
    if found == gold or any(known.same_text(a, b) for a in found for b in gold if len(found) == len(gold) == 1):
        return Verdict("right", 1.0, shown)
    return Verdict("wrong", 0.0, shown)


def committed(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that a text is, as a whole."""
    found = option_in(text, options, several)
    if found is None and options.yes_no is not None and (value := yes_no_in(text)) is not None:
        return frozenset(options.yes_no[value])
    return found


def chosen(response: str, options: Options, several: bool, answer_after_think: bool) -> frozenset[str] | None:
    """The letters that the response commits to."""
    whole = whole_answer(response)
    found = committed(whole, options, several) if whole else None
    if found is not None:
        return found
    if whole and (contradicts(whole, options) or _refuses(whole, options)):
        return None
    found = _chosen(response, options, several, answer_after_think)
    return found if found is None or _commits(response, whole, found, options) else None


def _refuses(whole: str, options: Options) -> bool:
    """Whether a short response declines to answer, where that is none of the options."""
    return refuses(whole) and not any(refuses(text) for text in options.texts.values())


ABOUT_WRONG = Phrase(
    "names the statement that is wrong, as asked",
    rf"(?:{ABOUT_DENIAL.pattern.replace('$', '')})[^.]{{0,24}}?\b(?:is|are)\s*(?:option\s+)?[:(*]*\s*$",
    hits=["The statement that is NOT true is ", "the incorrect option is (", "which is not correct is "],
    misses=["it is not ", "The answer is not ", "The answer is "],
)


CHOSEN_BY_OTHERS = Phrase(
    "chosen by somebody else",
    r"\b(?!(?:I|We|You)\b)(?:[A-Z][a-z]+|friends?|teacher|neighbou?r|classmates?|students?|brother|sister)"
    r"\s+(?:\w+ly\s+)?(?:chose|chooses|picks|picked|selects|selected|votes? for|went with)"
    r"\s+(?:[Oo]ption\s+|[Aa]nswer\s+)?[(*\"]*$",
    hits=["My friend chose ", "Bob picked option ", "The teacher went with ("],
    misses=["I chose ", "We picked ", "Bob chose wisely, so it is "],
    cased=True,
)


def _commits(response: str, whole: str, found: frozenset[str], options: Options) -> bool:
    """Whether the letters that were read, or the texts of their options, stand anywhere without being taken back."""
    tail = response[-MAX_TAIL:]
    for letter in found:
        text = options.texts.get(letter, "")
        places = [*places_of(letter, tail), *(places_of(text, tail) if 0 < len(text) <= MAX_TEXT else ())]
        asked_for_wrong = any(ABOUT_WRONG.search(tail[max(0, start - AROUND) : start]) for start, _ in places)
        own = [place for place in places if not CHOSEN_BY_OTHERS.search(tail[max(0, place[0] - AROUND) : place[0]])]
        if not asked_for_wrong and ((places and not own) or not stands(tail, sorted(own, reverse=True))):
            return False
    return True


MAX_TEXT = 80
"""Characters of an option's text that is looked for in a response."""


def _chosen(response: str, options: Options, several: bool, answer_after_think: bool) -> frozenset[str] | None:
    response = without_blocks(response)
    if not several and only_lists(response, options):
        return None
    for piece in pieces(response, answer_after_think):
        if piece.place == "rest":
            found = read_prose(piece.text, options, several)
        elif piece.place == "thought":
            found = read_thought(piece.text, options, several)
        else:
            found = read_piece(piece.text, options, several)
        if found:
            return found
        if piece.place == "answer" or (piece.place == "phrase" and refuses(piece.text)):
            return None
    if options.yes_no is not None:
        value = committed_yes_no(response, answer_after_think)
        if value is not None:
            return frozenset(options.yes_no[value])
    return None


def _key(value: str | Sequence[object] | Mapping[str, object] | None) -> str | Key:
    """A hashable form of what rows carry: strings stay, sequences and mappings become tuples."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, Mapping):
        return tuple((str(k), str(v)) for k, v in value.items() if v is not None)
    return tuple(str(item) for item in value)


@lru_cache(maxsize=4096)
def read_options(value: str | Key) -> Options:
    """Options from a sequence, pairs of letter and text, or JSON of either."""
    if isinstance(value, str):
        if not value.strip():
            return Options({})
        try:
            parsed = json.loads(value)
        except ValueError as error:
            raise CallError(
                f"options must be a list, a mapping or JSON of one, got {value[:80]!r} ({error})"
            ) from error
        if not isinstance(parsed, list | dict):
            raise CallError(f"options must be a list or a mapping, got {value[:80]!r}")
        value = _key(parsed)
    texts: dict[str, str] = {}
    for letter, entry in zip(ALPHABET, value, strict=False):
        if isinstance(entry, tuple):
            texts[entry[0].strip(" ().").upper()] = entry[1]
        else:
            texts[letter] = str(entry)
    if len(value) > len(ALPHABET):
        raise CallError(f"at most {len(ALPHABET)} options can be told apart by a letter, got {len(value)}")
    return Options(texts)


@lru_cache(maxsize=8192)
def read_gold(value: str | tuple[str, ...], options: Options) -> frozenset[str]:
    """The gold letters; a ground truth that names no option is the row's fault."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            value = tuple(map(str, parsed))
    parts = (value,) if isinstance(value, str) else value
    letters: set[str] = set()
    for part in parts:
        bare = part.strip(" ().[]*")
        exact = (
            bare if bare in options.letters else options.letter_of(part)
        )  # a letter is a letter, even if another option's text
        found = frozenset(exact) if exact else read_piece(part, options, several=True)
        if not found:
            raise GoldError(f"the ground truth {part[:80]!r} is no letter and none of the options")
        letters |= found
    return frozenset(letters)
