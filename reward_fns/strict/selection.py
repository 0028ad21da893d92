r"""One option, or yes or no, in a committed region.

    option_in("(B) 12 cm", options, several=False)     -> {"B"}, when 12 cm is what B says
    option_in("12 cm", options, several=False)         -> {"B"}
    option_in("A. 12 cm", options, several=False)      -> None, letter and text contradict each other
    option_in("B, maybe C", options, several=False)    -> None
    yes_no_in("Yes, the bar is taller.")               -> True
    yes_no_in("yes and no")                            -> None

Not here: letters in running text (choices/).
"""

from __future__ import annotations

import re

from reward_fns.answer.phrases import THEREFORE, Phrase
from reward_fns.answer.wrappers import unwrapped
from reward_fns.choices.letters import EDGES, LIST
from reward_fns.choices.letters import undressed as with_brackets
from reward_fns.choices.options import Options
from reward_fns.strict.grammar import LEFT_OVER, core
from reward_fns.strict.quantity import number_in

_THING = r"(?:option|choice|answer|letter|statement|figure|image|选项)"
_QUALITY = r"(?:(?:correct|right|best|final)\s+)?"
LETTER = Phrase(
    "a letter in a committed region",
    rf"(?:{THEREFORE},?\s+)?(?:the\s+)?{_QUALITY}(?:{_THING}\s*(?:is\s+|:\s*)?){{0,2}}[(\[]?(?P<letter>[A-Z])[)\].:]*"
    rf"(?:\s+is\s+(?:the\s+)?(?:correct|right|best)(?:\s+{_THING})?)?",
    hits=[
        "B",
        "(B)",
        "the correct answer is B",
        "Option C is correct",
        "answer: option D",
        "so B",
        "B is the best choice",
    ],
    misses=["B or C", "not B", "B because", "Bob", "B, C"],
    at="fullmatch",
)
WITH_TEXT = Phrase(
    "a letter with a text",
    rf"(?s)(?:(?i:{_THING})\s*:?\s*)?[(\[]?(?P<letter>[A-Z])(?:[)\]]\s*[.:]?|[.:](?=\s)|\s*[-–—=:,](?=\s)|(?P<article>(?=\s)))\s*(?P<text>\S.*)",
    hits=["B) 12 cm", "(B) 12 cm", "B. red", "Option B: red", "B - red", "B red"],
    misses=["B", "Bob", "12 cm"],
    at="fullmatch",
    cased=True,
)
LETTERS_ONLY = Phrase(
    "letters and nothing else",
    rf"(?:(?:[Bb]oth|[Oo]nly|[Oo]ptions?|[Cc]hoices?|[Aa]nswers?|[Aa]re)[:\s]{{1,3}}){{0,4}}(?:{LIST}|[A-Z]{{2,8}})",
    hits=["A and C", "A, B", "ACD", "Both A and C"],
    misses=["A or C", "A", "A and not C"],
    at="fullmatch",
    cased=True,
)
_SIGNS_OF_DOUBT = "?<>≤≥±~≠"
"""They vanish when texts are compared."""

_ANOTHER_LETTER = re.compile(r"^[A-Z]$|(?<![A-Za-z])[(\[]?[A-Z][).:\]](?:\s|$)")
_CAPITAL = re.compile(r"(?<![A-Za-z])[A-Z](?![a-z])")


def option_in(text: str, options: Options, several: bool) -> frozenset[str] | None:
    """The letters that a region is; None when it is no option, or says more than one thing.

    Args:
        several: the gold has several letters, which may be run together.
    """
    if len(text) == 1 and text.isascii() and text.isalpha():  # by far the commonest case
        return frozenset(text.upper()) if text.upper() in options.letters else None
    announced = core(text)
    if announced is None or any(
        sign in text and not any(sign in t for t in options.texts.values()) for sign in _SIGNS_OF_DOUBT
    ):
        return None
    for stated in dict.fromkeys((text.strip(), announced)):
        found = _stated(stated, options, several) if stated else None
        if found is not None:
            return found
    return None


