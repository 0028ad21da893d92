r"""What stands around a number and speaks for or against it as the quantity of its sentence, as a table of points.

    points(Standing(sentence="3 + 5 = 8 hours for 120 miles", number=..., ...))     -> 4.0 for 8, -2.0 for 120

A number gets the points of the first row of BEFORE that applies and of every row of AROUND that applies. Points are
compared with each other only: "=" (4) outweighs "is" (3), bold or "in total" (5) outweigh both, and what denies a
quantity (a comparison, an example, a value set aside by a colon) takes off as much as its best reason gives. Every
row says why. Not here: which numbers are quantities at all, and what happens with equals (quantities.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from reward_fns.answer.caseless import Caseless
from reward_fns.answer.phrases import THEREFORE
from reward_fns.numbers.numerals import Number

LOOK_BEHIND = 48
LOOK_AHEAD = 40
"""Characters before and after a number that are looked at."""


@dataclass
class Standing:
    """A number and its place in a sentence."""

    sentence: str
    number: Number
    rank: int
    """Its place among the quantities of the sentence, from 0."""
    first_end: int
    """Where the first quantity ends."""
    bold: bool
    year: bool
    """Whether a year may be asked for."""

    @cached_property
    def before(self) -> str:
        return self.sentence[max(0, self.number.start - LOOK_BEHIND) : self.number.start]

    @cached_property
    def after(self) -> str:
        return self.sentence[self.number.end : self.number.end + LOOK_AHEAD]

    @cached_property
    def labelled(self) -> bool:
        return _LABELLED.search(self.before) is not None

    @cached_property
    def aside(self) -> bool:
        """After a colon that follows another quantity: "7 people: 4 men and 3 women"."""
        return 0 <= self.sentence.find(": ", self.first_end) < self.number.start

    @cached_property
    def named_by_colon(self) -> bool:
        return self.aside and _IS_COLON.search(self.before) is not None

    def between(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` stands between the first quantity and this later one."""
        return self.rank > 0 and pattern.search(self.sentence, self.first_end, self.number.start) is not None

    def in_parentheses(self) -> bool:
        opened = self.sentence.rfind("(", 0, self.number.start)
        return opened > 0 and self.sentence.find(")", opened, self.number.start) < 0


@dataclass(frozen=True)
class Row:
    points: float
    reason: str
    applies: Callable[[Standing], bool]


# ----------------------------------------------------------------------------------------------------------- patterns

_MARK = r"(?:\\?\$|\\\(|\*\*)?\s*$"
"""What opens a number: a dollar of money or of mathematics, bold."""
_MONEY = r"(?:\\?\$)?$"

_EQUALS = re.compile(rf"(?:=|≈|≃|→|⇒|\\approx|\\Rightarrow)\s*{_MARK}")
_EQUALS_INSIDE = re.compile(r"(?:\$|\\\(|\\\[)\s*=")  # \( = 500 \)
_COLON = re.compile(rf"[:：]\s*{_MARK}")
_IS_COLON = Caseless(rf"\b(?:is|are|was|were|be|equals?)\s*[:：]\s*{_MARK}")

_BEING = r"is|are|was|were|be|equals?|becomes?|remains?|there'?s|makes?|gives?|yields?|total(?:s|ed|ing)?|count"
_HAVING = r"have|has|had|gets?|get|find|see|obtain|received?s?|contains?|requires?|needs?|takes?|took|leaves?|left"
_MEASURING = r"reads?|shows?|measures?|weighs?|costs?|paid|pays?|earns?|earned|spends?|spent|saves?|saved"
_TRADING = r"ate|eats?|sold|sells?|bought|buys?|used?"
_NEARLY = r"about|approximately|only|exactly|roughly|around"
_ADVERBS = rf"(?:total\s+of|{_NEARLY}|equal\s+to|now|also|still|just|at\s+least|at\s+most|up\s+to)"
_COPULA = Caseless(
    rf"\b(?:{_BEING}|{_HAVING}|{_MEASURING}|{_TRADING}|{_NEARLY})\s*(?::\s*)?(?:a\s+|an\s+)?"
    rf"(?:{_ADVERBS}\s+)*(?:\\?\$|\\\(|\*\*|US\\?\$|€|£)?\s*$"
)
_SUMS_UP = r"together|altogether|giving|making|totall?ing|for\s+a\s+total\s+of|in\s+total|i\.e\."
_CONCLUDES = Caseless(
    rf"(?:\b(?:{THEREFORE}|{_SUMS_UP})\b|∴)\s*,?\s*"
    rf"(?:there\s+(?:are|is)\s+|we\s+(?:have|get)\s+|it\s+is\s+|about\s+|only\s+)?{_MARK}"
)
_GIVEN_THAT = r"at|when|if|where|with|for|given|since|let|using|assuming"
_CONDITION = Caseless(
    rf"\b(?:{_GIVEN_THAT})\s+[^,;.=\d]{{0,24}}=\s*"
    r"(?:[-\d./]+\s*(?:,|and|or|to|,\s*and)\s+(?:\w\s*=\s*)?){0,3}(?:\\?\$)?\s*$"
)
_APPROACHES = Caseless(r"\bas\s+\\?\$?\w\s*(?:→|->|\\to|\\rightarrow|approaches|tends\s+to|goes\s+to)\s*$")
_NO_PURPOSE = r"(?<!needs )(?<!need )(?<!has )(?<!have )(?<!had )(?<!able )(?<!going )"
_PURPOSE = rf"{_NO_PURPOSE}\bto\s+(?!about|approximately|only|exactly|roughly|just|be)\w+"
_SUBORDINATE = Caseless(rf"(?:\bhaving\s+\w+|\bwhile|\bwhereas|{_PURPOSE})\s+{_MONEY}")
_MORE = r"more|less|fewer|greater|higher|lower|larger|smaller|bigger"
_BOUND = Caseless(rf"\b(?:at\s+(?:least|most)|(?:{_MORE})\s+than|exceed\w*)\s+{_MONEY}")
_OF = r"of|after|from|for|per|in|with|among|at|than|over|within|on|into|times|by|divided\s+by"
_WHICH = r"each|every|the|these|those|all|both|first|last|other|another|next"
_AGAINST = Caseless(
    rf"\b(?:{_OF}|{_WHICH}|when|if|since|because|using|given)\s+"
    r"(?:the\s+|all\s+|a\s+|these\s+|those\s+)?(?:\\?\$|\\\()?\s*$"
)
_SHARED = re.compile(r"(?i),\s+with\s+$")
_EACH_AFTER = re.compile(r"(?i)\s*\w+\s+(?:in\s+each|per|each)\b")
_COMPARED_AFTER = re.compile(
    r"(?i)^\s*(?:\w+\s+){0,1}(?:more|fewer|less|greater|higher|lower|older|younger|times)\s+(?:\w+\s+){0,3}than\b"
)
_LABELLED = Caseless(r"\b(?:sum|total|difference|average|mean|result|answer|product)\s*[:=]\s*(?:\\?\$|\*\*)?\s*$")
_TOTAL_AFTER = re.compile(r"(?i)\s*(?:\w+\s+){0,2}(?:in\s+total|altogether|in\s+all)\b")
_SUBJECT_AFTER = re.compile(r"(?i)\s*(?:is|was|are|were)\s+the\s")
_NAMELY = re.compile(r"(?i)\b(?:namely|such\s+as|including|for\s+example|e\.g)\b")
_RELATIVE = re.compile(r"(?i)\b(?:that|who|whose)\s+(?!is\b|makes|gives|equals|leaves|means|totals?)")
_DERIVES = Caseless(rf"\b{THEREFORE}\b|=[^=]*=[^=]*=[^=]*=")
_YEAR_NAMED = Caseless(r"\byear\s+(?:is\s+|was\s+)?$")


