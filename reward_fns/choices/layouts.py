r"""How a response lays options out: lists and tables that repeat the question, lines that are one option.

without_blocks("Choices:\nA. 1\nB. 2\nThe answer is B.")     -> "The answer is B."
tabulated("A: false, B: true, C: false", options)           -> {"B"}
own_line(["So:", "C) 60°", "Done."], 1, options)            -> {"C"}
"""

from __future__ import annotations

from reward_fns.answer.phrases import Phrase
from reward_fns.choices.options import ALPHABET, Options
from reward_fns.texts.normal import normalised

MAX_LISTING = 2_000
"""Characters of a response that may be nothing but lists of options."""

_NO_VERDICT = r"(?:(?!is\b|are\b|correct|right|wrong|false|true)[^\n]){1,80}?[ \t]"
_LAST_TEXT = r"(?:(?!is\b|are\b|correct|right|wrong|false|true|[Aa]nswer)[^\n]){0,60}"
RESTATED = Phrase(
    "all options of the question in one line",
    rf"(?:(?i:choices|options)\s*:?\s*)?\(?A[).:](?=\s){_NO_VERDICT}\(?B[).:](?=\s){_NO_VERDICT}\(?C[).:](?=\s){_LAST_TEXT}",
    hits=["A) 5 B) 8 C) 10", "Options: (A) red (B) blue (C) green"],
    misses=["A) 5 B) 8", "A) 5 is wrong B) 8 is right C) 10"],
    cased=True,
)
_LETTER_LINE = r"[ \t]*\(?[A-Z][).:][ \t][^\n]*(?:\n|$)"
BLOCK = Phrase(
    "a block of choices",
    rf"(?m)^(?:choices|options)\s*:?\s*\n(?:{_LETTER_LINE}){{2,}}",
    hits=["Choices:\nA. 1\nB. 2\n"],
    misses=["Choices:\nA. 1", "The choices are many"],
)
LISTED = Phrase(
    "a line that is one option",
    r"[-*•\s]*\(?([A-Z])[).:]\s+(.+)",
    hits=["A. 12 cm", "- (B) red"],
    misses=["A 12", "12 cm"],
    at="fullmatch",
    cased=True,
)
_VERDICT_WORD = r"(?!.*(?:correct|right|wrong|true|false|yes|no\b|✓|❌))"
OPTION_LINE = Phrase(
    "a line of an option without a verdict",
    rf"[-*•\s]*\(?([A-Z])[).:]\s{_VERDICT_WORD}",
    hits=["A. 12 cm", "- (B) red"],
    misses=["A. 12 cm is wrong", "B) red ✓"],
    at="match",
    cased=True,
)
_GOOD = r"(correct|right|true|yes|✓|✔|✅)"
_BAD = r"incorrect|wrong|false|no|❌|✗|✘"
TABLE_ROW = Phrase(
    "a letter with its verdict",
    rf"(?<![A-Za-z])\(?([A-Z])[).:]{{0,2}}\s?[-–—:]?\s?(?:is\s)?(?:{_GOOD}|{_BAD})(?![a-z])",
    hits=["A: false", "(B) is true", "C ✅"],
    misses=["A: 12", "B or true"],
)
VERDICT_LINE = Phrase(
    "a line with an option and its verdict",
    r"(?m)^[-*•\s]*\(?([A-Z])[).:]\s[^\n]{1,200}?[:–—-]\s(?:(correct|right|true)|incorrect|wrong|false)\b",
    hits=["C. A shift to higher frequency: correct, as it is seen"],
    misses=["C. A shift to higher frequency"],
)


def without_blocks(text: str) -> str:
    """A response without the lists of options that it repeats or makes up under "Choices:"."""
    return BLOCK.sub("", text) if "hoices" in text or "ptions" in text else text


def only_lists(text: str, options: Options) -> bool:
    """Whether a text asks questions and lists two or more options, under whatever letters, and does nothing else:
    "(C) yes\\n(D) no"."""
    first = text.lstrip().partition("\n")[0].rstrip()
    if not first.endswith("?") and LISTED.fullmatch(first) is None:  # nearly all responses: nothing else is looked at
        return False
    lines = [line for line in text[:MAX_LISTING].splitlines() if line.strip() and not line.rstrip().endswith("?")]
    if not 2 <= len(lines) <= len(ALPHABET):
        return False
    rows = [row for row in map(LISTED.fullmatch, lines) if row is not None]
    if len(rows) < len(lines) or len({row[1] for row in rows}) < 2:
        return False
    texts = {normalised(row[2]) for row in rows} & set(options.normal.values())
    return len(texts) >= 2 or not {row[1] for row in rows} <= options.letters


def own_line(sentences: list[str], place: int, options: Options) -> frozenset[str] | None:
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
    match = LISTED.match(bare)
    if match is not None and match[1] in options.letters:
        return match[1] if normalised(match[2]) == options.normal.get(match[1]) else None
    wanted = normalised(bare)
    return next((letter for letter, text in options.normal.items() if text and text == wanted), None)


def without_listed_end(bare: str) -> str:
    """Text that ends with the options of the question, one a line and nothing said about them, without those lines."""
    lines = bare.rstrip().split("\n")
    letters = ""
    while len(letters) < len(lines) and (match := OPTION_LINE.match(lines[-1 - len(letters)])) is not None:
        letters = match[1] + letters
    if len(letters) >= 3 and letters == ALPHABET[: len(letters)] and len(letters) < len(lines):
        return "\n".join(lines[: -len(letters)])
    return bare


def tabulated(bare: str, options: Options) -> frozenset[str] | None:
    """Every option with its verdict, exactly one of them good: "A: false, B: true, C: false"."""
    rows = {match.group(1): bool(match.group(2)) for match in TABLE_ROW.finditer(bare) if match.group(1).isupper()}
    if len(rows) < 3:
        rows = {match[1]: bool(match[2]) for match in VERDICT_LINE.finditer(bare)}
    if len(rows) < 3 or sum(rows.values()) != 1 or options.yes_no is not None or not rows.keys() <= options.letters:
        return None
    return frozenset(letter for letter, good in rows.items() if good)
