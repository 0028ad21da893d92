r"""Letters of options in a piece of text and in running prose.

    read_piece(r"\text{(B)}\ 12", options, several=False)                                -> {"B"}
    read_prose("Option A is too small. So it must be C.", options, several=False)         -> {"C"}
    read_prose("A cat is shown.", options, several=False)                                -> None

Not here: options by their text (options.py), what one sentence says (sentences.py), letters in any dress
(letters.py), the order in which places are tried (verifiers/choice.py).
"""

from __future__ import annotations

import re
from itertools import islice

from reward_fns.answer.denial import DENIAL
from reward_fns.answer.phrases import REFUSAL
from reward_fns.answer.sentences import split_sentences
from reward_fns.answer.squeeze import squeezed
from reward_fns.choices.letters import EDGES, WHOLE, alone, leading, listed, undressed
from reward_fns.choices.options import ALPHABET, Options
from reward_fns.choices.sentences import mentions, mentions_things, settled
from reward_fns.numbers.conclusions import concluding_number
from reward_fns.symbolic.reading import segments
from reward_fns.texts.normal import normalised

MAX_PROSE = 6_000
WINDOW = 500
"""Characters at the end that are looked at first."""

NEAR = 12
"""Sentences at the end in which a settling statement beats an answer at the very beginning."""


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


_ANSWERED = re.compile(r"A\s?:\s*(?=\S)")
""" "A: no" is an answer to a question, unless what follows is no option's text."""


def _answered(bare: str, options: Options) -> frozenset[str] | None:
    answered = _ANSWERED.match(bare)
    if answered is None:
        return None
    exact = options.letter_of(bare.rpartition("=")[2]) if "=" in bare else None
    return frozenset(exact) if exact else _text_first(bare[answered.end() :].partition("\n")[0], options)


_COUNT = re.compile(r"(?i)(?:option|choice|number|no\.)?\s*[(\[]?(?:([1-9]|1\d|2[0-6])|(i{1,3}|iv|v|vi{0,3}))[)\].:]*")


def _counted(bare: str, options: Options) -> str | None:
    """The option that a number names when the options are no numbers: "option 3", "(ii)"."""
    match = _COUNT.fullmatch(bare.strip(" *_.$"))
    if match is None or any(number is not None for number in options.numbers.values()):
        return None
    place = int(match[1]) if match[1] else _ROMAN.index(match[2].lower()) + 1
    return ALPHABET[place - 1] if ALPHABET[place - 1] in options.letters else None


_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")

_NOT_OFFERED = re.compile(
    r"(?i)\bnot\s+(?:\w+\s+){0,3}(?:in|among|one\s+of|any\s+of)\s+(?:the\s+)?(?:\w+\s+)?(?:choices|options|answers)\b"
)
_OTHERS = re.compile(
    r"(?i)\bwhy not (?:the )?others?\b|(?:^|\n)[^\n.]{0,60}\b(?:other|remaining|incorrect|wrong)\s+(?:possible\s+|answer\s+)?(?:answers?|options?|choices?|letters?)\b(?:[^\n.]{0,80}(?:incorrect|wrong|not|:)|\s*\n)"
)


_OTHERS_SIGNS = ("ther ", "thers", "emaining", "ncorrect ", "rong ")


_RESTATED = re.compile(
    r"(?:(?i:choices|options)\s*:?\s*)?\(?A[).:](?=\s)(?:(?!is\b|are\b|correct|right|wrong|false|true)[^\n]){1,80}?[ \t]\(?B[).:](?=\s)(?:(?!is\b|are\b|correct|right|wrong|false|true)[^\n]){1,80}?[ \t]\(?C[).:](?=\s)(?:(?!is\b|are\b|correct|right|wrong|false|true|[Aa]nswer)[^\n]){0,60}"
)
"""All options of the question in one line: "A) 5 B) 8 C) 10"."""


def read_prose(text: str, options: Options, several: bool, committed: bool = False) -> frozenset[str] | None:
    """The letters that running text settles on. ``committed``: the text is short and announced as the answer."""
    text = squeezed(text[-MAX_PROSE:])
    others = _OTHERS.search(text) if any(word in text for word in _OTHERS_SIGNS) else None
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


def without_blocks(text: str) -> str:
    """A response without the lists of options that it repeats or makes up under "Choices:"."""
    return _BLOCK.sub("", text) if "hoices" in text or "ptions" in text else text


_BLOCK = re.compile(r"(?im)^(?:choices|options)\s*:?\s*\n(?:[ \t]*\(?[A-Z][).:][ \t][^\n]*(?:\n|$)){2,}")