# -------------------------------------------------------------------------------------------------------------- tables


def _found_before(*patterns: Caseless | re.Pattern[str]) -> Callable[[Standing], bool]:
    return lambda s: any(pattern.search(s.before) for pattern in patterns)


BEFORE = (
    Row(-3, 'a condition, not a result: "when x = 3", "as x → 0", "to reach 10", "at least 5"',
        _found_before(_CONDITION, _APPROACHES, _SUBORDINATE, _BOUND)),
    Row(4, 'what a division comes to: "4 groups, with 2 dots in each"',
        lambda s: _SHARED.search(s.before) is not None and _EACH_AFTER.match(s.after) is not None),
    Row(4, "an equation ends here", _found_before(_EQUALS)),
    Row(4, r"an equation ends inside the mathematics: \( = 500 \)",
        lambda s: _EQUALS_INSIDE.match(s.sentence, s.number.start) is not None),
    Row(3.5, 'a conclusion: "so 8", "for a total of 8"', _found_before(_CONCLUDES)),
    Row(3, 'a statement: "there are 8", "it costs 8"', _found_before(_COPULA)),
    Row(2, 'named by what stands before the colon: "Total hours: 8"', _found_before(_COLON)),
    Row(-2, 'part of a description: "of 12", "after 3", "the 5"', _found_before(_AGAINST)),
)  # fmt: skip
"""What stands before the number; the first row that applies counts."""

AROUND = (
    Row(1, 'a colon after a verb names the answer: "the number at step 6 is: 851"', lambda s: s.named_by_colon),
    Row(-4, 'details after a colon: "7 people: 4 men and 3 women"; in a derivation a colon sets nothing aside',
        lambda s: s.aside and not s.named_by_colon and not s.labelled
        and _DERIVES.search(s.sentence, s.first_end) is None),
    Row(-4, 'one side of a comparison: "3 more apples than"', lambda s: _COMPARED_AFTER.match(s.after) is not None),
    Row(5, 'called the result: "sum = 8", "8 in total"',
        lambda s: s.labelled or _TOTAL_AFTER.match(s.after) is not None),
    Row(4, 'the subject of the sentence: "8 is the ..."',
        lambda s: not s.before.strip(" *") and _SUBJECT_AFTER.match(s.after) is not None),
    Row(-5, 'an example: "two numbers, namely 3 and 5"', lambda s: s.between(_NAMELY)),
    Row(-3, 'in a relative clause: "8 children who have 2 pets"', lambda s: s.between(_RELATIVE)),
    Row(4, 'a year that is asked for: "the year 1969"',
        lambda s: s.year and _YEAR_NAMED.search(s.before) is not None),
    Row(5, "the author made it bold", lambda s: s.bold),
    Row(-0.5, "digits before words, when nothing else decides", lambda s: s.number.kind == "word"),
    Row(-2.5, "in parentheses", Standing.in_parentheses),
)  # fmt: skip
"""What else is known about the number; every row that applies counts."""


def points(standing: Standing) -> float:
    """The sum of what speaks for a number and against it."""
    first = next((row.points for row in BEFORE if row.applies(standing)), 0.0)
    return first + sum(row.points for row in AROUND if row.applies(standing))
