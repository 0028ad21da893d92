"""``sequence``, ``set`` and ``dict``: several values at once, as JSON or as a plain list.

    verify("<answer>[3, 1, 2]</answer>", "[3, 1, 2]", "sequence")                             -> right
    verify("The colours are red, blue and green.", '["blue", "green", "red"]', "set")          -> right
    verify('```json\\n{"name": "Ann", "age": "31"}\\n```', {"name": "Ann", "age": 31}, "dict")   -> right

Scores are graded: the share of right positions, F1 of the elements, the share of right keys. Elements compare as
numbers when both are numbers, as normalised text otherwise, nested ones in the same way. JSON is parsed with the
standard parser; nothing is evaluated. ``reading`` is strict, lenient or auto (strict where there is an answer block or
a box), see reward_fns.strict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

from reward_fns.answer.announced import MAX_TAIL
from reward_fns.answer.commitment import stands
from reward_fns.answer.places import Piece, stated_pieces
from reward_fns.numbers import numerals
from reward_fns.registry import register
from reward_fns.strict.collection import list_in, mapping_in
from reward_fns.strict.grammar import LEFT_OVER
from reward_fns.strict.region import region_to_read, whole_answer
from reward_fns.texts.normal import normalised
from reward_fns.verdict import NO_ANSWER, GoldError, Verdict
from reward_fns.verifiers.number import same_number

_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")

_SIDE_BY_SIDE = re.compile(r"^[^\[{]{0,40}(?:\[[^\[\]]*\]\s*,?\s*\[|\{[^{}]*\}\s*,?\s*\{)")

MAX_ITEMS = 1_000
MAX_DEPTH = 8


@register("sequence")
def sequence(
    response: str, ground_truth: str | Sequence[object], *, reading: str = "auto", answer_after_think: bool = False
) -> Verdict:
    """Ordered values. Score: right positions over the longer of both lists."""
    gold = read_gold_list(ground_truth)
    given = _stated_list(response, reading, answer_after_think)
    if given is None:
        return NO_ANSWER
    hits = sum(same_item(a, b) for a, b in zip(gold, given, strict=False))
    longer = max(len(gold), len(given))
    return _graded(hits / longer if longer else 1.0, given)


@register("set")
def unordered(
    response: str, ground_truth: str | Sequence[object], *, reading: str = "auto", answer_after_think: bool = False
) -> Verdict:
    """Values in any order, repeated ones counted. Score: F1 of the elements."""
    gold = read_gold_list(ground_truth)
    given = _stated_list(response, reading, answer_after_think)
    if given is None:
        return NO_ANSWER
    left = list(given)
    hits = 0
    for item in gold:
        place = next((i for i, other in enumerate(left) if same_item(item, other)), None)
        if place is not None:
            left.pop(place)
            hits += 1
    total = len(gold) + len(given)
    return _graded(2 * hits / total if total else 1.0, given)


@register("dict")
def mapping(
    response: str,
    ground_truth: str | Mapping[str, object],
    *,
    ignore_extra: bool = False,
    reading: str = "auto",
    answer_after_think: bool = False,
) -> Verdict:
    """Values under keys. Score: right keys over all keys of both sides; ``ignore_extra``: over the gold's keys."""
    gold = _loaded(ground_truth) if isinstance(ground_truth, str) else ground_truth
    if not isinstance(gold, Mapping) or not gold:
        raise GoldError(f"the ground truth is no JSON object: {str(ground_truth)[:80]!r}")
    gold = {_key(key): value for key, value in gold.items()}
    region = region_to_read(response, reading, answer_after_think)
    if region is not None:
        given = region.read(lambda text: mapping_in(text, _mapping_in))
    else:
        whole = whole_answer(response)
        if _taken_back(response) or (whole and _several(whole) and mapping_in(whole, _mapping_in) is None):
            return NO_ANSWER
        stated = (_mapping_in(piece.text) for piece in stated_pieces(response, answer_after_think))
        given = next((found for found in stated if found is not None), None)
    if given is None:
        return NO_ANSWER
    given = {_key(key): value for key, value in given.items()}
    hits = sum(key in given and same_item(value, given[key]) for key, value in gold.items())
    total = len(gold) if ignore_extra else len(gold.keys() | given.keys())
    return _graded(hits / total, given)


