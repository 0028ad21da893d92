r"""The options of one multiple-choice question: letters, texts, values, and which of them a piece of text names.

    options = Options({"A": "10 cm", "B": r"6\sqrt{2}"})
    options.letter_of("10")               -> "A", the value decides
    options.letter_of(r"$6 \sqrt 2$")     -> "B"
    options.named_in("about 10 cm long")  -> ["A"]

Not here: letters in a text (reading.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from reward_fns.numbers import numerals, units
from reward_fns.symbolic.compare import same
from reward_fns.symbolic.reading import read
from reward_fns.texts.distances import similarity
from reward_fns.texts.normal import normalised

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SIMILAR = 0.88
"""Similarity from which a short announced text is taken for a misspelt option."""

_YES = frozenset({"yes", "true", "correct", "right"})
_NO = frozenset({"no", "false", "incorrect", "wrong"})


_RATIO = re.compile(
    r"[\s$({]*(\d{1,6}(?:\.\d{1,4})?)\s*(?::|∶|/|\bto\b|\\colon|\\ratio)\s*(\d{1,6}(?:\.\d{1,4})?)[\s$)}.]*"
)


_STACKED = re.compile(r"[\s$({]*\\[dt]?frac\{(\d{1,6})\}\{(\d{1,6})\}[\s$)}.]*")


def _ratio(text: str) -> tuple[str, str] | None:
    """The sides of "1:2", "1: 2", "1 to 2", "1/2"; as written, for 2:4 and 1:2 may be two options."""
    match = (_RATIO.fullmatch(text) or _STACKED.fullmatch(text)) if len(text) <= 40 else None
    return (match[1], match[2]) if match is not None else None


_OPERATES = re.compile(r"\\[a-z]|√|sqrt")


def _minuses(text: str) -> int:
    r"""Minus signs in a mathematical text, which vanish when texts are compared: 2-\sqrt{3} is not 2\sqrt{3}."""
    return sum(map(text.strip(" -–−").count, "-–−")) if _OPERATES.search(text) else 0


class Options:
    """Letters and texts; without texts every letter is allowed and nothing is named."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self.letters = frozenset(texts) or frozenset(ALPHABET)
        self.normal = {letter: normalised(text) for letter, text in self.texts.items()}
        self._minuses = {letter: _minuses(text) for letter, text in self.texts.items()}
        self.numbers = {letter: numerals.parse(text) for letter, text in self.texts.items()}
        self.numeric = bool(texts) and all(number is not None for number in self.numbers.values())
        self._stems = {letter: _stemmed(normal) for letter, normal in self.normal.items()}
        self._blanks = {stem.count(" ") for stem in self._stems.values()}
        self._heads = self._unique_heads()
        self.yes_no = self._yes_no()

    def _yes_no(self) -> dict[bool, str] | None:
        """The letters of yes and no, when the question is one of that kind."""
        yes = [letter for letter, normal in self.normal.items() if normal in _YES]
        no = [letter for letter, normal in self.normal.items() if normal in _NO]
        return {True: yes[0], False: no[0]} if len(yes) == len(no) == 1 else None

    def _unique_heads(self) -> dict[str, str]:
        """Beginnings that stand for an option: "neither" for "neither; the samples have the same temperature"."""
        heads: dict[str, list[str]] = {}
        for letter, text in self.texts.items():
            head, mark, _ = text.partition(";")
            if mark:
                heads.setdefault(normalised(head), []).append(letter)
            pronoun, _, rest = normalised(text).partition(" ")
            if pronoun in ("it", "they") and rest:
                heads.setdefault(rest, []).append(letter)
        return {head: letters[0] for head, letters in heads.items() if head and len(letters) == 1}

    def letter_of(self, text: str) -> str | None:
        """The letter of the option that has this text or this value, words after the value left aside."""
        named = self.named_exactly(text)
        if named is not None:
            return named
        value = numerals.parse(text)
        return self.with_value(value) if value is not None else None

    def named_exactly(self, text: str) -> str | None:
        """The letter of the option whose text this is, or is the beginning that stands for it, or the same ratio or
        expression."""
        if not self.texts:
            return None
        wanted = normalised(text)
        if not wanted:
            return None
        exact = [letter for letter in self.normal if self.is_text_of(letter, text)]
        if exact:
            return exact[0]
        if wanted in self._heads:
            return self._heads[wanted]
        stems: list[str] = []
        if not self.numeric and wanted.count(" ") in self._blanks:
            stem = _stemmed(wanted)
            minuses = _minuses(text)
            stems = [
                letter for letter, other in self._stems.items() if other == stem and self._minuses[letter] == minuses
            ]
        if len(stems) == 1:
            return stems[0]
        ratio = _ratio(text)
        if ratio is not None:
            alike = [letter for letter, option in self.texts.items() if _ratio(option) == ratio]
            if len(alike) == 1:
                return alike[0]
        if numerals.parse(text) is None and len(text) <= 200 and any(sign in text for sign in "\\^/√π_{"):
            return self._letter_of_expression(text)
        return None

    def with_value(self, value: numerals.Number) -> str | None:
        """The letter of the only option with this value; units tell options of equal numbers apart."""
        alike = [
            letter
            for letter, number in self.numbers.items()
            if number is not None
            and number.value == value.value
            and (number.percent == value.percent or not value.percent)
        ]
        if len(alike) > 1 and units.read(value.unit) is not None:  # 8 mL or 8 L
            wanted_unit = units.read(value.unit)
            named = {letter: number.unit for letter, number in self.numbers.items() if number is not None}
            alike = [letter for letter in alike if units.read(named[letter]) == wanted_unit]
        return alike[0] if len(alike) == 1 else None

    def _letter_of_expression(self, text: str) -> str | None:
        given = read(text).tree
        if given is None or given[0] == "text":
            return None
        alike = []
        for letter, option in self.texts.items():
            tree = read(option).tree
            if tree is not None and tree[0] != "text" and same(tree, given):
                alike.append(letter)
        return alike[0] if len(alike) == 1 else None

    def similar_to(self, text: str) -> str | None:
        """The option that a short text misspells, when no other one is near."""
        wanted = normalised(text)
        if len(wanted) < 5 or len(wanted) > 120 or self.numeric:
            return None
        ranked = sorted(
            (
                (similarity(wanted, normal), letter)
                for letter, normal in self.normal.items()
                if normal and self._minuses[letter] == _minuses(text)
            ),
            reverse=True,
        )
        if not ranked or ranked[0][0] < SIMILAR or (len(ranked) > 1 and ranked[1][0] > ranked[0][0] - 0.05):
            return None
        return ranked[0][1]

    def same_text(self, one: str, two: str) -> bool:
        """Whether two letters name options of the same text, as happens in generated data."""
        text = self.normal.get(one)
        return bool(text) and text == self.normal.get(two) and self._minuses[one] == self._minuses[two]

    def is_text_of(self, letter: str, text: str) -> bool:
        """Whether this is the text of the option, spelled alike but for capitals, articles and punctuation."""
        wanted = self.normal.get(letter)
        return bool(wanted) and normalised(text) == wanted and _minuses(text) == self._minuses[letter]

    def named_in(self, text: str) -> list[str]:
        """Letters of the options whose text stands in ``text`` as whole words, in order of their last place; options
        inside longer ones that also match are left out. Singular and plural count as the same when nothing
        matches literally."""
        if not self.texts:
            return []
        found = _inside(f" {normalised(text)} ", self.normal)
        if not found and self._heads:
            longer = {letter: head for head, letter in self._heads.items() if " " in head}
            found = _inside(f" {normalised(text)} ", longer)
        if not found and not self.numeric:
            found = _inside(f" {_stemmed(normalised(text))} ", self._stems)
        return found


def _inside(padded: str, names: Mapping[str, str]) -> list[str]:
    hits = [letter for letter, name in names.items() if name and f" {name} " in padded]
    longest = [a for a in hits if not any(names[a] != names[b] and f" {names[a]} " in f" {names[b]} " for b in hits)]
    return sorted(longest, key=lambda letter: padded.rfind(f" {names[letter]} "))


def _stemmed(text: str) -> str:
    """Words without the endings that tell plural from singular and forms of a verb from each other: "flipped" and
    "flip", "decreases" and "decrease"."""
    return " ".join(_stem(word) for word in text.split())


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in ("ed", "ing"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            word = word.removesuffix(ending)
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word
    return word.removesuffix("e") if len(word) > 4 else word
