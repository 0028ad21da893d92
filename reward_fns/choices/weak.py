r"""What a response says of the options when no sentence settles it: its only letter, the option that its end names.

    weakly(text, sentences, options)     -> {"C"}, or None

Used last, after all that commits more.
"""

from __future__ import annotations

from reward_fns.answer.denial import DENIAL, NOT_THESE
from reward_fns.answer.phrases import REFUSAL, Phrase
from reward_fns.choices.options import Options
from reward_fns.choices.sentences import mentions, mentions_things
from reward_fns.numbers.conclusions import concluding_number
from reward_fns.symbolic.reading import segments
from reward_fns.texts.normal import normalised

MAX_CASUAL = 80
"""Characters of a reply in which a small letter may be an answer: "i think its b"."""

_ONE_OF = r"(?:in|among|one\s+of|any\s+of)"
NOT_OFFERED = Phrase(
    "not among the options",
    rf"\bnot\s+(?:\w+\s+){{0,3}}{_ONE_OF}\s+(?:the\s+)?(?:\w+\s+)?(?:choices|options|answers)\b",
    hits=["It is not among the options", "not listed in the given choices", "not one of the answers"],
    misses=["among the options", "not in the picture"],
)
LAST_LETTER = Phrase(
    "a short reply in any language that ends with its only capital letter",
    r"^(?:(?!\b[A-Z]\b)[^\n])*[^\W\d_]{2,}[\s:,]+([A-Z])[.!]?$",
    hits=["je pense que c'est B", "the answer: C."],
    misses=["A or maybe B", "B", "it is BC"],
    cased=True,
)
_SAYING = r"\b(?i:is|its|it's|it’s|think|say|choose|pick|be|option|answer|with)\b"
SMALL_END = Phrase(
    "a casual reply with a small letter",
    rf"(?:{_SAYING}[:\s]+\(?([a-h])\)?[.!]?$|\b([a-h])\)\s+is\b)",
    hits=["i think its b", "Say c.", "b) is it"],
    misses=["it is big", "a cab"],
    cased=True,
)
COPULA = Phrase("is", r"\b(?:is|are|was|were|by|called|be)\b(?!\s+not)", hits=["it is red"], misses=["it is not red"])
CASE = Phrase(
    "repeats the case that is asked about",
    r"^\s*(?:if|when|as)\b[^,]{1,80},\s*",
    hits=["If the wolves increase, "],
    misses=["Wolves increase, ", "if so"],
)
THAN = Phrase("than", r"\bthan\b", hits=["larger than the moon"], misses=["thank"])


def weakly(text: str, sentences: list[str], options: Options) -> frozenset[str] | None:
    """Without a settling sentence: the only letter of the last one, the option that the conclusion names, the only
    letter at all."""
    letters = mentions(sentences[-1], options)
    if len(letters) == 1:
        return letters
    if NOT_OFFERED.search(" ".join(sentences[-3:])):
        return None
    last = LAST_LETTER.search(text.strip()) if len(text) <= MAX_CASUAL else None
    if last is not None and last[1] in options.letters and not mentions_things(text[: last.start(1)]):
        return frozenset(last[1])
    small = SMALL_END.search(sentences[-1]) if len(text) <= MAX_CASUAL else None
    if small is not None:
        letter = (small[1] or small[2]).upper()
        return frozenset(letter) if letter in options.letters else None
    named = _named_at_end(text, sentences, options)
    if named is not None:
        return frozenset(named)
    if REFUSAL.search(" ".join(sentences[-3:])):
        return None
    letters = frozenset[str]().union(*(mentions(sentence, options) for sentence in sentences[-8:]))
    if len(letters) == 1:
        return letters
    stated = options.named_in(" ".join(sentences))
    if not stated and len(text) <= MAX_CASUAL:
        misspelt = options.similar_to(text)
        stated = [misspelt] if misspelt is not None else []
    return frozenset(stated) if len(stated) == 1 else None


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
                if number is not None
                and number.value == value.value
                and (number.percent == value.percent or not value.percent)
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
        kept = NOT_THESE.sub(" ", CASE.sub("", sentence))
        named = options.named_in(kept)
        if len(named) == 1 and not DENIAL.search(kept):
            return named[0]
        if len(named) > 1:
            return _compared(kept, options)
    return None


def _stated_last(sentence: str, options: Options) -> str | None:
    """The option that a sentence ends with after "is": "The highlighted country is Italy."."""
    parts = COPULA.split(sentence.rstrip(" .!"))
    if len(parts) < 2 or DENIAL.search(sentence) or len(options.named_in(sentence)) > 1:
        return None
    wanted = normalised(parts[-1])
    named = {text: letter for letter, text in options.normal.items() if text}
    found = named.get(wanted.removeprefix("the ").removeprefix("a ").removeprefix("an "))
    if found is None and wanted and any(sign in parts[-1] for sign in "\\^/√π"):
        return options.letter_of(parts[-1])
    return found


def _compared(sentence: str, options: Options) -> str | None:
    """The option that a comparison puts first: "the sun is larger than the moon"."""
    than = THAN.search(sentence)
    if than is None:
        return None
    first, second = options.named_in(sentence[: than.start()]), options.named_in(sentence[than.end() :])
    return first[0] if len(first) == 1 and first != second else None
