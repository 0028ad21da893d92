"""What sentences say about the letters of options: choosing, calling right, denying, mentioning.

Tables of phrases only, in the order in which sentences.py uses them.
"""

from __future__ import annotations

from reward_fns.answer.phrases import SURELY, THEREFORE, Phrase
from reward_fns.choices.letters import LIST, ONE

_LETTER = r"(?:\((?P<bracketed>[A-Za-z])\)|(?P<bare>[A-Z])(?![A-Za-z'’\-_^=+*/(]|\s*[=+*/^]))"
_AFTER_NAME = r"because|since|as|and|but|due|given|which|for|with|is|would|seems|matches|has|here|in|on|from|then"
_NO_ARTICLE = rf"(?!(?<=\s[AI])\s+(?!(?:{_AFTER_NAME})\b|\()[A-Za-z])"
"""A bare "A" before a word is the article, unless the word cannot follow an article."""

# ------------------------------------------------------------------------------------ a letter that is chosen

_VERBS_OF_CHOICE = (
    r"is|are|be|choose|chose|select|selected|pick|picked|chosen|go(?:ing)?\s+with|went\s+with|opt\s+for|settle\s+on"
    r"|guess|say|think|believe|vote\s+for|mark|prefer"
)
_VERBS_OF_RESULT = (
    r"match(?:es|ing)?|corresponds?\s+to|corresponding\s+to|lean(?:ing)?\s+towards?|points?\s+to"
    r"|leads?\s+(?:us\s+)?to|becomes|remains|leaves"
    r"|(?:left|stick|stay|ends?|ending|agrees?|up|going|consistent|leaves\s+us)\s+with"
)
_OPENERS = rf"namely|i\.e\.,?|{THEREFORE}|that's|it's|its|but|only|answer|option|choice"
_ADVERB = (
    rf"(?:(?:most\s+)?(?:{SURELY}|{THEREFORE}|indeed|simply|just|still|actually)\s+)?"
    r"(?:only\s+|option\s+|to\s+|either\s+)?"
)
_QUALITY = r"(?:correct\s+|right\s+|best\s+|final\s+|most\s+\w+\s+)?"
_THING = r"(?:answer|option|choice|letter|statement|figure|image|picture|selection|graph|diagram)"
_NOUN = rf"(?:(?:the\s+|an?\s+)?{_QUALITY}{_THING}(?:\s+(?:choice|option|letter))?\s*(?:is\s+|:\s*)?)?"

CHOOSES = Phrase(
    "chooses a letter",
    rf"(?P<verb>\b(?:{_VERBS_OF_CHOICE}|{_VERBS_OF_RESULT}|{_OPENERS})\b|[=→⇒➡:：∴]|选择?|是|为)"
    rf"\s{{0,2}}[,:：]?\s{{0,2}}{_ADVERB}{_NOUN}[:\s]{{0,3}}{_LETTER}{_NO_ARTICLE}",
    hits=[
        "so it must be (C)",
        "The answer is B",
        "I would go with D.",
        "thus B",
        "∴ C",
        "选B",
        "that leaves us with D",
    ],
    misses=["it is A cat", "the area = B^2", "is Bob", "so it is big"],
)

_SEEMS = r"(?:is|are|seems?|appears?|would\s+be|must\s+be|looks|fits|matches|best)"
_VERY = rf"(?:indeed\s+|{THEREFORE}\s+|clearly\s+|the\s+|a\s+|most\s+|only\s+|more\s+|one\s+|best\s+|our\s+)*"
_GOOD = (
    r"(?:correct|right|better|accurate|appropriate|best|answer|true|valid|suitable|likely|fitting|logical|reasonable"
    r"|option|choice|plausible|describes|matches|represents|fits|description|one\s+that\s+\w+)"
)
_SAME_LETTER = r"(?:(?!\b[A-Z]\b)[^.\n]){0,60}"

