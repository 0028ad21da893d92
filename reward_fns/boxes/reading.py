r"""Boxes and points out of text, in the spellings of today's models.

    read_boxes('```json\n[{"bbox_2d": [10, 20, 30, 40], "label": "cat"}]\n```')      -> [Box((10, 20, 30, 40), "cat")]
    read_boxes("<|box_start|>(10,20),(30,40)<|box_end|>")                           -> [Box((10, 20, 30, 40), "")]
    read_points("<point>(12, 30)</point>")                                          -> [(12.0, 30.0)]

JSON lists and objects (keys bbox_2d, bbox, box, ...), also cut off in the middle or with single quotes; Qwen's box
tokens; plain lists. Text is parsed, never evaluated; lengths and numbers of boxes are bounded; numbers that are not
finite make a box unreadable.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator

from reward_fns.boxes.metrics import Box
from reward_fns.verdict import CallError

MAX_CHARS = 20_000
MAX_BOXES = 300
_BOX_KEYS = (
    "bbox_2d",
    "bbox2d",
    "bbox",
    "box_2d",
    "box",
    "bounding_box",
    "boundingbox",
    "coordinates",
    "rect",
    "position",
)
_LABEL_KEYS = ("label", "name", "category", "class", "object", "text", "text_content", "caption")
_POINT_KEYS = ("point_2d", "point2d", "point", "coordinate", "coordinates", "center", "click", "position")

_N = r"\s*(-?(?:\d{1,7}(?:\.\d{0,12})?|\.\d{1,12})(?:[eE][+-]?\d{1,3})?)\s*"
_FOUR = re.compile(rf"[\[(<{{]{_N}(?:,|;|\s)\s*{_N}(?:,|;|\s)\s*{_N}(?:,|;|\s)\s*{_N},?\s*[\])>}}]")
_CORNERS = re.compile(rf"\({_N},{_N}\)\s*(?:,|to|-|and|;)?\s*\({_N},{_N}\)")
_BARE_FOUR = re.compile(rf"^\s*{_N},{_N},{_N},{_N}\s*$")
_TWO = re.compile(rf"[\[(<]{_N},{_N}[\])>]")
_ATTRIBUTES = re.compile(rf"\bx\s*[:=]\s*[\"']?{_N}[\"']?[\s,]+y\s*[:=]\s*[\"']?{_N}")
_FENCE = re.compile(r"```(?:json|python)?\s*(.*?)(?:```|$)", re.DOTALL)
_LABELLED = re.compile(
    rf"[\"'](?:bbox_2d|bbox|box)[\"']\s*:\s*[\[(]{_N},{_N},{_N},{_N}[\])]\s*(?:,\s*[\"'](?:label|name|category)[\"']\s*:\s*[\"']([^\"'\n]{{0,200}})[\"'])?"
)
_LABEL_FIRST = re.compile(
    rf"[\"'](?:label|name|category)[\"']\s*:\s*[\"']([^\"'\n]{{0,200}})[\"']\s*,\s*[\"'](?:bbox_2d|bbox|box)[\"']\s*:\s*[\[(]{_N},{_N},{_N},{_N}[\])]"
)
_REF = re.compile(
    rf"(?:<\|object_ref_start\|>([^<]{{0,200}})<\|object_ref_end\|>)?\s*<\|box_start\|>\s*\({_N},{_N}\)\s*,?\s*\({_N},{_N}\)\s*<\|box_end\|>"
)


def read_boxes(text: str, box_format: str = "xyxy") -> list[Box] | None:
    """The boxes that ``text`` states; an empty list when it says that there are none; None when it holds no boxes.

    Args:
        box_format: xyxy, xywh (left, top, width, height) or cxcywh (centre).
    """
    if box_format not in ("xyxy", "xywh", "cxcywh"):
        raise CallError(f"box_format must be xyxy, xywh or cxcywh, got {box_format!r}")
    text = text[-MAX_CHARS:] if len(text) > MAX_CHARS else text
    found = _from_json(text)
    if found is None:
        found = _from_patterns(text)
    if found is None:
        return None
    boxes = [Box(_corners(four, box_format), label) for four, label in found[:MAX_BOXES]]
    return [box for box in boxes if all(math.isfinite(c) for c in box.corners)] or ([] if not boxes else None)


def read_points(text: str) -> list[tuple[float, float]]:
    """The points that ``text`` states; boxes stand for their centres."""
    text = text[-MAX_CHARS:]
    for loaded in _json_values(text):
        points = list(_points_in(loaded))
        if points:
            return points[:MAX_BOXES]
    boxes = _from_patterns(text, corners=False)
    if boxes:
        return [((four[0] + four[2]) / 2, (four[1] + four[3]) / 2) for four, _ in boxes[:MAX_BOXES]]
    text = _spaced(text)
    pairs = [match.groups() for match in (*_TWO.finditer(text), *_ATTRIBUTES.finditer(text))]
    points = [(float(x), float(y)) for x, y in pairs]
    return [point for point in points if all(map(math.isfinite, point))][:MAX_BOXES]


# --------------------------------------------------------------------------------------------------------------- JSON

Four = tuple[float, float, float, float]


def _json_values(text: str) -> Iterator[object]:
    """JSON values in ``text``: fenced blocks, then whatever starts at the first bracket."""
    candidates = [match.group(1) for match in _FENCE.finditer(text)][-4:][::-1] if "```" in text else []
    start = min((place for place in (text.find("["), text.find("{")) if place >= 0), default=-1)
    if start >= 0:
        candidates.append(text[start:])
    decoder = json.JSONDecoder()
    for candidate in candidates:
        candidate = candidate.strip()
        for attempt in (candidate, candidate.replace("'", '"')) if "'" in candidate else (candidate,):
            try:
                loaded, _ = decoder.raw_decode(attempt)
            except (ValueError, RecursionError):
                continue
            yield loaded
            break


def _from_json(text: str) -> list[tuple[Four, str]] | None:
    for loaded in _json_values(text):
        if loaded == []:
            return []
        found = list(_boxes_in(loaded, 0))
        if found:
            return found
    return None


def _boxes_in(value: object, depth: int) -> Iterator[tuple[Four, str]]:
    """Boxes in nested JSON: objects with a box key, or lists of four numbers."""
    if depth > 6:
        return
    if isinstance(value, dict):
        for key in _BOX_KEYS:
            four = _four(value.get(key))
            if four is not None:
                label = next((str(value[k]) for k in _LABEL_KEYS if isinstance(value.get(k), str)), "")
                yield four, label
                return
        if {"x1", "y1", "x2", "y2"} <= value.keys():
            four = _four([value["x1"], value["y1"], value["x2"], value["y2"]])
            if four is not None:
                yield four, next((str(value[k]) for k in _LABEL_KEYS if isinstance(value.get(k), str)), "")
            return
        for key, item in value.items():
            for four, label in _boxes_in(item, depth + 1):
                yield (
                    four,
                    label
                    or (
                        str(key)
                        if key.lower()
                        not in ("boxes", "bboxes", "objects", "detections", "answer", "result", "results")
                        else ""
                    ),
                )
        return
    four = _four(value)
    if four is not None:
        yield four, ""
    elif isinstance(value, list):
        for item in value[: MAX_BOXES * 2]:
            yield from _boxes_in(item, depth + 1)


def _points_in(value: object, depth: int = 0) -> Iterator[tuple[float, float]]:
    if depth > 6:
        return
    if isinstance(value, dict):
        for key in _POINT_KEYS:
            two = _numbers(value.get(key), 2)
            if two is not None:
                yield two[0], two[1]
                return
        if {"x", "y"} <= value.keys():
            two = _numbers([value["x"], value["y"]], 2)
            if two is not None:
                yield two[0], two[1]
            return
        four = next((four for key in _BOX_KEYS if (four := _four(value.get(key))) is not None), None)
        if four is not None:
            yield (four[0] + four[2]) / 2, (four[1] + four[3]) / 2
            return
        for item in value.values():
            yield from _points_in(item, depth + 1)
        return
    two = _numbers(value, 2)
    if two is not None:
        yield two[0], two[1]
        return
    four = _four(value)
    if four is not None:
        yield (four[0] + four[2]) / 2, (four[1] + four[3]) / 2
    elif isinstance(value, list):
        for item in value[: MAX_BOXES * 2]:
            yield from _points_in(item, depth + 1)


def _four(value: object) -> Four | None:
    numbers = _numbers(value, 4)
    if numbers is None and isinstance(value, list) and len(value) == 2:  # [[x1, y1], [x2, y2]]
        one, two = _numbers(value[0], 2), _numbers(value[1], 2)
        numbers = [*one, *two] if one is not None and two is not None else None
    return _as_four(numbers) if numbers is not None else None


def _as_four(numbers: Iterable[str | float]) -> Four:
    left, top, right, bottom = map(float, numbers)
    return left, top, right, bottom


def _numbers(value: object, count: int) -> list[float] | None:
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
        return None
    try:
        numbers = [float(item) for item in value]
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


# ----------------------------------------------------------------------------------------------------------- patterns


def _from_patterns(text: str, corners: bool = True) -> list[tuple[Four, str]] | None:
    """Boxes where JSON fails: cut-off JSON, box tokens, plain lists, and two corners in brackets of their own unless
    these are points."""
    text = _spaced(text)
    found = [(_as_four(match.groups()[1:5]), (match.group(1) or "").strip()) for match in _REF.finditer(text)]
    if found:
        return found
    found = [(_as_four(match.groups()[:4]), (match.group(5) or "").strip()) for match in _LABELLED.finditer(text)]
    if found:
        return found
    found = [(_as_four(match.groups()[1:5]), match.group(1).strip()) for match in _LABEL_FIRST.finditer(text)]
    if found:
        return found
    for pattern in (_FOUR, _CORNERS, _BARE_FOUR) if corners else (_FOUR, _BARE_FOUR):
        found = [(_as_four(match.groups()), "") for match in pattern.finditer(text)]
        if found:
            return found
    return None


def _spaced(text: str) -> str:
    """Runs of white space as one blank: the patterns above then take linear time."""
    return re.sub(r"\s+", " ", text)


def _corners(four: Four, box_format: str) -> Four:
    """Left, top, right, bottom; swapped corners are put in order."""
    a, b, c, d = four
    if box_format == "xywh":
        c, d = a + c, b + d
    elif box_format == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return (min(a, c), min(b, d), max(a, c), max(b, d))
