r"""Letters of options in a piece of text and in running prose.

    read_piece(r"\text{(B)}\ 12", options, several=False)                                -> {"B"}
    read_prose("Option A is too small. So it must be C.", options, several=False)         -> {"C"}
    read_prose("A cat is shown.", options, several=False)                                -> None

Not here: options by their text (options.py), what one sentence says (sentences.py), letters however they are written
(letters.py), lists and tables of options (layouts.py), the order in which places are tried (verifiers/choice.py).
"""

from __future__ import annotations

import re
from itertools import islice

from reward_fns.answer.phrases import REFUSAL, Phrase
from reward_fns.answer.sentences import split_sentences
from reward_fns.answer.squeeze import squeezed
from reward_fns.choices.layouts import RESTATED, own_line, tabulated, without_listed_end
from reward_fns.choices.letters import EDGES, WHOLE, alone, leading, listed, undressed
from reward_fns.choices.options import ALPHABET, Options
from reward_fns.choices.sentences import settled
from reward_fns.choices.weak import weakly
from reward_fns.texts.normal import normalised

MAX_PROSE = 6_000
WINDOW = 500
"""Characters at the end that are looked at first."""

NEAR = 12
"""Sentences at the end in which a settling statement beats an answer at the very beginning."""

QUESTION_AND_ANSWER = Phrase(
    "an answer to a question, unless what follows is no option's text",
    r"A\s?:\s*(?=\S)",
    hits=["A: no"],
    misses=["A. no", "A:"],
    at="match",
    cased=True,
)
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")
COUNTED = Phrase(
    "an option by its number",
    r"(?:option|choice|number|no\.)?\s*[(\[]?(?:([1-9]|1\d|2[0-6])|(i{1,3}|iv|v|vi{0,3}))[)\].:]*",
    hits=["option 3", "(ii)", "2)", "No. 4"],
    misses=["27", "option x", "3 cm"],
    at="fullmatch",
)
_THE_OTHERS = r"(?:other|remaining|incorrect|wrong)\s+(?:possible\s+|answer\s+)?(?:answers?|options?|choices?|letters?)"
OTHERS = Phrase(
    "about the other options",
    r"\bwhy not (?:the )?others?\b"
    rf"|(?:^|\n)[^\n.]{{0,60}}\b{_THE_OTHERS}\b(?:[^\n.]{{0,80}}(?:incorrect|wrong|not|:)|\s*\n)",
    hits=["Why not the others?", "The other options are incorrect", "Remaining choices:"],
    misses=["the other day", "Another option is B"],
)
_OTHERS_SIGNS = ("ther ", "thers", "emaining", "ncorrect ", "rong ")
"""One of these stands in every text in which OTHERS is found; plain search is quicker."""