IS_RIGHT = Phrase(
    "a letter is called right",
    rf"{_LETTER}{_SAME_LETTER}?\b{_SEEMS}\s+(?:to\s+be\s+)?{_VERY}{_GOOD}\b",
    hits=["(B) is correct", "B seems to be the best answer", "C, the third, is right", "B is indeed the most likely"],
    misses=["(B) is wrong", "b is correct"],
    cased=True,
)
_DOES_BEST = r"(?:match|fit|describ|represent|satisf|answer|explain|show|agree)\w*"
IS_BEST = Phrase(
    "a letter does best",
    rf"{_LETTER}\s+(?:(?:best|correctly|most\s+\w+)\s+\w+|{_DOES_BEST}\b{_SAME_LETTER}\b(?:best|most\s+\w+)\b)",
    hits=["B best describes it", "(C) matches the data best", "D most closely matches"],
    misses=["B shows a cat", "(C) matches"],
    cased=True,
)
IS_RIGHT_IN_CHINESE = Phrase(
    "a letter is called right in Chinese",
    rf"(?:选项\s?)?{_LETTER}\s?(?:选项|项)?(?:是|为)?(?:正确|对)",
    hits=["选项B正确", "B项是正确"],
    misses=["B项错误"],
    cased=True,
)

# ------------------------------------------------------------------------------------ a letter that is denied

_IS = r"(?:is|are|was|can\s+be|cannot|can't|isn't|aren't|does\s+not|doesn't|would\s+not|wouldn't|seems?)"
_NOT_GOOD = (
    r"(?:not\b|n't\b|incorrect|wrong|false|eliminated|ruled\s+out|excluded|out\b|too\b|unlikely|invalid|impossible"
    r"|inaccurate|discarded|rejected|irrelevant|be\b|match\b|fit\b)"
)
_RIGHT_IF = r"(?:would|could|might)\s+(?:be|have been)\s+(?:the\s+)?(?:correct|right)[^.\n]{0,20}\bif\b"
DENIED_AFTER = Phrase(
    "denied after a letter",
    r"[).,:\s]{0,4}(?:[^.\n;]{0,60}?\b)?"
    rf"(?:{_IS}\s*(?:also\s+|clearly\s+|{THEREFORE}\s+|be\s+|the\s+)*{_NOT_GOOD}|{_RIGHT_IF})",
    hits=[" is wrong", ") is too small", " cannot be right", " can be ruled out", " would be correct if x = 1"],
    misses=[" is right", ". It is hot", " because it is large"],
    at="match",
)
BECAUSE = Phrase(
    "because", r"[).,:\s]{0,4}(?:because|since|as)\b", hits=[", because", " as it"], misses=[" is"], at="match"
)
_ASKED = r"\b(?:that|which|who)\b[^,.;]*(?:\bnot\b|n't)[^,.;]*$"
_NOT_TRUE = r"\bnot\s+(?:true|correct|supported|valid|consistent|shown|a|an)\b[^,.;]*$"
ABOUT_DENIAL = Phrase(
    "what was asked for is itself a denial",
    rf"{_ASKED}|{_NOT_TRUE}|\b(?:incorrect|wrong|false)\s+(?:statement|option|answer|one|choice)\s*$",
    hits=["the statement that is not true", "The one which does not fit", "The incorrect statement "],
    misses=["The answer", "this is not clear, but the answer"],
)
DOUBTED = Phrase(
    "doubted before",
    r"\b(?:at first(?: glance| sight)?|initially|although|though|while|might|may|could|tempting|whether|if)\b[^.,;:]*$",
    hits=["at first glance ", "Although ", "it is tempting to say "],
    misses=["at first, ", "clearly "],
)
NONE_OF = Phrase(
    "none of several",
    r"\b(?:none|neither)\s+of\b[^.]*$",
    hits=["none of the statements ", "neither of A and "],
    misses=["none of them. But ", "one of "],
)
BUT = Phrase(
    "taken back with but",
    r"\w*[^.\n,;]{0,40},?\s+(?:but|however|yet)\b(?!\s+(?:not|[A-Z]\b))",
    hits=[", but it fails", " in part but only"],
    misses=[", but not C", " but C"],
    at="match",
)

