r"""The final number of a response: from the committed places first, else the number that concludes the running text.

    final_number("3 + 4 = 7, so there are 7 apples in 2019.")     -> Number(value=7, ...)
    final_number(r"The area is $\frac{1+\sqrt{5}}{2}$ cm.")       -> Number(value=1.618..., ...)

In running text the last sentence that states a quantity decides, explanations and checks after it aside ("This is
because ...", "Let me verify: ..."), unless the response opens with the bare value and only explains it.
Not here: which number of a sentence it is about (quantities.py), comparing (verifiers/number.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reward_fns.answer.caseless import Caseless
from reward_fns.answer.phrases import REFUSAL, THEREFORE
from reward_fns.answer.places import stated_pieces
from reward_fns.answer.sentences import SENTENCE_END, split_sentences
from reward_fns.answer.squeeze import squeezed
from reward_fns.answer.wrappers import TEXT
from reward_fns.numbers import numerals
from reward_fns.numbers.numerals import Number
from reward_fns.numbers.quantities import best, expression_number
from reward_fns.symbolic.reading import read
from reward_fns.symbolic.values import is_complex, symbols

MAX_SENTENCES = 40
WINDOW = 600
"""Characters at the end that are split into sentences first."""


def final_number(
    response: str, answer_after_think: bool = False, zero_words: bool = False, year: bool = False
) -> Number | None:
    """The number that ``response`` commits to, or None when it states none.

    Args:
        year: a year may be asked for; otherwise "in 2014" is no quantity as long as there is another one.
        zero_words: "none", "no cats" and the like state 0.
    """
    for piece in stated_pieces(response, answer_after_think):
        if piece.place == "rest":
            found = concluding_number(piece.text, zero_words, year)
        else:
            found = stated_number(piece.text, zero_words, year)
        if found is not None:
            return found
        if piece.place in ("answer", "boxed") and no_single_number(piece.text):
            return None
    return None


def stated_number(text: str, zero_words: bool = False, year: bool = False) -> Number | None:
    """The number of a short committed piece: the piece as a whole, else its best quantity."""
    whole = numerals.parse(text) or expression_number(text)
    if whole is not None:
        return whole
    if no_single_number(text):
        return None
    text = squeezed(text)
    first_sentence = SENTENCE_END.split(text, 1)[0] or text
    found = best(first_sentence, early=True, year=year) or (
        best(text, early=True, year=year) if first_sentence != text else None
    )
    if found is not None and found.kind == "several":
        return None
    if found is None and zero_words and _ZERO.search(text):
        return numerals.parse("0")
    return found


def concluding_number(text: str, zero_words: bool = False, year: bool = False) -> Number | None:
    """The number that running text ends with."""
    if len(text) <= 80:
        whole = numerals.parse(text) or expression_number(text)
        if whole is not None:
            return whole
        if no_single_number(text):
            return None
    opening = _opening_value(text) or _opening_claim(text) or _opening_bold(text)
    if opening is not None:
        return opening
    fallback = None
    stated = False
    for place, sentence in enumerate(sentences_from_end(text)):
        if place < 3 and not stated and REFUSAL.search(sentence):
            return None
        found = best(_main_clause(sentence), year=year)
        stated = stated or found is not None
        if found is not None and found.kind == "several":
            return None
        if found is None:
            if zero_words and fallback is None and _ZERO.search(sentence):
                return numerals.parse("0")
            continue
        if not _EXPLAINS.match(sentence) and found.kind != "weak":
            return found
        fallback = fallback or found
        if place > 8:
            break
    return fallback


_ONE_OF_SEVERAL = r"(?:\w{1,2}\s*=\s*)?-?\d[\d.]*(?:\s+[a-z]+){0,2}"
_BETWEEN_SEVERAL = rf"(?:,\s+|,(?=-?[1-9](?!\d))|\s(?:and|or)\s+|,\s*(?:and|or)\s+|{TEXT}\{{\s*(?:and|or)\s*\}}\s*)"
_SEVERAL = re.compile(rf"(?i)[\s$({{\[]*{_ONE_OF_SEVERAL}\s*{_BETWEEN_SEVERAL}{_ONE_OF_SEVERAL}[\s$)}}\].]*")


def no_single_number(text: str) -> bool:
    """Whether a short text states two numbers ("4 apples and 5 pears", "3 or 5") or mathematics with symbols ("3x"):
    picking one of its numbers would reward hedging."""
    if len(text) > 80:
        return False
    if _SEVERAL.fullmatch(text.strip()):
        return True
    if len(text) > 40 or _ANY_WORD.search(_COMMANDS.sub(" ", text)):
        return False
    tree = read(text).tree
    if tree is None:
        return False
    if tree[0] in ("ratio", "group", "set", "list", "matrix", "pm", "union"):
        return not _GROUPED.fullmatch(text.strip())
    return tree[0] in ("mul", "pow", "add", "div", "neg") and bool(symbols(tree) or is_complex(tree))


_COMMANDS = re.compile(r"\\[A-Za-z]+")
_GROUPED = re.compile(r"\d+(?:,\d{2,})+")  # 10,00: a misplaced separator rather than two numbers
_ANY_WORD = re.compile(r"[A-Za-z]{2,}|[^\x00-\u024f]")


_DERIVED = Caseless(
    r"\b(?:difference|gap|sum|(?:the|in)\s+total|range|ratio|average|mean|median|product"
    r"|perimeter|area|volume|apart|missing|next\s+(?:number|value|term)|(?:final|correct)\s+(?:answer"
    r"|value))\b"
)
MAX_SHORT = 320
"""Characters of a reply that answers first and then says more about the same thing."""


def _opening_claim(text: str) -> Number | None:
    """The value of a first sentence that states what was asked ("The age gap is 7 years."), when the rest only gives
    the details it comes from."""
    sentences = split_sentences(text) if len(text) <= MAX_SHORT else []
    while sentences and best(sentences[0]) is None:  # a description comes before it
        sentences = sentences[1:]
    if not 2 <= len(sentences) <= 4 or not _DERIVED.search(sentences[0]) or REFUSAL.search(sentences[0]):
        return None
    rest = " ".join(sentences[1:])
    if _PART_OF.search(rest):
        return None
    return best(sentences[0]) if not _DERIVED.search(rest) and not _CONCLUDES.search(rest) else None


_PART_OF = Caseless(r"\b(?:among|of|out\s+of)\s+(?:them|these|those)\b")
_BOLD = re.compile(r"\*\*([^*\n]{1,24})\*\*")


def _opening_bold(text: str) -> Number | None:
    """The only bold number, when the first sentence states it and nothing is concluded later."""
    if "**" not in text[:MAX_SHORT]:
        return None
    bold = [number for match in _BOLD.finditer(text) if (number := numerals.parse(match[1])) is not None]
    first = SENTENCE_END.split(text.lstrip(), 1)
    if len(bold) != 1 or len(first) < 2 or "**" not in first[0] or _CONCLUDES.search(first[1]):
        return None
    return bold[0] if _BOLD.search(first[0]) and _CORRECTS.search(first[1]) is None else None


def _opening_value(text: str) -> Number | None:
    """The value that stands alone on the first line, when what follows explains it and concludes nothing."""
    first, newline, rest = text.lstrip().partition("\n")
    if not newline or len(first) > 40:
        opening = _FIRST_CLAUSE.match(text.lstrip()[:60])
        if opening is None:
            return None
        first, rest = opening[1], text.lstrip()[opening.end() :]
    if _MARKER.match(first):
        return None
    value = numerals.parse(first)
    return value if value is not None and not _CONCLUDES.search(rest) and not _CORRECTS.search(rest) else None


def _main_clause(sentence: str) -> str:
    """What a sentence says in the end: after "Since ..., " and after ", so " when a quantity stands there."""
    if _SUBORDINATE.match(sentence):
        _, comma, clause = sentence.rpartition(", ")
        if comma and any(sign.isdigit() for sign in clause):
            sentence = clause
    trailing = _TRAILING.search(sentence)
    if trailing is not None and any(sign.isdigit() for sign in sentence[: trailing.start()]):
        sentence = sentence[: trailing.start()]
    connectors = [match.end() for match in _CONNECTOR.finditer(sentence)]
    if connectors and any(sign.isdigit() for sign in sentence[connectors[-1] :]):
        return sentence[connectors[-1] :]
    return sentence


# ---------------------------------------------------------------------------------------------------------- sentences

_FIRST_CLAUSE = re.compile(r"([^\n]{1,30}?)(?:\s*[—–]\s|,?\s+(?:because|since|as)\s|\.\s+(?=[A-Z][a-z]))")
_MARKER = re.compile(r"(^|\n)(?:\d{1,2}[.)]|[-*•])[ \t]+(?=\S)")
_CALCULATOR = re.compile(r"<<[^<>\n]{0,80}>>")


def sentences_from_end(text: str) -> Iterator[str]:
    """Sentences of running text, last first. The end of a long text is split first; mostly nothing else is needed."""
    given = 0
    for size in (WINDOW, len(text)):
        if size == WINDOW and len(text) <= WINDOW + 200:
            continue
        part = text[-size:]
        part = _CALCULATOR.sub("", part) if "<<" in part else part
        parts = split_sentences(_joined_displays(_MARKER.sub(r"\1", part)))
        if size < len(text):
            parts = parts[1:]  # the first one is cut
        yield from parts[::-1][given:MAX_SENTENCES]
        given = len(parts)


_DISPLAY = re.compile(r"\\\[(.{1,600}?)\\\]|\$\$(.{1,600}?)\$\$", re.DOTALL)


def _joined_displays(text: str) -> str:
    """Displayed mathematics on one line of its own, so that it is one sentence."""
    if "\\[" not in text and "$$" not in text:
        return text
    return _DISPLAY.sub(
        lambda m: "\n$ " + (m.group(1) or m.group(2)).replace("\n", " ").replace("$", "") + " $\n", text
    )


_ZERO = Caseless(
    r"\b(?:none|zero|no (?!matter|doubt|more than|longer|need|idea)\w+|not any|nothing|nobody"
    r"|aren't any|isn't any)\b"
)
_CONCLUDES = Caseless(rf"\b(?:{THEREFORE}|total|in all|altogether|finally|answer)\b|[=≈∴⇒]")
_CORRECTS = Caseless(r"\b(?:actually|wait|sorry|correction|recount\w*|missed|mistake|oops)\b")
_SUBORDINATE = re.compile(r"(?i)[\s*_(]*(?:since|because|as|given that)\b")
_TRAILING = re.compile(r"(?i),?\s+(?:after|because|since|given that|when|if|by \w+ing)\b[^,;]*$")
_CONNECTOR = Caseless(
    rf"(?:,|;|\band)\s+(?:{THEREFORE}|which (?:means|gives|makes|leaves)|giving|making|leaving)\b"
    r"(?! far| that| much| many| on\b)"
)
_EXPLAINS = re.compile(
    r"(?i)^[\s*_(\-•>]*(?:\w+\s+of (?:them|these|those|which)|this (?:is|means|can|was|result|shows"
    r"|includes|answer)|because|since(?![^,]*,)|note|remember|(?:double-?)?check\w*|verif\w+|proof"
    r"|let(?: me|'s| us) (?:double-?)?(?:check|verify)|here|in other words|where|let me know|if you"
    r"|please"
    r"|for example|e\.g|i\.e|recall|explanation|reason(?:ing)?|source|we (?:can"
    r"|could) (?:also )?(?:double-?)?(?:check|verify)|to (?:check|verify)|it is worth|assuming"
    r"|that is because|these|hope|disclaimer|keep in mind|it's important|it is important)\b"
)