def read_piece(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that a short committed piece states, None when it states none."""
    bare = undressed(text).strip()
    if not bare:
        return None
    whole = WHOLE.fullmatch(bare.strip(EDGES)) if len(bare) <= 200 else None
    if whole is not None:
        letter = whole.group(1).upper()
        return frozenset(letter) if letter in options.letters else None
    exact = options.letter_of(text)
    if exact is not None:
        return frozenset(exact)
    answered = _answered(bare, options)
    if answered is not None:
        return answered
    found = listed(bare, options, several) or leading(bare, options)
    if found is not None:
        return found
    if options.texts:
        first, rest = bare.lstrip("(*_ ")[:1], bare.lstrip("(*_ ")[1:]
        if first in options.letters and rest[:1].isspace() and normalised(rest) == options.normal.get(first):
            return frozenset(first)
        counted = _counted(bare, options)
        if counted is not None:
            return frozenset(counted)
        misspelt = options.similar_to(text)
        if misspelt is not None:
            return frozenset(misspelt)
    return read_prose(text, options, several, committed=True)


def _answered(bare: str, options: Options) -> frozenset[str] | None:
    answered = QUESTION_AND_ANSWER.match(bare)
    if answered is None:
        return None
    exact = options.letter_of(bare.rpartition("=")[2]) if "=" in bare else None
    return frozenset(exact) if exact else _text_first(bare[answered.end() :].partition("\n")[0], options)


def _counted(bare: str, options: Options) -> str | None:
    """The option that a number names when the options are no numbers: "option 3", "(ii)"."""
    match = COUNTED.fullmatch(bare.strip(" *_.$"))
    if match is None or any(number is not None for number in options.numbers.values()):
        return None
    place = int(match[1]) if match[1] else _ROMAN.index(match[2].lower()) + 1
    return ALPHABET[place - 1] if ALPHABET[place - 1] in options.letters else None


def read_prose(text: str, options: Options, several: bool, committed: bool = False) -> frozenset[str] | None:
    """The letters that running text settles on. ``committed``: the text is short and announced as the answer."""
    text = squeezed(text[-MAX_PROSE:])
    others = OTHERS.search(text) if any(word in text for word in _OTHERS_SIGNS) else None
    if others is not None and others.start() > 0:  # "Why the other options are wrong: ..." explains, it does not choose
        found = _read(text[: others.start()], options, several, committed)
        if found is not None:
            return found
    return _read(text, options, several, committed)


def read_thought(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that an unfinished thought settles on in so many words; mentions do not count there."""
    sentences = split_sentences(undressed(text[-MAX_PROSE:]))
    for sentence in reversed(sentences[-4:]):
        found = settled(sentence, options, several)
        if found is not None:
            return found
    return None


def _read(text: str, options: Options, several: bool, committed: bool) -> frozenset[str] | None:
    if len(text) > 3 * WINDOW:  # mostly the end settles it
        sentences = split_sentences(undressed(text[-WINDOW:]))[1:]
        for sentence in reversed(sentences[-3:]):
            found = alone(sentence, options) or settled(sentence, options, several)
            if found is not None:
                return found
    bare = without_listed_end(RESTATED.sub(" ", undressed(text)))
    sentences = split_sentences(bare)
    if not sentences:
        return None
    found = tabulated(bare[-2 * WINDOW :], options)
    if found is not None:
        return found
    if len(sentences) == 1 and len(sentences[0]) <= 4:
        sentences[0] = sentences[0].upper()
    for place in range(len(sentences) - 1, max(-1, len(sentences) - 1 - NEAR), -1):
        found = None
        if not committed:
            found = alone(sentences[place], options) or own_line(sentences, place, options)
        found = found or settled(sentences[place], options, several)
        if found is not None:
            return found
    if not committed:
        found = _head(bare, options, several)
        if found is not None:
            return found
    for sentence in reversed(sentences[:-NEAR]):
        found = settled(sentence, options, several)
        if found is not None:
            return found
    return weakly(text, sentences, options)


def _head(bare: str, options: Options, several: bool) -> frozenset[str] | None:
    """An answer given first and explained later: "B. because ...", "B" on a line of its own, "(B) 12 cm", "Yes, the
    ..."."""
    lines = [line.strip() for line in islice((line for line in bare[:1_500].splitlines() if line.strip()), 4)]
    if not lines:
        return None
    first = lines[0]
    found = alone(first, options) or listed(first, options, several) or _answered(first, options)
    if found is not None:
        return found
    # An enumeration of all options at the start ("A. ... \n B. ... \n C. ...", "A) x (B) y (C) z") restates the
    # question.
    restated = (
        sum(bool(re.match(r"[-*• ]*\(?[A-Z][).:]\s", line)) for line in lines) > 1
        or len(re.findall(r"\(?\b[A-Z]\)\s", first)) > 1
    )
    if not restated:
        found = leading(first, options)
        if found is not None:
            return found
    return _text_first(first, options)


def _text_first(first: str, options: Options) -> frozenset[str] | None:
    """A first line that is the text of an option, or starts with it: "No, the bar ..."."""
    letter = options.letter_of(first.rstrip(".!")) or _counted(first, options)
    if letter is not None:
        return frozenset(letter)
    opening = re.split(r"[,.:;!\n]", first, maxsplit=1)[0]
    if first[len(opening) :].startswith(":") and len(options.named_in(first)) > 1:
        return None  # "Denver: 12, Boston: 16"
    if opening != first and len(opening) <= 40 and not options.numeric:
        letter = options.letter_of(opening)
        if letter is not None:
            return frozenset(letter)
    return None


def refuses(text: str) -> bool:
    """Whether a short announced text declines to choose: "None of the above", "cannot be determined"."""
    return REFUSAL.search(text) is not None