def _stated(text: str, options: Options, several: bool) -> frozenset[str] | None:
    bare = with_brackets(text).strip().strip(EDGES.replace("(", "").replace(")", "")).strip()
    letter = LETTER.fullmatch(bare)
    if letter is not None:
        found = letter["letter"].upper()
        return frozenset(found) if found in options.letters else None
    listed = (
        LETTERS_ONLY.fullmatch(bare.strip("() "))
        if bare.upper() not in ("N/A", "NA") and (several or not bare.isalpha())
        else None
    )
    if listed is not None:
        letters = frozenset(_CAPITAL.findall(bare) if any(not c.isalpha() for c in bare) else bare)
        return letters if letters <= options.letters and len(letters) > 1 else None
    both = WITH_TEXT.fullmatch(bare)
    if both is not None and both["letter"] in options.letters and not _is_text(text, options):
        if _own_text(both["letter"], both["text"], both["article"] is None, options):
            return frozenset(both["letter"])
        if both["article"] is None:
            return None
    named = options.named_exactly(text)
    if named is not None:
        return frozenset(named)
    if options.numeric and (number := number_in(text)) is not None:
        named = options.with_value(number)
    elif not LEFT_OVER.search(text):
        named = options.similar_to(text)
    return frozenset(named) if named is not None else None


def contradicts(text: str, options: Options) -> bool:
    """Whether a short text is a letter with the text of another option."""
    both = WITH_TEXT.fullmatch(with_brackets(core(text) or "").strip())
    if both is None or both["letter"] not in options.letters or both["article"] is not None or not options.texts:
        return False
    if options.yes_no is not None and both["letter"] == "A":  # "A: no" is an answer to a question
        return False
    named = options.letter_of(both["text"])
    return named is not None and named != both["letter"] and not options.same_text(named, both["letter"])


def _is_text(text: str, options: Options) -> bool:
    """Whether ``text`` is that of an option to the letter: "A green cat" is no text after the letter A."""
    wanted = text.strip(" .").casefold()
    return any(option.strip(" .").casefold() == wanted for option in options.texts.values())


def _own_text(letter: str, text: str, set_off: bool, options: Options) -> bool:
    """Whether ``text`` is what the option of this letter says; without known texts, whether it takes nothing
    back and is ``set_off`` from the letter by more than a blank."""
    if not options.texts:
        repeated = text.strip(" .()").upper() == letter  # "(C) C", of options that are drawn in the picture
        return set_off and (repeated or (LEFT_OVER.search(text) is None and _ANOTHER_LETTER.search(text) is None))
    if options.is_text_of(letter, text) or options.named_exactly(text) == letter:
        return True
    return LEFT_OVER.search(text) is None and options.similar_to(text) == letter


def names_something(text: str) -> bool:
    """Whether a region that is no option says one thing nevertheless, rather than hedging, denying or nothing."""
    bare = core(text)
    return bare is not None and LEFT_OVER.search(bare) is None


_YES = frozenset({"yes", "true", "correct", "right", "y", "t", "1", "yeah", "yep", "是", "对", "正确", "是的"})
_NO = frozenset({"no", "false", "incorrect", "wrong", "n", "f", "0", "nope", "否", "不", "不是", "错误", "错"})
_SIGNS = re.compile(r"[^\w]+")
_FIRST = re.compile(r"(?is)(?P<word>yes|no|true|false|yeah|yep|nope)\s*[,.;:!—–-]+\s+(?P<clause>.+)")
_TURNS = re.compile(
    r"(?i)\b(?:yes|true|but|however|maybe|perhaps|possibly|might|could|either|or|both|unless|if|although|though|wait"
    r"|actually|unsure|uncertain|doubt\w*|kidding|depends?|wrong|incorrect)\b|\?"
)
"""Words after yes or no that may take it back."""
_DENIES = re.compile(r"(?i)\b(?:not|no|never|neither|nor|false|cannot)\b|n['’]t\b")


_SAID = re.compile(r"(?i)\b(yes|yeah|yep|no|nope)\b(?=\s*(?:$|[,.;:!?/)]|(?:and|or|nor)\b))")


def says_both(text: str) -> bool:
    """Whether a short text says yes and no at once, each set off: "yes and no", "Maybe yes, maybe no"."""
    said = {word.lower() in _YES for word in _SAID.findall(text)}
    return len(said) == 2


def yes_no_in(text: str) -> bool | None:
    """The yes or no that a region is, alone or with a clause that says nothing else."""
    announced = core(text)
    if announced is None or "?" in text:
        return None
    for stated in (text, announced):
        word = _SIGNS.sub("", unwrapped(stated).casefold()) if len(stated) < 60 else ""
        if word in _YES or word in _NO:
            return word in _YES
        first = _FIRST.fullmatch(stated.strip(" *_$\"'"))
        if first is not None:
            value = first["word"].casefold() in _YES
            turned = _TURNS.search(first["clause"]) or (value and _DENIES.search(first["clause"]))
            return None if turned else value
    return None