# ------------------------------------------------------------------------------------ a letter that is mentioned

_NAMED_THING = (
    r"(?:[Oo]ption|OPTION|[Cc]hoice|[Aa]nswer|[Ll]etter|[Ff]igure|[Dd]iagram|[Ii]mage|[Gg]raph|[Pp]icture|[Ss]hape"
    r"|[Pp]anel|[Pp]attern|[Ss]tatement)"
)
WORDED = Phrase(
    "a letter with its noun",
    rf"\b{_NAMED_THING}s?\s*:?\s*\(?([A-Z])\)?(?![A-Za-z'’])",
    hits=["Option B", "the figure (C)", "statements: D"],
    misses=["option b", "Option Bob", "triangle B"],
    cased=True,
)
BRACKETED = Phrase("a letter in brackets", r"\(([A-Z])\)", hits=["(B)"], misses=["(b)", "(AB)", "B"], cased=True)
_OBJECTS = (
    r"points?|angles?|vertex|vertices|triangles?|sides?|lines?|segments?|vectors?|vitamin|type|group|class|event|set"
    r"|matrix|node|grade|section|station|city|town|person|company|team|country|plan|circle|player|box|bag|container"
    r"|object|sample|solution|beaker|region|area|curve|block|gene|allele|species|bond|project|compound|item|variable"
    r"|factor|state|process|firm|machine|department"
)
OTHER_THINGS = Phrase(
    "the name of another thing",
    rf"\b(?:{_OBJECTS})\s*\(?$|(?:∠|△|[=+*/^<>-])\s*$",
    hits=["the triangle ", "vitamin ", "∠", "2 + "],
    misses=["the answer is ", "option "],
)
MENTIONED_BEFORE = Phrase(
    "mentioned in passing",
    r"\b(?:in|for|of|by|from|under|than|if|while|whereas|both|unlike|like|consider|considering|says|said)"
    r"\s+(?:the\s+)?(?:answer\s+)?$",
    hits=["as shown in ", "unlike the ", "if "],
    misses=["is ", "so the "],
)
GOES_ON = Phrase(
    "goes on about the letter",
    r"\)?\s+(?!because|since|as|which|due|given|with|and|or|based|here|is\s+(?:the|my)\b)[a-z]+",
    hits=[" shows a cat", ") would"],
    misses=[" because it", " is the answer", ". Then"],
    at="match",
    cased=True,
)
OR_ANOTHER = Phrase(
    "or another letter",
    r"\)?\s*,?\s*(?:or|/|to|through)\s+(?:option\s+)?[(\[]?[A-Z](?![A-Za-z'’])",
    hits=[" or C", ") or (D)", ", or option C", " through D"],
    misses=[" or Bob", " or so", ". C"],
    at="match",
    cased=True,
)
ENUMERATED = Phrase(
    "three or more letters in a row",
    rf"{ONE}\s*,\s*{ONE}\s*,?\s*(?:,|or|and|&)\s*(?:or\s+|and\s+)?{ONE}",
    hits=["A, B, and C", "(A), (B), (C)", "A, B or C"],
    misses=["A, B", "A and B"],
    cased=True,
)
SMALL_WORDED = Phrase(
    "a small letter with its noun", r"(?:option|choice|answer)\s+$", hits=["option "], misses=["is ", "options "]
)
STOP = Phrase("nothing more", r"\s*(?:[.,;:!)]|$)", hits=["", ".", " )"], misses=[" is", "x"], at="match")
LISTED_TOGETHER = Phrase(
    "letters listed together",
    LIST,
    hits=["A and C", "(A), (B) and (C)", "A、C"],
    misses=["A or C", "A"],
    cased=True,
)
JOINED = Phrase("joined by and", r"&|\band\b|和", hits=["A and B", "A & B"], misses=["A, B", "sand"])