def same_item(gold: object, given: object, depth: int = 0) -> bool:
    """Whether two values agree: nested ones element by element, numbers by value, the rest as text."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(gold, Mapping):
        if not isinstance(given, Mapping):
            return False
        wanted, found = ({_key(k): v for k, v in side.items()} for side in (gold, given))
        return wanted.keys() == found.keys() and all(same_item(wanted[k], found[k], depth + 1) for k in wanted)
    if isinstance(gold, list | tuple):
        return (
            isinstance(given, list | tuple)
            and len(gold) == len(given)
            and all(same_item(a, b, depth + 1) for a, b in zip(gold, given, strict=True))
        )
    if isinstance(given, Mapping | list | tuple):
        return False
    if gold is None or isinstance(gold, bool) or given is None or isinstance(given, bool):
        return _plain(gold) == _plain(given)
    one, two = numerals.parse(str(gold)[:200]), numerals.parse(str(given)[:200])
    if one is not None and two is not None:
        return same_number(two, one)
    return normalised(str(gold)) == normalised(str(given))


def read_gold_list(ground_truth: str | Sequence[object]) -> Sequence[object]:
    """The gold values; text that is no JSON list is split at commas."""
    gold = _list_in(ground_truth) if isinstance(ground_truth, str) else list(ground_truth)
    if not gold and str(ground_truth).strip() not in ("[]", "{}"):
        raise GoldError(f"no list in the ground truth {str(ground_truth)[:80]!r}")
    return gold or []


_BRACKETS = re.compile(r"\[[^\[\]]{0,400}\]|\{[^{}]{0,400}\}")


def _taken_back(response: str) -> bool:
    """Whether every bracketed value of running text is denied or hedged where it stands."""
    tail = response[-MAX_TAIL:]
    return not stands(tail, reversed([match.span() for match in _BRACKETS.finditer(tail)]))


def _several(whole: str) -> bool:
    """Whether a short response hedges or holds more than one list or mapping side by side."""
    return LEFT_OVER.search(_QUOTED.sub(" ", whole)) is not None or _SIDE_BY_SIDE.search(whole) is not None


def _stated_list(response: str, reading: str, answer_after_think: bool) -> Sequence[object] | None:
    region = region_to_read(response, reading, answer_after_think)
    if region is not None:
        return region.read(lambda text: list_in(text, _list_in))
    whole = whole_answer(response)
    if whole and _several(whole) and list_in(whole, _list_in) is None:
        return None  # "[2,1] or [1,2]"
    if _taken_back(response):
        return None
    for piece in stated_pieces(response, answer_after_think):
        found = _list_in(_last_line(piece))
        if found is not None:
            return found
    return None


def _last_line(piece: Piece) -> str:
    """All of a committed piece; of running text the JSON in it, else its last line."""
    if piece.place != "rest" or "[" in piece.text:
        return piece.text
    lines = [line for line in piece.text.splitlines() if line.strip()]
    bulleted = list(takewhile(_BULLET.match, reversed(lines)))
    return "\n".join(bulleted[::-1]) if len(bulleted) > 1 else lines[-1] if lines else ""


_SPLIT = re.compile(r"\s*(?:,\s*and\b|,|;|\band\b|→|->|>|\n)\s*")
_LEAD = re.compile(r"\b(?:is|are|be|order|sequence|follows)\b\s?:?\s?|:\s?")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")


def _list_in(text: str) -> Sequence[object] | None:
    """A JSON list anywhere in the text, else the text split at commas, arrows, "and" or lines."""
    loaded = _loaded(text)
    if isinstance(loaded, list):
        return loaded[:MAX_ITEMS]
    text = text.strip().strip("$").strip()
    text = text.replace("\\{", "").replace("\\}", "").strip("{}()[]")
    if not text or len(text) > 4_000:
        return None
    if not re.search(r"[,;\n→]|->|>|\band\b", text):
        words = text.strip(" .*\"'")
        return [words] if words and len(words) <= 80 else None
    comma = _SPLIT.search(text)
    leads = [match.end() for match in _LEAD.finditer(text, 0, comma.start() if comma else len(text))]
    if leads and leads[-1] < len(text):  # "The order is A, B, C"
        text = text[leads[-1] :]
    items = [_BULLET.sub("", item).strip(" .*\"'`") for item in _SPLIT.split(text)]
    return [item for item in items if item][:MAX_ITEMS] or None


def _mapping_in(text: str) -> Mapping[str, object] | None:
    """A JSON object anywhere in the text, else lines "key: value"."""
    loaded = _loaded(text)
    if isinstance(loaded, Mapping):
        return {_key(key): value for key, value in loaded.items()}
    pairs = [line.split(":", 1) for line in text.splitlines()[:MAX_ITEMS] if ":" in line]
    found = {_key(_BULLET.sub("", key)): value.strip(" .*\"'`,") for key, value in pairs if 0 < len(key.strip()) <= 60}
    return found or None


def _loaded(text: str) -> object | None:
    """The first JSON list or object in ``text``; single quotes are forgiven."""
    start = min((place for place in (text.find("["), text.find("{")) if place >= 0), default=-1)
    if start < 0 or len(text) > 100_000:
        return None
    for attempt in (text[start:], text[start:].replace("'", '"')):
        try:
            found: object = json.JSONDecoder().raw_decode(attempt)[0]
            return found
        except (ValueError, RecursionError):
            continue
    return None


def _key(key: object) -> str:
    return normalised(str(key)).replace(" ", "").replace("_", "")


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else normalised(str(value))


def _graded(score: float, given: object) -> Verdict:
    return Verdict(
        "right" if score >= 1.0 else "wrong", score, json.dumps(given, ensure_ascii=False, default=str)[:200]
    )