def _read(text: str, options: Options, several: bool, committed: bool) -> frozenset[str] | None:
    if len(text) > 3 * WINDOW:  # mostly the end settles it
        sentences = split_sentences(undressed(text[-WINDOW:]))[1:]
        for sentence in reversed(sentences[-3:]):
            found = alone(sentence, options) or settled(sentence, options, several)
            if found is not None:
                return found
    bare = _without_listed_end(_RESTATED.sub(" ", undressed(text)))
    sentences = split_sentences(bare)
    if not sentences:
        return None
    found = _tabulated(bare[-2 * WINDOW :], options)
    if found is not None:
        return found
    if len(sentences) == 1 and len(sentences[0]) <= 4:
        sentences[0] = sentences[0].upper()
    for place in range(len(sentences) - 1, max(-1, len(sentences) - 1 - NEAR), -1):
        found = None
        if not committed:
            found = alone(sentences[place], options) or _own_line(sentences, place, options)
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
    return _weakly(text, sentences, options)


_LISTED = re.compile(r"[-*•\s]*\(?([A-Z])[).:]\s+(.+)")


def only_lists(text: str, options: Options) -> bool:
    """Whether a text asks questions and lists two or more options, under whatever letters, and does nothing else:
    "(C) yes\\n(D) no"."""
    first = text.lstrip().partition("\n")[0].rstrip()
    if not first.endswith("?") and _LISTED.fullmatch(first) is None:  # nearly all responses: nothing else is looked at
        return False
    lines = [line for line in text[: 4 * WINDOW].splitlines() if line.strip() and not line.rstrip().endswith("?")]
    if not 2 <= len(lines) <= len(ALPHABET):
        return False
    rows = [_LISTED.fullmatch(line) for line in lines]
    if not all(rows) or len({row[1] for row in rows}) < 2:
        return False
    texts = {normalised(row[2]) for row in rows} & set(options.normal.values())
    return len(texts) >= 2 or not {row[1] for row in rows} <= options.letters


def _own_line(sentences: list[str], place: int, options: Options) -> frozenset[str] | None:
    """A line that is one option and nothing else ("**60°**", "C) 60°"), unless a neighbour is one too, as in a list of
    them."""
    letter = _option_alone(sentences[place], options)
    around = [sentences[other] for other in (place - 1, place + 1) if 0 <= other < len(sentences)]
    if letter is None or any(_option_alone(other, options) for other in around):
        return None
    return frozenset(letter)


def _option_alone(sentence: str, options: Options) -> str | None:
    if not options.texts or len(sentence) > 160:
        return None
    bare = sentence.strip(" -*•#.:")
    match = re.match(r"\(?([A-Z])[).:]\s+(.+)", bare)
    if match is not None and match[1] in options.letters:
        return match[1] if normalised(match[2]) == options.normal.get(match[1]) else None
    wanted = normalised(bare)
    return next((letter for letter, text in options.normal.items() if text and text == wanted), None)


_OPTION_LINE = re.compile(r"[-*•\s]*\(?([A-Z])[).:]\s(?!.*(?:correct|right|wrong|true|false|yes|no\b|✓|❌))")


def _without_listed_end(bare: str) -> str:
    """Text that ends with the options of the question, one a line and nothing said about them, without those lines."""
    lines = bare.rstrip().split("\n")
    letters = ""
    while len(letters) < len(lines) and (match := _OPTION_LINE.match(lines[-1 - len(letters)])) is not None:
        letters = match[1] + letters
    if len(letters) >= 3 and letters == ALPHABET[: len(letters)] and len(letters) < len(lines):
        return "\n".join(lines[: -len(letters)])
    return bare


_TABLE = re.compile(
    r"(?<![A-Za-z])\(?([A-Z])[).:]{0,2}\s?[-–—:]?\s?(?:is\s)?(?:(correct|right|true|yes|✓|✔|✅)|incorrect|wrong|false|no|❌|✗|✘)(?![a-z])",
    re.IGNORECASE,
)


_VERDICT_LINE = re.compile(
    r"(?m)^[-*•\s]*\(?([A-Z])[).:]\s[^\n]{1,200}?[:–—-]\s(?:(correct|right|true)|incorrect|wrong|false)\b",
    re.IGNORECASE,
)
"""A line an option, the verdict behind a colon: "C. A shift to higher frequency: correct, as ..."."""


def _tabulated(bare: str, options: Options) -> frozenset[str] | None:
    """Every option with its verdict, exactly one of them good: "A: false, B: true, C: false"."""
    rows = {match.group(1): bool(match.group(2)) for match in _TABLE.finditer(bare) if match.group(1).isupper()}
    if len(rows) < 3:
        rows = {match[1]: bool(match[2]) for match in _VERDICT_LINE.finditer(bare)}
    if len(rows) < 3 or sum(rows.values()) != 1 or options.yes_no is not None or not rows.keys() <= options.letters:
        return None
    return frozenset(letter for letter, good in rows.items() if good)


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


def _weakly(text: str, sentences: list[str], options: Options) -> frozenset[str] | None:
    """Without a settling sentence: the only letter of the last one, the option that the conclusion names, the only
    letter at all."""
    letters = mentions(sentences[-1], options)
    if len(letters) == 1:
        return letters
    if _NOT_OFFERED.search(" ".join(sentences[-3:])):
        return None
    last = _LAST_LETTER.search(text.strip()) if len(text) <= MAX_CASUAL else None
    if last is not None and last[1] in options.letters and not mentions_things(text[: last.start(1)]):
        return frozenset(last[1])
    small = _SMALL_END.search(sentences[-1]) if len(text) <= MAX_CASUAL else None
    if small is not None:
        letter = (small[1] or small[2]).upper()
        return frozenset(letter) if letter in options.letters else None
    named = _named_at_end(text, sentences, options)
    if named is not None:
        return frozenset(named)
    if REFUSAL.search(" ".join(sentences[-3:])):
        return None
    letters = frozenset().union(*(mentions(sentence, options) for sentence in sentences[-8:]))
    if len(letters) == 1:
        return letters
    named = options.named_in(" ".join(sentences))
    if not named and len(text) <= MAX_CASUAL:
        misspelt = options.similar_to(text)
        named = [misspelt] if misspelt is not None else []
    return frozenset(named) if len(named) == 1 else None


MAX_CASUAL = 80
"""Characters of a reply in which a small letter may be an answer: "i think its b"."""

_LAST_LETTER = re.compile(r"^(?:(?!\b[A-Z]\b)[^\n])*[^\W\d_]{2,}[\s:,]+([A-Z])[.!]?$")
"""A short reply in any language that ends with its only capital letter."""
_SMALL_END = re.compile(
    r"(?:\b(?i:is|its|it's|it’s|think|say|choose|pick|be|option|answer|with)\b[:\s]+\(?([a-h])\)?[.!]?$|\b([a-h])\)\s+is\b)"
)


def _named_at_end(text: str, sentences: list[str], options: Options) -> str | None:
    """The option whose value or text the last sentences state."""
    if not options.texts:
        return None
    if options.numeric:
        value = concluding_number(text)
        if value is not None:
            alike = [
                letter
                for letter, number in options.numbers.items()
                if number.value == value.value and (number.percent == value.percent or not value.percent)
            ]
            if len(alike) == 1:
                return alike[0]
        return None
    for line in reversed(text.splitlines()[-6:]):
        for segment in reversed(segments(line)):
            letter = options.letter_of(segment.rpartition("=")[2])
            if letter is not None:
                return letter
    stated = [letter for sentence in sentences[:3] if (letter := _stated_last(sentence, options))]
    if len(set(stated)) == 1:
        return stated[0]
    for sentence in reversed(sentences[-3:]):
        kept = _DENIED.sub(" ", _CASE.sub("", sentence))
        named = options.named_in(kept)
        if len(named) == 1 and not DENIAL.search(kept):
            return named[0]
        if len(named) > 1:
            return _compared(kept, options)
    return None


_COPULA = re.compile(r"(?i)\b(?:is|are|was|were|by|called|be)\b(?!\s+not)")


def _stated_last(sentence: str, options: Options) -> str | None:
    """The option that a sentence ends with behind "is": "The highlighted country is Italy."."""
    parts = _COPULA.split(sentence.rstrip(" .!"))
    if len(parts) < 2 or DENIAL.search(sentence) or len(options.named_in(sentence)) > 1:
        return None
    wanted = normalised(parts[-1])
    named = {text: letter for letter, text in options.normal.items() if text}
    found = named.get(wanted.removeprefix("the ").removeprefix("a ").removeprefix("an "))
    if found is None and wanted and any(sign in parts[-1] for sign in "\\^/√π"):
        return options.letter_of(parts[-1])
    return found


_CASE = re.compile(r"(?i)^\s*(?:if|when|as)\b[^,]{1,80},\s*")
"""Repeats the case that is asked about: "If the wolves increase, ..."."""
_DENIED = re.compile(
    r"(?i)(?:\b(?:not|unlike|rather than|instead of|as opposed to|and not|but not)|\b(?:is|are|was|does|do|it)n't)\b(?!\s+only)[^,.;]*(?:[,.;]|$)"
)
_THAN = re.compile(r"(?i)\bthan\b")


def _compared(sentence: str, options: Options) -> str | None:
    """The option that a comparison puts first: "the sun is larger than the moon"."""
    than = _THAN.search(sentence)
    if than is None:
        return None
    first, second = options.named_in(sentence[: than.start()]), options.named_in(sentence[than.end() :])
    return first[0] if len(first) == 1 and first != second else None


def refuses(text: str) -> bool:
    """Whether a short announced text declines to choose: "None of the above", "cannot be determined"."""
    return REFUSAL.search(text) is not None
